"""Versions as texts that sort: GrowthBook's `paddedVersionString`, with room for longer numbers."""

from __future__ import annotations

import re

from causeway.assignment.json_values import Json, number_text

_SEPARATOR = re.compile(r"[-.]")
_DIGITS = 16


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
    parts = _SEPARATOR.split(value.removeprefix("v").partition("+")[0])
    if len(parts) == 3:
        parts.append("~")
    return "-".join(part.rjust(_DIGITS) if part.isascii() and part.isdigit() else part for part in parts)
