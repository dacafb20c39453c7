"""Versions as texts that sort: GrowthBook's `paddedVersionString`, with room for longer numbers."""

from __future__ import annotations

import re
from functools import lru_cache

from causeway.assignment.json_values import Json, number_text

_SEPARATOR = re.compile(r"[-.]")
_DIGITS = 16
# Units have few versions among them; what is longer than any version is not kept.
_SHORT = 64


def sortable_version(value: Json) -> str | None:
    """A text that sorts as the version does; None for what is no version.

    A leading v and build information are left out, and numbers are padded. A release gets a last part "~", which
    sorts after every pre-release.

    >>> sortable_version("1.10.0") > sortable_version("1.9.0") > sortable_version("1.9.0-rc.1")
    True
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = number_text(value)
    if not isinstance(value, str) or not value:
        return None
    return _remembered(value) if len(value) <= _SHORT else _sortable(value)


def _sortable(version: str) -> str:
    parts = _SEPARATOR.split(version.removeprefix("v").partition("+")[0])
    if len(parts) == 3:
        parts.append("~")
    return "-".join(part.rjust(_DIGITS) if part.isascii() and part.isdigit() else part for part in parts)


_remembered = lru_cache(maxsize=1024)(_sortable)
