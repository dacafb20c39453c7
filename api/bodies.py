"""What a request may bring: JSON, of limited size and depth, with text that Postgres can hold."""

from __future__ import annotations

import asyncio
import math
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import zstandard
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


@dataclass(frozen=True)
class Accepted:
    """What a route takes: media types, and how large a body may be once it is decoded."""

    media_types: frozenset[str]
    most_bytes: int = MAX_BODY_BYTES


_JSON = Accepted(frozenset({"application/json"}))
_BY_PATH = {
    "/v1/events": Accepted(
        frozenset({"application/json", "application/cloudevents+json", "application/cloudevents-batch+json"})
    ),
    "/v1/assignments:batch": Accepted(
        frozenset({"application/x-ndjson", "application/vnd.apache.arrow.stream"}), 64 * 1024 * 1024
    ),
}
_BY_METHOD = {"PATCH": Accepted(frozenset({"application/merge-patch+json", "application/json"}))}
# Its data may be of any media type of JSON; the event itself is in the headers.
_CLOUDEVENT_HEADER = "ce-specversion"
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s";]*)', re.IGNORECASE)
_UTF_8 = frozenset({"utf-8", "utf8", "us-ascii"})


class BodyMiddleware:
    """Answers 415 and 413 before a body is read, or as soon as it proves too long; decodes gzip and zstd."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        accepted = _BY_PATH.get(scope["path"]) or _BY_METHOD.get(scope["method"], _JSON)
        encoding = headers.get("content-encoding", "identity").strip().lower()
        try:
            _check_headers(headers, accepted, encoding)
            counted = _counted(receive, accepted.most_bytes)
            if encoding != "identity":
                counted = _decoded(counted, encoding, accepted.most_bytes)
                # In place: what the rest of the application notes in the scope, whoever counts requests reads there.
                scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _OF_THE_CODED]
        except Problem as problem:
            await problem_response(problem, scope)(scope, receive, send)
            return
        await self._app(scope, counted, send)


_OF_THE_CODED = frozenset({b"content-encoding", b"content-length"})


def media_type_of(headers: Headers) -> str:
    """The media type of a body, in lower case and without its parameters; empty if there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_headers(headers: Headers, accepted: Accepted, encoding: str) -> None:
    media_type = media_type_of(headers)
    is_data = _CLOUDEVENT_HEADER in headers and media_type.startswith("application/") and media_type.endswith("+json")
    if media_type not in accepted.media_types and not is_data:
        listed = ", ".join(sorted(accepted.media_types))
        raise Problem(415, "unsupported-media-type", f"Send the body as {listed}.", headers={"Accept": listed})
    charset = _CHARSET.search(headers["content-type"])
    if charset is not None and charset[1].lower() not in _UTF_8:
        raise Problem(415, "unsupported-media-type", "Send the body in UTF-8.")
    if encoding not in _DECODED_BY and encoding != "identity":
        listed = "gzip, zstd"
        raise Problem(
            415,
            "unsupported-media-type",
            f"Send the body as it is, or with Content-Encoding {listed}.",
            headers={"Accept-Encoding": listed},
        )
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > accepted.most_bytes:
        raise _too_large(accepted.most_bytes)


def _too_large(most_bytes: int) -> Problem:
    return Problem(413, "content-too-large", f"The body may hold {most_bytes} bytes at most: send it in parts.")


def _counted(receive: Receive, most_bytes: int) -> Receive:
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most_bytes:
            raise HTTPException(413, _too_large(most_bytes).detail)
        return message

    return counted


def _decoded(receive: Receive, encoding: str, most_bytes: int) -> Receive:
    """The body as one message, decoded once all of it is there: a bomb is given up before it is written out."""
    is_read = False

    async def decoded() -> Message:
        nonlocal is_read
        if is_read:
            return await receive()
        parts = []
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return message
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                break
        is_read = True
        try:
            # In a thread, for other requests to go on meanwhile.
            body = await asyncio.to_thread(_DECODED_BY[encoding], b"".join(parts), most_bytes)
        except _Undecodable:
            raise HTTPException(400, f"The body is not {encoding}.") from None
        if len(body) > most_bytes:
            raise HTTPException(413, _too_large(most_bytes).detail)
        return {"type": "http.request", "body": body, "more_body": False}

    return decoded


class _Undecodable(Exception):
    """The body is not in the encoding that its header names."""


def _from_gzip(body: bytes, most_bytes: int) -> bytes:
    """Up to ``most_bytes`` + 1 bytes of what was packed, in one member or several."""
    content = b""
    try:
        while body:
            member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            content += member.decompress(body, most_bytes + 1 - len(content))
            if len(content) > most_bytes:
                return content
            if not member.eof:
                raise _Undecodable
            body = member.unused_data
    except zlib.error:
        raise _Undecodable from None
    return content


def _from_zstd(body: bytes, most_bytes: int) -> bytes:
    """Up to ``most_bytes`` + 1 bytes of what was packed, in one frame or several."""
    reader = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).stream_reader(body, read_across_frames=True)
    try:
        content = reader.read(most_bytes + 1)
        # The reader takes a frame that was cut short for its end.
        if len(content) <= most_bytes and not _ends_well(body):
            raise _Undecodable
    except zstandard.ZstdError:
        raise _Undecodable from None
    return content


def _ends_well(body: bytes) -> bool:
    while body:
        frame = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()
        frame.decompress(body)
        if not frame.eof:
            return False
        body = frame.unused_data
    return True


# What RFC 8878 asks every decoder to be able to hold.
_LARGEST_WINDOW = 8 * 1024 * 1024
_DECODED_BY: Mapping[str, Callable[[bytes, int], bytes]] = {
    "gzip": _from_gzip,
    "x-gzip": _from_gzip,
    "zstd": _from_zstd,
}


def unstorable(properties: Mapping[str, Any]) -> str | None:
    """Why jsonb cannot hold ``properties`` exactly; None if it can."""
    waiting: list[tuple[Any, int]] = [(properties, 1)]
    while waiting:
        value, depth = waiting.pop()
        problem = None
        match value:
            case str():
                problem = _problem_of_text(value)
            case float() if not math.isfinite(value):
                problem = "numbers must be finite, and whole ones fit into 64 bits"
            case dict() | list():
                if depth > MAX_DEPTH:
                    return f"values may be nested {MAX_DEPTH} deep at most"
                if isinstance(value, dict):
                    problem = next(filter(None, map(_problem_of_text, value)), None)
                inner = value.values() if isinstance(value, dict) else value
                waiting.extend((item, depth + 1) for item in inner)
        if problem is not None:
            return problem
    return None


def _problem_of_text(text: str) -> str | None:
    if "\x00" in text:
        return "text must not hold the character U+0000"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "text must not hold half of a surrogate pair"
    return None


def _storable(properties: dict[str, Any]) -> dict[str, Any]:
    problem = unstorable(properties)
    if problem is not None:
        raise ValueError(problem)
    return properties


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
