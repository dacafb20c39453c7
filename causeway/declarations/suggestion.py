"""Guessing what somebody meant to write."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

SYNONYMS = {
    "average": "mean",
    "avg": "mean",
    "binary": "conversion",
    "proportion": "conversion",
    "rate": "conversion",
    "total": "sum",
    "number": "count",
}


def did_you_mean(written: str, expected: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the expected word closest to what was written, or nothing when none is
    close.
    """
    by_spelling = {word: word for word in expected}
    for synonym, word in SYNONYMS.items():
        if word in by_spelling:
            by_spelling.setdefault(synonym, word)
    lowered = {spelling.lower(): word for spelling, word in by_spelling.items()}
    close = difflib.get_close_matches(written[:200].lower(), lowered, n=1, cutoff=0.6)
    return f" (did you mean {lowered[close[0]]!r}?)" if close else ""
