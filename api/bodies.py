"""What a request may bring: JSON, of limited size and depth, with text that Postgres can hold."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, problem_response

MAX_BODY_BYTES = 5 * 1024 * 1024
MAX_DEPTH = 32

# Control characters are refused: NUL cannot be stored, and the others only make two ids look like one.
_VISIBLE = r"^[^\x00-\x1f\x7f]+$"


def _not_blank(text: str) -> str:
    if text.isspace():
        raise PydanticCustomError("blank", "must not be blank")
    return text


# Source and id of an event share an index whose entries hold 2,704 bytes: 400 characters of 4 bytes fit.
Name = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=200, pattern=_VISIBLE),
    AfterValidator(_not_blank),
]
"""A name that the caller chose: of a source, an event, a type of events."""

UnitId = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=512, pattern=_VISIBLE),
    AfterValidator(_not_blank),
]
"""The caller's id of a unit, as long as in a landed file."""

Key = Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9._-]{1,100}$")]
"""The key of a declaration."""


class BodyMiddleware:
    """Answers 415 and 413 before a body is read, or as soon as it proves too long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        problem = _unfit(headers)
        if problem is not None:
            await problem_response(problem, scope)(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, _TOO_LARGE)
            return message

        await self._app(scope, counted, send)


_TOO_LARGE = f"The body may hold {MAX_BODY_BYTES} bytes at most: send it in parts."


def _unfit(headers: Headers) -> Problem | None:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return Problem(
            415,
            "unsupported-media-type",
            "Send the body as application/json.",
            headers={"Accept": "application/json"},
        )
    if headers.get("content-encoding", "identity").lower() != "identity":
        return Problem(415, "unsupported-media-type", "Send the body without Content-Encoding.")
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        return Problem(413, "content-too-large", _TOO_LARGE)
    return None


def _storable(properties: dict[str, Any]) -> dict[str, Any]:
    """``properties`` if jsonb can hold them exactly; ValueError saying what it cannot hold."""
    waiting: list[tuple[Any, int]] = [(properties, 1)]
    while waiting:
        value, depth = waiting.pop()
        match value:
            case str():
                _check_text(value)
            case float() if not math.isfinite(value):
                raise ValueError("numbers must be finite")
            case dict() | list():
                if depth > MAX_DEPTH:
                    raise ValueError(f"values may be nested {MAX_DEPTH} deep at most")
                if isinstance(value, dict):
                    for name in value:
                        _check_text(name)
                inner = value.values() if isinstance(value, dict) else value
                waiting.extend((item, depth + 1) for item in inner)
    return properties


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise ValueError("text must not hold the character U+0000")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("text must not hold half of a surrogate pair") from None


Properties = Annotated[
    dict[str, Any],
    AfterValidator(_storable),
    Field(default_factory=dict, description=f"Any JSON object, nested {MAX_DEPTH} deep at most."),
]


def _written_out(value: object) -> object:
    # Pydantic would read a bare number as seconds or milliseconds, whichever it looks like.
    if not isinstance(value, str):
        raise ValueError("must be text, such as 2025-01-31T12:00:00Z")
    return value


def _plausible(instant: datetime) -> datetime:
    if instant < _EARLIEST:
        raise ValueError(f"must not lie before {_EARLIEST.year}")
    if instant > datetime.now(UTC) + _FUTURE_TOLERANCE:
        raise PydanticCustomError("future_time", "must not lie more than a day ahead")
    return instant.astimezone(UTC)


_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
# As in a landed file: no more than clocks and time zones explain.
_FUTURE_TOLERANCE = timedelta(days=1)

Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_written_out),
    AfterValidator(_plausible),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2025-01-31T12:00:00Z"]}),
]
"""A time with its offset from UTC, as RFC 3339 text; converted to UTC."""
