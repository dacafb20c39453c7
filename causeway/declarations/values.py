"""Values inside a declaration that are neither text nor a plain number: JSON, conditions, shares, instants and lengths
of time.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from contextlib import suppress
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, Strict, StringConstraints
from pydantic_core import PydanticCustomError

from causeway.declarations.declaration import Number

MAX_JSON_CHARACTERS = 65_536
MAX_JSON_DEPTH = 32

_LARGEST_WHOLE = 2**63
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[-+]\d\d:\d\d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _refuse(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("not_a_json_value", "{sentence}", {"sentence": sentence})


def _plain_text(text: str) -> str:
    if "\0" in text:
        raise _refuse("has a null character in it")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refuse("is not valid Unicode text") from None
    return text


def _plain(value: object, depth: int) -> Any:  # noqa: PLR0911 - one return per type of JSON
    if depth > MAX_JSON_DEPTH:
        raise _refuse(f"is nested more than {MAX_JSON_DEPTH} levels deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _plain_text(value)
    if isinstance(value, int):
        if abs(value) >= _LARGEST_WHOLE:
            raise _refuse("has a whole number of more than 63 bits in it")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _refuse(f"has the number {value} in it, which JSON does not know")
        return value
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        # YAML makes a date of 2026-01-31; JSON has the text that was written.
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise _refuse("has a key in it that is no text")
        return {_plain_text(key): _plain(item, depth + 1) for key, item in value.items()}
    raise _refuse("is no JSON value")


def _json_value(value: object) -> Any:
    plain = _plain(value, 0)
    if len(json.dumps(plain, ensure_ascii=False)) > MAX_JSON_CHARACTERS:
        raise _refuse(f"has more than {MAX_JSON_CHARACTERS:,} characters as JSON")
    return plain


def _instant(value: object) -> dt.datetime:
    found = value
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        with suppress(ValueError):
            found = dt.datetime.fromisoformat(value)
    if isinstance(found, dt.datetime) and found.tzinfo is not None:
        with suppress(OverflowError):
            return found.astimezone(dt.UTC)
    shown = str(value) if isinstance(value, dt.date) else repr(value)[:80]
    raise PydanticCustomError("not_an_instant", "{shown} is not a time such as 2026-01-31T08:00:00Z", {"shown": shown})


def length_of(text: str) -> dt.timedelta:
    """The length of time that text such as 30m, 4h or 7d stands for."""
    return dt.timedelta(seconds=int(text[:-1]) * _SECONDS[text[-1]])


JsonValue = Annotated[Any, BeforeValidator(_json_value)]
"""Any JSON value of at most 65,536 characters, with finite numbers and valid text."""

JsonObject = Annotated[dict[str, Any], BeforeValidator(_json_value)]

Condition = JsonObject
"""A condition on attributes, in the language of GrowthBook's targeting conditions (MongoDB's operators)."""

Share = Annotated[Number, Field(ge=0, le=1)]

Instant = Annotated[dt.datetime, BeforeValidator(_instant)]
"""A moment, written as RFC 3339 with its offset, and kept in UTC."""


def _some_time(text: str) -> str:
    if length_of(text) > dt.timedelta(days=36_500):
        raise PydanticCustomError("too_long", "is longer than a hundred years")
    return text


Length = Annotated[str, Strict(), StringConstraints(pattern=r"^[1-9][0-9]{0,9}[smhd]$"), AfterValidator(_some_time)]
"""A length of time: 90s, 30m, 4h, 7d."""
