"""Pages by cursor: the cursor names the last key seen, so rows that come and go shift nothing."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import urlencode

from api.problems import FieldError, Problem

_KEY = re.compile(r"[A-Za-z0-9._-]{1,100}")
_VERSION = "1:"


def cursor_after(key: str) -> str:
    """The opaque cursor of the page that begins behind ``key``."""
    return base64.urlsafe_b64encode(f"{_VERSION}{key}".encode()).decode().rstrip("=")


def key_before(cursor: str | None) -> str:
    """The key behind which the page of ``cursor`` begins, "" for the first; Problem 422 if it is not ours."""
    if cursor is None:
        return ""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (UnicodeError, binascii.Error, ValueError):
        text = ""
    key = text.removeprefix(_VERSION)
    if not text.startswith(_VERSION) or not _KEY.fullmatch(key):
        raise unknown_cursor()
    return key


def unknown_cursor() -> Problem:
    """The answer to a cursor that no page gave."""
    error = FieldError(location=["query", "cursor"], code="cursor", message="Take the cursor from a page's next.")
    return Problem(422, "invalid-request", "The cursor is not one of ours.", errors=[error])


def link_to_next(path: str, cursor: str, limit: int) -> str:
    """The Link header (RFC 8288) of a page that has a next one."""
    return f'<{path}?{urlencode({"cursor": cursor, "limit": limit})}>; rel="next"'
