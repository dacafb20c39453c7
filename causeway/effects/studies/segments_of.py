"""The levels of the columns that a study's segments are, each to be answered on its own; none is left out unsaid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from causeway.declarations.study import StudyDeclaration

MOST_LEVELS = 50
"""Levels of a column that are answered, the largest first."""


@dataclass(frozen=True, slots=True)
class Level:
    """The rows of a frame where `column` has the value `level`, as text."""

    column: str
    level: str

    @property
    def name(self) -> str:
        """Such as "region=north"."""
        return f"{self.column}={self.level}"

    def among(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.filter(_as_text(frame.get_column(self.column)) == self.level)


@dataclass(frozen=True, slots=True)
class Levels:
    """Those of one column that are answered, and how many more there are, with how many rows, or rows without any."""

    column: str
    answered: tuple[Level, ...]
    more: int
    rows_of_more: int
    rows_without: int

    def as_document(self) -> dict[str, Any]:
        return {
            "answered": [each.level for each in self.answered],
            "levels_not_answered": self.more,
            "rows_of_levels_not_answered": self.rows_of_more,
            "rows_without_a_level": self.rows_without,
        }


def segments_of(frame: pl.DataFrame, study: StudyDeclaration) -> list[Levels]:
    """The levels of each declared segment that is a column of numbers or text; the others refuse the whole study.

    A level of few rows is answered too: its answer says that they are too few.
    """
    found = []
    for name in study.segments:
        if name not in frame.columns or frame.schema[name].is_nested() or frame.schema[name] == pl.Object:
            continue
        values = _as_text(frame.get_column(name))
        # Names of our own: the column's may be any.
        counts = values.drop_nulls().alias("level").value_counts(name="rows")
        counts = counts.sort(["rows", "level"], descending=[True, False])
        answered, others = counts.head(MOST_LEVELS), counts.slice(MOST_LEVELS)
        found.append(
            Levels(
                name,
                tuple(Level(name, level) for level in answered.get_column("level").to_list()),
                others.height,
                int(others.get_column("rows").sum()),
                values.null_count(),
            )
        )
    return found


def _as_text(values: pl.Series) -> pl.Series:
    """Infinite numbers are missing ones."""
    if values.dtype.is_float():
        values = values.set(~values.is_finite().fill_null(True), None)
    return values.cast(pl.String)
