"""The evaluation context that a request brings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from api.bodies import MAX_DEPTH
from api.json_text import read_json
from api.ofrep.answers import Refused
from api.problems import Problem

TARGETING_KEY = "targetingKey"
MAX_KEY_LENGTH = 512

# As everywhere a unit is named: what could not be stored, or would look like another unit, is none.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def context_of(body: bytes) -> Mapping[str, Any]:
    """The context of a request; {} if it brings none. Refused, with OFREP's error code, if it cannot be read."""
    document = _read(body)
    if not isinstance(document, dict):
        raise Refused("PARSE_ERROR", "The body must be a JSON object with the member context.")
    context = document.get("context", {})
    if not isinstance(context, dict):
        raise Refused("INVALID_CONTEXT", "context must be an object.")
    # No deeper than it has brackets, which spares most contexts the walk.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_too_deep(context):
        raise Refused("INVALID_CONTEXT", f"context may be nested {MAX_DEPTH} deep at most.")
    key = context.get(TARGETING_KEY)
    if key is not None and key != "":
        _check(key)
    return context


def _is_too_deep(context: Mapping[str, Any]) -> bool:
    waiting: list[tuple[Any, int]] = [(context, 1)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                return True
            waiting.extend((item, depth + 1) for item in (value.values() if isinstance(value, dict) else value))
    return False


def _check(key: object) -> None:
    if not isinstance(key, str):
        raise Refused("INVALID_CONTEXT", "targetingKey must be text.")
    if len(key) > MAX_KEY_LENGTH:
        raise Refused("INVALID_CONTEXT", f"targetingKey may have {MAX_KEY_LENGTH} characters at most.")
    if key.isspace() or _CONTROL.search(key):
        raise Refused("INVALID_CONTEXT", "targetingKey must not be blank or hold control characters.")


def _read(body: bytes) -> Any:
    try:
        # Strict about numbers, text and depth; the other one is strict about members that are there twice.
        document = orjson.loads(body)
        read_json(body)
    except ValueError as error:
        raise Refused("PARSE_ERROR", f"The body is not JSON: {_in_a_line(error)}.") from None
    except Problem as problem:
        why = "; ".join(field.message for field in problem.errors) or problem.detail
        raise Refused("PARSE_ERROR", f"The body cannot be read: {why}.") from None
    return document


def _in_a_line(error: Exception) -> str:
    return str(error).encode("ascii", "backslashreplace").decode().partition("\n")[0][:300]
