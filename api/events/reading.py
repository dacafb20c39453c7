"""The events of a body, each by itself: what is wrong with one of them is no reason to refuse the others.

A body is read twice at most. The first reader is fast and knows clean JSON only; it cannot tell whether a member was
there twice or a number was too long, so two exact checks look for that. What it does not take, or they notice, goes to
the second reader, which takes the body apart and reads every event for itself.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
import re2  # type: ignore[import-untyped]

from api.problems import FieldError, Problem

MAX_EVENTS = 1000

# From so many digits on a whole number may not fit into 64 bits, and the fast reader makes a float of it.
_MANY_DIGITS = re2.compile(rb"[0-9]{20}|-[0-9]{19}")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)
_BLANK = re.compile(r"[ \t\r\n]*")
_OPENING, _CLOSING = frozenset("[{"), frozenset("]}")
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_MOST_DIGITS = 20


class Flaw(NamedTuple):
    """Why the text of an event is none, although a value can be made of it."""

    code: str
    reason: str


@dataclass(frozen=True)
class Batch:
    """What a body brought, in its order. ``flaws`` and ``texts``, by position, are there after the second reader."""

    values: Sequence[object]
    flaws: dict[int, Flaw] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    # Whether some text may hold what JSON can write and Postgres cannot store.
    is_suspicious: bool = False


def read_batch(body: bytes, *, may_be_empty: bool = False) -> Batch:
    """The events of ``{"events": [...]}``, of a list, or the one that the body is.

    Problem 400 if the body is no JSON, 422 if it is JSON of another form or holds too many events.
    """
    batch = _read_fast(body)
    if batch is None:
        batch = _read_apart(body)
    if not batch.values and not may_be_empty:
        raise _unfit("too_short", "A batch holds one event at least.")
    if len(batch.values) > MAX_EVENTS:
        raise _unfit("too_long", f"A batch holds {MAX_EVENTS} events at most: send it in parts.")
    return batch


def read_event(body: bytes) -> Batch:
    """The one value that ``body`` is; Problem 400 if it is no JSON."""
    batch = _read_fast(body, is_one=True)
    return _one(_text(body)) if batch is None else batch


def read_records(records: Sequence[str]) -> Batch:
    """Events that were refused, from the texts that were kept of them."""
    values: list[object] = []
    flaws: dict[int, Flaw] = {}
    for position, text in enumerate(records):
        try:
            value, flaw = _tolerant(text)
        except Problem:
            value, flaw = None, Flaw("not_json", "event: it is not JSON")
        values.append(value)
        if flaw is not None:
            flaws[position] = flaw
    return Batch(values, flaws, dict(enumerate(records)), True)


def record_of(value: object) -> str:
    """``value`` as JSON text that can be stored: what has no UTF-8 form is escaped."""
    try:
        return orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return json.dumps(value, ensure_ascii=True)


def _read_fast(body: bytes, *, is_one: bool = False) -> Batch | None:
    try:
        document = orjson.loads(body)
        # Of a member that is there twice one is left. Colons stand behind names and in text, nowhere else, and are
        # never escaped when a value is written out: so many in the body, so many in what was made of it.
        if orjson.dumps(document).count(b":") != body.count(b":") or b"\\u003" in body:
            return None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        return None
    if _MANY_DIGITS.search(body):
        return None
    values = [document] if is_one else _values(document)
    return Batch(values, is_suspicious=b"\\u0000" in body)


def _values(document: object) -> list[object]:
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        raise _unfit("bad_form", "The body is an event, a list of events, or an object with a list called events.")
    if "events" not in document:
        return [document]
    if len(document) > 1:
        raise _unfit("unknown_field", "An object with events holds nothing else.")
    events = document["events"]
    if not isinstance(events, list):
        raise _unfit("bad_events", "events is a list.")
    return events


def _read_apart(body: bytes) -> Batch:
    text = _text(body)
    begin = _after_blanks(text, 0)
    if text[begin : begin + 1] == "[":
        places, end = _elements(text, begin)
        if _after_blanks(text, end) != len(text):
            raise _not_json()
    else:
        found = _list_of_events(text, begin)
        if found is None:
            alone = _one(text)
            if not alone.flaws:
                _values(alone.values[0])
            return alone
        places, end = _elements(text, found)
        # Whatever stands around the list must be JSON as well, and nothing but it.
        _values(_plain_json(f"{text[:found]}[]{text[end:]}"))
    values: list[object] = []
    flaws: dict[int, Flaw] = {}
    texts: dict[int, str] = {}
    if len(places) > MAX_EVENTS:
        return Batch(places)
    for position, (first, last) in enumerate(places):
        texts[position] = text[first:last]
        value, flaw = _tolerant(texts[position])
        values.append(value)
        if flaw is not None:
            flaws[position] = flaw
    return Batch(values, flaws, {position: _storable_text(each) for position, each in texts.items()}, True)


def _one(text: str) -> Batch:
    value, flaw = _tolerant(text)
    return Batch([value], {} if flaw is None else {0: flaw}, {0: _storable_text(text.strip())}, True)


def _text(body: bytes) -> str:
    # Bytes that are no UTF-8 become halves of surrogate pairs, which no event may hold: its sender is told where.
    return body.decode("utf-8", "surrogateescape")


def _storable_text(text: str) -> str:
    """JSON text with what Postgres cannot hold escaped."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\u0000")


def _after_blanks(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    assert found is not None, "the pattern matches nothing as well"
    return found.end()


def _elements(text: str, begin: int) -> tuple[list[tuple[int, int]], int]:
    """Where the elements of the list that begins at ``begin`` stand, and where it ends; Problem 400 if it does not."""
    places: list[tuple[int, int]] = []
    depth, first = 0, begin + 1
    for token in _TOKEN.finditer(text, begin):
        kind = token[0]
        if kind in _OPENING:
            depth += 1
        elif kind == "," and depth == 1:
            places.append((first, token.start()))
            first = token.end()
        elif kind in _CLOSING:
            depth -= 1
            if not depth:
                if places or _after_blanks(text, first) != token.start():
                    places.append((first, token.start()))
                return [_stripped(text, *place) for place in places], token.end()
    raise _not_json()


def _stripped(text: str, first: int, last: int) -> tuple[int, int]:
    return _after_blanks(text, first), first + len(text[first:last].rstrip(" \t\r\n"))


def _list_of_events(text: str, begin: int) -> int | None:
    """Where the list of the member events of the object at ``begin`` begins; None if there is none."""
    depth = 0
    for token in _TOKEN.finditer(text, begin):
        kind = token[0]
        if kind in _OPENING:
            depth += 1
        elif kind in _CLOSING:
            depth -= 1
        elif depth == 1 and kind != "," and _is_events(kind):
            colon = _after_blanks(text, token.end())
            value = _after_blanks(text, colon + 1)
            if text[colon : colon + 1] == ":" and text[value : value + 1] == "[":
                return value
    return None


def _is_events(token: str) -> bool:
    try:
        return bool(json.loads(token, strict=False) == "events")
    except ValueError:
        return False


def _plain_json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _not_json() from None


class _Twice(Exception):
    """A member is there twice."""


def _tolerant(text: str) -> tuple[object, Flaw | None]:
    """The value of ``text``, whatever can be told of it; Problem 400 if it is no JSON by any reading."""
    try:
        return _parsed(text), None
    except _Twice as twice:
        return _readable(text, _parse_any), Flaw("duplicate_member", f"{twice}: the member is there twice")
    except RecursionError:
        return None, Flaw("too_deep", "event: it is nested too deep to be read")
    except ValueError:
        value = _readable(text, _parse_any)
        return value, Flaw("bad_text", "event: a control character in a text must be escaped")


def _readable(text: str, parse: json.JSONDecoder) -> object:
    try:
        return parse.decode(text)
    except RecursionError:
        return None
    except ValueError:
        raise _not_json() from None


def _parsed(text: str) -> object:
    return _parse_once.decode(text)


def _whole(digits: str) -> int | float:
    value = int(digits) if len(digits) <= _MOST_DIGITS + 1 else math.inf
    return value if _SMALLEST <= value <= _LARGEST else math.inf


def _each_once(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise _Twice(shown(next(_repeated(members))))
    return found


def _repeated(members: Sequence[tuple[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            yield name
        seen.add(name)


def shown(name: object) -> str:
    """A name that the sender chose, in a form and length that can be told and stored."""
    return str(name)[:100].encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")


_parse_once = json.JSONDecoder(parse_int=_whole, object_pairs_hook=_each_once)
_parse_any = json.JSONDecoder(parse_int=_whole, strict=False)


def _not_json() -> Problem:
    return Problem(400, "bad-request", "The body is not JSON.")


def _unfit(code: str, message: str) -> Problem:
    error = FieldError(location=["body"], code=code, message=message)
    return Problem(422, "invalid-request", message, errors=[error])
