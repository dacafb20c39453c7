"""Tables of units in and out of ``POST /v1/assignments:batch``: NDJSON, an object a line, or an Arrow IPC stream.

An object's members, or a table's columns, are ``unit_id`` and the unit's attributes. There is an answer for every row,
in the order of the rows. A row that cannot be used has the status "invalid" and says why in ``error``; the others go
on. numpy and pyarrow are imported with the first table: a process that is never sent one does without them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from api.problems import Problem
from causeway.assignment.flags import FlagSet
from causeway.assignment.sticky import StickyRecord

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
MEDIA_TYPES = (NDJSON, ARROW)

UNIT = "unit_id"
INVALID = "invalid"
MOST_UNITS = 500_000
ANSWERED = (
    UNIT,
    "variant",
    "config",
    "in_experiment",
    "status",
    "reason",
    "bucket",
    "sticky",
    "layer",
    "holdout",
    "randomization_unit",
    "unit_attribute",
    "window_start",
    "policy_version",
    "error",
)
"""Columns of the answer. ``config`` is JSON; ``error`` is null unless the row is invalid."""


@dataclass(frozen=True, slots=True)
class Units:
    """What was sent: the units with those attributes that matter, and, by row from 0, what is wrong with some."""

    table: pa.Table
    errors: Mapping[int, str]


def attributes_of(flag_set: FlagSet, experiment: str) -> frozenset[str]:
    """The attributes that make a difference to an experiment; what else is sent of a unit need not be kept."""
    from causeway.assignment.batch.reach import reach_of

    return frozenset(reach_of(flag_set, experiment).attributes)


def read_units(body: bytes, media_type: str, attributes: Collection[str]) -> Units:
    """The units that ``body`` holds. Problem 400 if it is no table of units, 413 if there are too many."""
    if media_type == ARROW:
        from api.assignments.batch_arrow import read_stream

        return read_stream(body, attributes)
    from api.assignments.batch_lines import read_lines

    return read_lines(body, attributes)


def assigned(
    flag_set: FlagSet,
    experiment: str,
    units: Units,
    *,
    at: datetime,
    sticky: Mapping[str, StickyRecord] | None = None,
) -> pa.Table:
    """A row for every unit with the columns ANSWERED. ``sticky`` holds what is stored of the units, by record key."""
    import pyarrow as pa

    from causeway.assignment.batch.table import assign_table

    rows = units.table.num_rows
    table, errors = units.table, pa.nulls(rows, pa.string())
    if units.errors:
        usable = [row for row in range(rows) if row not in units.errors]
        table = table.take(pa.array(usable, pa.int64()))
    found = assign_table(flag_set, experiment, table, unit_column=UNIT, at=at, sticky=sticky)
    found = found.rename_columns({"value": "config"})
    if units.errors:
        place = dict(zip(usable, range(len(usable)), strict=True))
        found = _with_the_invalid(found.take(pa.array([place.get(row) for row in range(rows)], pa.int64())))
        found = found.set_column(found.column_names.index(UNIT), UNIT, units.table.column(UNIT))
        errors = pa.array([units.errors.get(row) for row in range(rows)], pa.string())
    return found.append_column("error", errors).select(ANSWERED)


def _with_the_invalid(found: pa.Table) -> pa.Table:
    """Rows of nulls, which stand for what could not be used, say so."""
    import pyarrow as pa
    import pyarrow.compute as pc  # type: ignore[import-untyped]

    for name, value in {"status": INVALID, "reason": "ERROR", "in_experiment": False, "sticky": False}.items():
        column = found.column(name).combine_chunks()
        if isinstance(value, str):
            kind = column.type
            filled = pc.fill_null(column.cast(pa.string()), value).dictionary_encode().cast(kind)
        else:
            filled = pc.fill_null(column, value)
        found = found.set_column(found.column_names.index(name), name, filled)
    return found


def write_assigned(table: pa.Table, media_type: str) -> bytes:
    """The answer as a body of this media type."""
    if media_type == ARROW:
        from api.assignments.batch_arrow import write_stream

        return write_stream(table)
    from api.assignments.batch_lines import write_lines

    return write_lines(table)


def too_many() -> Problem:
    """The answer to more units than one request may bring."""
    return Problem(413, "content-too-large", f"A request may bring {MOST_UNITS:,} units at most: send them in parts.")
