"""Regular expressions that are matched in time linear in the text, by RE2."""

from __future__ import annotations

from collections.abc import Callable

import re2  # type: ignore[import-untyped]

Search = Callable[[str], bool]


class NotLinearError(ValueError):
    """A pattern that RE2 cannot express: no valid one, or one with look-arounds or back-references."""


def linear_search(pattern: str, *, any_case: bool = False) -> Search:
    """A function that says whether a text holds the pattern. Raises NotLinearError.

    A text with lone surrogates, which RE2 cannot read, holds no pattern.
    """
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not any_case
    try:
        search = re2.compile(pattern, options=options).search
    except (re2.error, UnicodeEncodeError) as error:
        raise NotLinearError(f"RE2 cannot express {pattern[:100]!r}") from error

    def found(text: str) -> bool:
        try:
            return search(text) is not None
        except UnicodeEncodeError:
            return False

    return found
