"""Sorting rows into those that go on and those that are quarantined, each with its number, a code and a
reason in words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from causeway.landing.cells import Parsed, as_text, has_nul, is_blank, json_objects
from causeway.landing.table import QUARANTINE_SCHEMA, TableRead

MAX_ID_CHARACTERS = 512
FUTURE_TOLERANCE = dt.timedelta(days=1)

_SHOWN_CHARACTERS = 100


@dataclass(frozen=True)
class Rule:
    """Which rows are refused under a code; the reason is `reason`, with the row's `value` in quotes and
    `rest` after it if given.
    """

    refused: pl.Series
    code: str
    reason: str
    value: pl.Series | None = None
    rest: str = ""


@dataclass(frozen=True)
class UnitRows:
    """Of the rows kept: the first of each unit, and the first of each unit in each of its variants."""

    first: pl.Series
    assigned: pl.Series


class Sorting:
    """A table being sorted: its readable frame, and the quarantine that fills up."""

    def __init__(self, table: TableRead | pl.DataFrame, landed_at: dt.datetime) -> None:
        if landed_at.tzinfo is None:
            raise ValueError("landed_at needs a time zone")
        read = table if isinstance(table, TableRead) else TableRead.of(table)
        self.frame = read.frame
        self.row_numbers = read.row_numbers
        self.rows = read.rows
        self.landed_at = landed_at
        self._quarantined = [read.bad_rows]

    def column(self, name: str) -> pl.Series:
        """A column of the table, or nulls when it has none of that name."""
        if name in self.frame.columns:
            return self.frame.get_column(name)
        return pl.Series(name, [None], dtype=pl.String).new_from_index(0, self.frame.height)

    def refuse(self, rules: Sequence[Rule]) -> pl.Series:
        """Quarantine every row by the first rule that refuses it; the mask of the others is returned."""
        kept = pl.Series([True]).new_from_index(0, self.frame.height)
        for rule in rules:
            hit = rule.refused.fill_null(False) & kept
            if hit.any():
                self._quarantine(hit, rule)
                kept = kept & ~hit
        return kept

    def refuse_repeated(self, kept: pl.Series, units: pl.Series, variants: pl.Series | None) -> UnitRows:
        """Quarantine all rows of a unit but its first, as duplicate_unit, naming both rows (and variants, if
        they differ).
        """
        present = units.filter(kept)
        if present.n_unique() == len(present):
            return UnitRows(kept, kept)
        same = pl.Series([""]).new_from_index(0, len(units))
        rows = (
            pl.DataFrame({"row": self.row_numbers, "unit": units, "variant": same if variants is None else variants})
            .with_row_index("index")
            .filter(kept)
            .with_columns(
                first_row=pl.col("row").first().over("unit"),
                first_variant=pl.col("variant").first().over("unit"),
                first_row_in_variant=pl.col("row").first().over("unit", "variant"),
            )
        )
        repeated = rows.filter(pl.col("row") != pl.col("first_row"))
        crossed = pl.col("variant") != pl.col("first_variant")
        unit = pl.col("unit").str.head(_SHOWN_CHARACTERS)
        reasons = repeated.select(
            pl.when(crossed)
            .then(
                pl.format(
                    "unit '{}' of row {} is in variant '{}' and was in variant '{}' in row {}:"
                    " both assignments are kept, the outcome of row {} counts",
                    unit,
                    "row",
                    "variant",
                    "first_variant",
                    "first_row",
                    "first_row",
                )
            )
            .otherwise(pl.format("unit '{}' of row {} was already in row {}", unit, "row", "first_row"))
        ).to_series()
        self._add(repeated.get_column("index"), "duplicate_unit", reasons)
        nowhere = pl.Series([False]).new_from_index(0, len(units))
        first = rows.filter(pl.col("row") == pl.col("first_row")).get_column("index")
        assigned = rows.filter(pl.col("row") == pl.col("first_row_in_variant")).get_column("index")
        return UnitRows(nowhere.scatter(first, True), nowhere.clone().scatter(assigned, True))

    def note_bad_cells(self, cells: Mapping[str, Parsed], rows: pl.Series) -> None:
        """Quarantine, as not_a_number, each bad cell of the given rows; the rows themselves go on."""
        for name, parsed in cells.items():
            hit = parsed.bad & rows
            if hit.any():
                text = as_text(self.frame.get_column(name)).fill_null("NaN")
                where = pl.select(pl.format("row {}, column ", self.row_numbers.filter(hit))).to_series()
                rest = where + f"{name!r}: '" + text.filter(hit).str.head(_SHOWN_CHARACTERS) + "' is not a number"
                self._add(hit.arg_true(), "not_a_number", rest)

    def quarantine(self) -> pl.DataFrame:
        """Everything quarantined so far, in the order of the rows."""
        return pl.concat(self._quarantined).sort("row_number", maintain_order=True)

    def _quarantine(self, hit: pl.Series, rule: Rule) -> None:
        count = int(hit.sum())
        reasons = pl.Series([rule.reason]).new_from_index(0, count)
        if rule.value is not None:
            shown = rule.value.filter(hit).fill_null("").str.head(_SHOWN_CHARACTERS)
            reasons = reasons + "'" + shown + "'" + rule.rest
        self._add(hit.arg_true(), rule.code, reasons)

    def _add(self, indices: pl.Series, code: str, reasons: pl.Series) -> None:
        rows = self.frame[indices]
        self._quarantined.append(
            pl.DataFrame(
                {
                    "row_number": self.row_numbers[indices],
                    "code": pl.Series([code]).new_from_index(0, len(indices)),
                    "reason": reasons,
                    "record": json_objects(rows.get_columns(), rows.height, keep_nulls=True),
                },
                schema=QUARANTINE_SCHEMA,
            )
        )


def id_rules(units: pl.Series) -> list[Rule]:
    """A unit's id must be there, fit, and have no NUL."""
    return [
        Rule(is_blank(units), "missing_unit", "the row has no unit id"),
        *length_rules("unit_id", units),
        *nul_rules([units]),
    ]


def length_rules(name: str, ids: pl.Series) -> list[Rule]:
    """Ids are part of database keys, which have a limit."""
    return [
        Rule(
            ids.str.len_chars() > MAX_ID_CHARACTERS,
            "id_too_long",
            f"{name} has more than {MAX_ID_CHARACTERS} characters",
        )
    ]


def nul_rules(columns: Sequence[pl.Series]) -> list[Rule]:
    """Text with a NUL character cannot be stored."""
    return [
        Rule(has_nul(column), "null_byte", f"column {column.name!r} has a NUL character in it")
        for column in columns
        if column.dtype == pl.String
    ]


def time_rules(name: str, times: pl.Series, landed_at: dt.datetime, written: pl.Series | None = None) -> list[Rule]:
    """A time must be readable, and not lie further ahead than clocks and time zones explain."""
    value = as_text(times if written is None else written)
    latest = landed_at + FUTURE_TOLERANCE
    return [
        Rule(times.is_null(), "bad_time", f"{name} ", value, " is no time in RFC 3339"),
        Rule(
            times > latest,
            "future_time",
            f"{name} ",
            value,
            f" is more than a day after {landed_at.isoformat()}",
        ),
    ]
