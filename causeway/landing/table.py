"""A table as it was read: its rows, their numbers in the file, and the rows that could not be read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

QUARANTINE_SCHEMA: dict[str, pl.DataType] = {
    "row_number": pl.Int64(),
    "code": pl.String(),
    "reason": pl.String(),
    "record": pl.String(),
}


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used: its number (from 1, the header not counted), why, and its text."""

    row_number: int
    code: str
    reason: str
    text: str


def quarantine_of(rows: Sequence[BadRow]) -> pl.DataFrame:
    """Quarantine rows, their text as JSON ``{"line": ...}``."""
    return pl.DataFrame(
        {
            "row_number": [row.row_number for row in rows],
            "code": [row.code for row in rows],
            "reason": [row.reason for row in rows],
            "record": [json.dumps({"line": row.text}) for row in rows],
        },
        schema=QUARANTINE_SCHEMA,
    )


@dataclass(frozen=True)
class TableRead:
    """The readable rows of a table, and the others.

    `frame` has the table's columns; `row_numbers` (Int64, same height) says which row of the table each one
    was, from 1 and counting the unreadable ones; `bad_rows` has the columns of a quarantine.
    """

    frame: pl.DataFrame
    row_numbers: pl.Series
    bad_rows: pl.DataFrame

    @classmethod
    def of(cls, frame: pl.DataFrame) -> TableRead:
        """A frame of which every row could be read."""
        return cls(frame, pl.int_range(1, frame.height + 1, dtype=pl.Int64, eager=True), quarantine_of(()))

    @property
    def rows(self) -> int:
        """Rows of the table, readable or not."""
        return self.frame.height + self.bad_rows.height
