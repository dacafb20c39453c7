"""A table that cannot be landed at all."""

from __future__ import annotations

from collections.abc import Sequence


class LandingError(ValueError):
    """A table that cannot be landed: unreadable as a whole, or without a column that is needed.

    ``str()`` has one line per problem; `column` is the first missing column, when columns are what is
    missing.
    """

    def __init__(self, problems: Sequence[str], column: str | None = None) -> None:
        self.problems = tuple(problems)
        self.column = column
        super().__init__("\n".join(self.problems))
