"""Is it an event? Each is judged by itself, and one that is none is told why, field by field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from struct import pack
from typing import Any, NamedTuple

import orjson

from api.bodies import MAX_DEPTH, unstorable
from api.events import cloudevents
from api.events.event_types import Catalogue, EventType
from api.events.reading import Batch, record_of, shown
from causeway.declarations.event_type import SEVEN_YEARS

# The pipeline sees this source on what came in without a usable one, and on what the API itself stores.
OWN_SOURCE = "api"
LONGEST_NAME = 200
LONGEST_UNIT = 512

_REQUIRED = ("source", "id", "type", "unit_id", "occurred_at")
_OPTIONAL = ("sent_at", "properties", "schema_version")
_FIELDS = frozenset({*_REQUIRED, *_OPTIONAL})
_LONGEST = dict.fromkeys(_REQUIRED, LONGEST_NAME) | {"unit_id": LONGEST_UNIT}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# The id of a landing, which is the source of what it brought.
_LANDING = re.compile(r"[A-Za-z0-9._-]{1,100}@[0-9a-f]{12}(\.[0-9]+)?")
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
# As in a landed file: no more than clocks and time zones explain.
_FUTURE_TOLERANCE = timedelta(days=1)
_LONGEST_REASON = 1000
HASH_BYTES = 16
_NO_PROPERTIES: dict[str, Any] = {}


class Event(NamedTuple):
    """An event as it is stored; times are seconds since 1970. Events sort by source and id, and are stored in order."""

    source: str
    id: str
    position: int
    type: str
    unit_id: str
    occurred_at: float
    sent_at: float | None
    properties: str
    body_hash: bytes
    retention_days: int
    schema_version: int | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was not as described. ``record`` is what was sent, as text."""

    position: int
    source: str
    id: str | None
    type: str | None
    code: str
    reason: str
    record: str
    schema_version: int | None = None
    retention_days: int = SEVEN_YEARS


@dataclass(slots=True)
class Judged:
    """The events of a batch, and what of it is none."""

    events: list[Event] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


class _Refused(Exception):
    """The event is refused; with the word for it, the reason, and the version of the schema that refused it."""

    def __init__(self, code: str, reason: str, schema_version: int | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.schema_version = schema_version


def judge(batch: Batch, catalogue: Catalogue, now: datetime, *, is_cloudevents: bool = False) -> Judged:
    """Every value of ``batch`` as an event or a refusal."""
    judge_of = _Judge(catalogue, now, batch.is_suspicious, cloudevents.NAMES if is_cloudevents else {})
    read = judge_of.cloudevent if is_cloudevents else judge_of.event
    judged = Judged()
    for position, value in enumerate(batch.values):
        try:
            if position in batch.flaws:
                raise _Refused(*batch.flaws[position])
            judged.events.append(read(position, value))
        except _Refused as refused:
            judged.refusals.append(_refusal(position, value, refused, batch.texts.get(position), catalogue))
    return judged


class _Judge:
    """Judges the events of one batch. ``names`` are the sender's names of our fields, where they differ."""

    def __init__(self, catalogue: Catalogue, now: datetime, is_suspicious: bool, names: Mapping[str, str]) -> None:
        self._catalogue = catalogue
        self._latest = now + _FUTURE_TOLERANCE
        self._is_suspicious = is_suspicious
        self._names = names
        self._sources: set[str] = set()
        self._instants: dict[str, float] = {}

    def cloudevent(self, position: int, value: object) -> Event:
        """The event that a CloudEvent is."""
        try:
            fields, extensions = cloudevents.fields_of(value)
        except cloudevents.Unfit as unfit:
            raise _Refused(unfit.code, unfit.reason) from None
        event = self.event(position, fields)
        if not extensions:
            return event
        # They may change on the way, and so are no part of what the body's hash is made of.
        properties = fields.get("properties", {})
        if "extensions" in properties:
            raise _Refused("extensions_taken", "data: a member extensions would hide the attributes of the event")
        self._check_properties(extensions, _written(extensions))
        return event._replace(properties=_written(properties | {"extensions": extensions}).decode())

    def event(self, position: int, value: object) -> Event:
        """The event ``value``; _Refused if it is none."""
        # Tens of thousands a second pass here. Nearly all are right: those are recognised at little cost,
        # and what looks like a wrong one is looked at field by field.
        try:
            source, event_id, kind, unit_id, written = (
                value["source"],  # type: ignore[index]
                value["id"],  # type: ignore[index]
                value["type"],  # type: ignore[index]
                value["unit_id"],  # type: ignore[index]
                value["occurred_at"],  # type: ignore[index]
            )
        except (TypeError, KeyError):
            raise self._why_not(value) from None
        assert isinstance(value, dict)
        sent_at = value.get("sent_at")
        properties = value.get("properties", _NO_PROPERTIES)
        named_version = value.get("schema_version")
        if not (
            _is_plain(event_id, LONGEST_NAME)
            and _is_plain(unit_id, LONGEST_UNIT)
            and type(source) is str
            and (source in self._sources or _is_plain(source, LONGEST_NAME))
            and type(kind) is str
            and (kind in self._catalogue.types or _is_plain(kind, LONGEST_NAME))
            and type(properties) is dict
            and value.keys() <= _FIELDS
        ):
            problem = self._first_problem(value)
            if problem is not None:
                raise problem
        if source not in self._sources:
            self._check_source(source)
        occurred_at = self._instant("occurred_at", written)
        sent = None if sent_at is None else self._sent(sent_at)
        text = _written(properties)
        if self._is_suspicious or not text or text.count(b"{") + text.count(b"[") > MAX_DEPTH:
            self._check_properties(properties, text)
        declared = self._catalogue.types.get(kind)
        if declared is not None:
            version = self._held_against_schema(declared, named_version, properties)
        else:
            version = None
            if named_version is not None:
                self._check_version(named_version)
        return Event._make(
            (
                source,
                event_id,
                position,
                kind,
                unit_id,
                occurred_at,
                sent,
                text.decode(),
                _hash_of(kind, unit_id, occurred_at, text),
                SEVEN_YEARS if declared is None else declared.retention_days,
                version,
            )
        )

    def _why_not(self, value: object) -> _Refused:
        if not isinstance(value, dict):
            return _Refused("not_an_object", "event: must be an object")
        problem = self._first_problem(value)
        assert problem is not None, "a field is missing"
        return problem

    def _first_problem(self, value: Mapping[str, Any]) -> _Refused | None:
        """What is wrong with the fields of ``value`` that are text, or with their number; the code is of the first."""
        problems = []
        for name in _REQUIRED:
            if name not in value:
                problems.append((f"missing_{name.removesuffix('_id')}", f"{self._name(name)}: must be there"))
            elif name != "occurred_at":
                problem = _problem_of_text(value[name], _LONGEST[name])
                if problem is not None:
                    code, sentence = problem
                    word = code if code == "id_too_long" else f"{code}_{name.removesuffix('_id')}"
                    problems.append((word, f"{self._name(name)}: {sentence}"))
        if not isinstance(value.get("properties", {}), dict):
            problems.append(("bad_properties", f"{self._name('properties')}: must be an object"))
        problems += [("unknown_field", f"{shown(name)}: there is no such field") for name in value.keys() - _FIELDS]
        if not problems:
            return None
        return _Refused(problems[0][0], "; ".join(sentence for _, sentence in problems[:10]))

    def _check_source(self, source: str) -> None:
        if source == OWN_SOURCE:
            raise _Refused("reserved_source", f"source: {OWN_SOURCE!r} is what the API itself says")
        if source.partition("@")[0] in self._catalogue.landed or _LANDING.fullmatch(source):
            raise _Refused("reserved_source", f"source: {shown(source)!r} is landed from a file")
        self._sources.add(source)

    def _sent(self, written: object) -> float:
        """When the event was sent, which is the same for nearly all of a batch."""
        if type(written) is not str:
            raise self._bad_time("sent_at")
        instant = self._instants.get(written)
        if instant is None:
            instant = self._instants[written] = self._instant("sent_at", written)
        return instant

    def _instant(self, name: str, written: object) -> float:
        """The time ``written``, in seconds since 1970: exact to the microsecond until the year 2106."""
        # Pydantic and fromisoformat take more than RFC 3339: days without a time, weeks, numbers of seconds.
        if type(written) is not str or not 20 <= len(written) <= 64 or written[4] != "-" or written[7] != "-":
            raise self._bad_time(name)
        try:
            instant = datetime.fromisoformat(written)
        except ValueError:
            try:
                instant = datetime.fromisoformat(written.upper())
            except ValueError:
                raise self._bad_time(name) from None
        if instant.tzinfo is not UTC:
            if instant.tzinfo is None:
                raise self._bad_time(name)
            try:
                instant = instant.astimezone(UTC)
            except OverflowError:
                if instant.year > _EARLIEST.year:
                    raise self._in_the_future(name) from None
                raise self._bad_time(name) from None
        if instant < _EARLIEST:
            raise _Refused("bad_time", f"{self._name(name)}: must not lie before {_EARLIEST.year}")
        if instant > self._latest:
            raise self._in_the_future(name)
        return instant.timestamp()

    def _in_the_future(self, name: str) -> _Refused:
        return _Refused("future_time", f"{self._name(name)}: must not lie more than a day ahead")

    def _bad_time(self, name: str) -> _Refused:
        return _Refused(
            "bad_time", f"{self._name(name)}: must be a time with its offset from UTC, such as 2025-01-31T12:00:00Z"
        )

    def _check_properties(self, properties: Mapping[str, Any], text: bytes) -> None:
        problem = unstorable(properties)
        if problem is None and not text:
            problem = "they hold what cannot be stored"
        if problem is not None:
            raise _Refused("bad_properties", f"{self._name('properties')}: {problem}")

    def _check_version(self, named: object) -> int:
        if type(named) is not int or not 0 < named < 2**31:
            raise _Refused("bad_schema_version", f"{self._name('schema_version')}: must be a whole number from 1")
        return named

    def _held_against_schema(self, declared: EventType, named: object, properties: dict[str, Any]) -> int:
        """The version of the schema that ``properties`` are valid under; the newest one, if none is named."""
        version = declared.newest if named is None else self._check_version(named)
        validator = declared.validators.get(version)
        if validator is None:
            known = ", ".join(map(str, sorted(declared.validators)))
            reason = f"{self._name('schema_version')}: there is no version {version} of this type, but {known}"
            raise _Refused("unknown_schema_version", reason)
        if not validator.is_valid(properties):
            raise _Refused("schema", self._why_invalid(validator, properties), version)
        return version

    def _why_invalid(self, validator: Any, properties: dict[str, Any]) -> str:
        sentences = []
        for error in validator.iter_errors(properties):
            place = ".".join((self._name("properties"), *(shown(part) for part in error.instance_path)))
            sentences.append(f"{place}: {_sentence(error.message)}")
            if len(sentences) == 5:
                break
        return "; ".join(sentences)

    def _name(self, name: str) -> str:
        return self._names.get(name, name)


def _written(properties: Mapping[str, Any]) -> bytes:
    """``properties`` as JSON with sorted names; nothing for what cannot be written."""
    try:
        return orjson.dumps(properties, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, RecursionError):
        return b""


def _hash_of(kind: str, unit_id: str, occurred_at: float, properties: bytes) -> bytes:
    """By which two events of one id are told apart. When it was sent is no part of it: that is another each time."""
    # Neither of the first two holds a NUL, and the time has eight bytes: no two events are written alike.
    said = f"{kind}\0{unit_id}\0".encode() + pack("<d", occurred_at) + properties
    return sha256(said).digest()[:HASH_BYTES]


def _sentence(text: str) -> str:
    """A sentence that may quote what was sent, in a form and length that can be told and stored."""
    return text[:300].encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def _is_plain(text: object, longest: int) -> bool:
    return type(text) is str and 0 < len(text) <= longest and text.isascii() and text.isprintable() and text[0] != " "


def _problem_of_text(value: object, longest: int) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return "bad", "must be text"
    if not value or value.isspace():
        return "missing", "must not be blank"
    if len(value) > longest:
        return "id_too_long", f"may hold {longest} characters at most"
    if _CONTROL.search(value):
        return "bad", "must hold no control characters"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "bad", "must not hold half of a surrogate pair"
    return None


def _refusal(position: int, value: object, refused: _Refused, text: str | None, catalogue: Catalogue) -> Refusal:
    kind = _readable(value, "type")
    declared = catalogue.types.get(kind or "")
    return Refusal(
        position,
        _readable(value, "source") or OWN_SOURCE,
        _readable(value, "id"),
        kind,
        refused.code,
        refused.reason[:_LONGEST_REASON],
        record_of(value) if text is None else text,
        refused.schema_version,
        SEVEN_YEARS if declared is None else declared.retention_days,
    )


def _readable(value: object, name: str) -> str | None:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, str) and 0 < len(found) <= LONGEST_NAME and found.isprintable() else None
