"""Tables into raw records: events, assignments, and a quarantine for every row or cell that cannot be one."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from causeway.declarations.declaration import Declaration, Path
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.problem import path_text
from causeway.declarations.study import StudyDeclaration
from causeway.declarations.suggestion import did_you_mean
from causeway.landing.cells import Parsed, as_number, as_text, as_time, as_value, is_blank, json_objects
from causeway.landing.error import LandingError
from causeway.landing.properties import stream_properties
from causeway.landing.sorting import Rule, Sorting, id_rules, length_rules, nul_rules, time_rules
from causeway.landing.table import TableRead

ASSIGNMENT = "assignment"
RECORD_EVENT = "record"

_UTC = pl.Datetime("us", "UTC")
_RECORD: dict[str, pl.DataType] = {
    "source": pl.String(),
    "event_id": pl.String(),
    "type": pl.String(),
    "unit_id": pl.String(),
    "occurred_at": _UTC,
    "sent_at": _UTC,
}
EVENTS_SCHEMA: dict[str, pl.DataType] = {**_RECORD, "properties": pl.String()}
ASSIGNMENTS_SCHEMA: dict[str, pl.DataType] = {
    **_RECORD,
    "experiment": pl.String(),
    "variant": pl.String(),
    "properties": pl.String(),
}

Cells = Mapping[str, Parsed]


@dataclass(frozen=True)
class LandingCounts:
    """How many rows came and what became of them; `by_code` counts the quarantine's rows by their code."""

    rows: int
    events: int
    assignments: int
    quarantined: int
    by_code: Mapping[str, int]


@dataclass(frozen=True)
class LandingRecords:
    """What a landed table turns into: frames with EVENTS_SCHEMA, ASSIGNMENTS_SCHEMA and QUARANTINE_SCHEMA."""

    events: pl.DataFrame
    assignments: pl.DataFrame
    quarantine: pl.DataFrame
    counts: LandingCounts


def trial_records(
    table: TableRead | pl.DataFrame, declaration: ExperimentDeclaration, source: str, landed_at: dt.datetime
) -> LandingRecords:
    """Records of a file-backed experiment: per unit one assignment and one record event.

    The record carries every column of the file but those of unit, variant and time: metrics as numbers,
    covariates as numbers or text, all others as text, blanks as null. Both are dated by the source's
    occurred_at column, or else `landed_at` (with a zone). Rows without unit or variant, and all but the first
    row of a unit, are quarantined; a unit's first row in another variant still lands its assignment, so that
    the crossover is seen. A metric or covariate cell that should be a number and is not becomes null and is
    quarantined by itself. Variants land as written, listed or not.

    Raises LandingError when a declared column is missing, and ValueError when the declaration names no table.
    """
    where = declaration.source
    if where is None:
        raise ValueError(f"experiment {declaration.key!r} names no table in its source")
    sorting = Sorting(table, landed_at)
    frame = sorting.frame
    require_columns(frame, declaration)
    units = _unit_ids(sorting, where.unit_id)
    variants = (
        pl.repeat(declaration.control, frame.height, eager=True)
        if where.variant is None
        else as_text(frame.get_column(where.variant))
    )
    times = _times(sorting, where.occurred_at)
    cells = _cells(
        frame,
        roles={where.unit_id, where.variant, where.occurred_at},
        numbers=set(declaration.metric_columns),
        values=set(declaration.covariates),
        labels={*declaration.segments, *([declaration.cluster] if declaration.cluster else [])},
    )

    kept = sorting.refuse(
        [
            *id_rules(units),
            Rule(is_blank(variants), "missing_variant", f"column {where.variant!r} has no variant"),
            *length_rules("variant", variants),
            *nul_rules([variants, *(parsed.values for parsed in cells.values())]),
            *time_rules("time of assignment", times.values, landed_at),
        ]
    )
    rows = sorting.refuse_repeated(kept, units, variants)
    sorting.note_bad_cells(cells, rows.first)
    events = _events(RECORD_EVENT, source, units, times.values, cells).filter(rows.first)
    assignments = pl.DataFrame(
        {
            "event_id": _assignment_ids(units, variants, rows.first),
            "unit_id": units,
            "occurred_at": times.values,
            "variant": variants,
        }
    ).filter(rows.assigned)
    return _records(
        sorting,
        events,
        assignments.with_columns(
            source=pl.lit(source),
            type=pl.lit(ASSIGNMENT),
            sent_at=pl.lit(None, dtype=_UTC),
            experiment=pl.lit(declaration.key),
            properties=pl.lit("{}"),
        ).select(list(ASSIGNMENTS_SCHEMA)),
    )


def study_records(
    table: TableRead | pl.DataFrame, declaration: StudyDeclaration, source: str, landed_at: dt.datetime
) -> LandingRecords:
    """Records of a file-backed study: one record event per row, with every column of the file but the unit's.

    Outcomes, weights and the like are numbers, clusters, blocks and segments text, the other declared columns
    numbers or text, as they hold, and those that are not declared are text; blanks are null. Of a unit the first
    row counts. Rows without a unit and further rows of one are quarantined, and so, by themselves, are declared
    cells that should be numbers and are not.

    Raises LandingError when a declared column is missing, and ValueError when the declaration names no file.
    """
    where = declaration.source
    if where.file is None:
        raise ValueError(f"study {declaration.key!r} names no file in its source")
    read = table if isinstance(table, TableRead) else TableRead.of(table)
    sorting = Sorting(replace(read, frame=_named_as_declared(read.frame, declaration)), landed_at)
    frame = sorting.frame
    require_columns(frame, declaration)
    units = _unit_ids(sorting, where.unit_id)
    cells = _cells(
        frame,
        roles={where.unit_id},
        numbers=set(declaration.number_columns),
        values=set(declaration.columns) - declaration.number_columns - declaration.label_columns,
        labels=set(declaration.label_columns),
    )
    kept = sorting.refuse([*id_rules(units), *nul_rules([parsed.values for parsed in cells.values()])])
    rows = sorting.refuse_repeated(kept, units, None)
    sorting.note_bad_cells(cells, rows.first)
    times = _times(sorting, None)
    events = _events(RECORD_EVENT, source, units, times.values, cells).filter(rows.first)
    return _records(sorting, events, pl.DataFrame(schema=ASSIGNMENTS_SCHEMA))


def event_records(table: TableRead | pl.DataFrame, source: str, landed_at: dt.datetime) -> LandingRecords:
    """Records of an event stream: columns type, unit_id and occurred_at, and event_id and sent_at where they
    are there.

    Rows of type "assignment" need experiment and variant too. Every other column becomes a property; a column
    called properties holds a JSON object whose keys join them. An event without an id gets the SHA-256 of its
    content, so that the same content landed twice is one event. Quarantined are rows without type or unit,
    with an id beyond 512 characters, with a NUL, with a time that cannot be read or lies more than a day
    after `landed_at` (with a zone), or with properties that are no JSON object.

    Raises LandingError when one of the three columns is missing.
    """
    sorting = Sorting(table, landed_at)
    frame = sorting.frame
    missing = [name for name in ("type", "unit_id", "occurred_at") if name not in frame.columns]
    if missing:
        raise LandingError([_missing_column(name, frame.columns) for name in missing], missing[0])
    kinds, units = (as_text(frame.get_column(name)) for name in ("type", "unit_id"))
    times, sent = (as_time(sorting.column(name)) for name in ("occurred_at", "sent_at"))
    given_ids = as_text(sorting.column("event_id"))
    assigning = (kinds == ASSIGNMENT).fill_null(False)
    experiments, variants = (as_text(sorting.column(name)).set(~assigning, None) for name in ("experiment", "variant"))
    properties = stream_properties(frame, assigning)
    kept = sorting.refuse(
        [
            Rule(is_blank(kinds), "missing_type", "the event has no type"),
            *id_rules(units),
            *length_rules("type", kinds),
            *length_rules("event_id", given_ids),
            *length_rules("experiment", experiments),
            *length_rules("variant", variants),
            Rule(assigning & is_blank(experiments), "missing_experiment", "the assignment names no experiment"),
            Rule(assigning & is_blank(variants), "missing_variant", "the assignment names no variant"),
            Rule(properties.invalid, "bad_properties", "the properties are not one JSON object"),
            *nul_rules([kinds, given_ids, experiments, variants]),
            Rule(properties.has_nul, "null_byte", "the properties have a NUL character in them"),
            *time_rules("occurred_at", times.values, landed_at, written=frame.get_column("occurred_at")),
            Rule(
                sent.bad,
                "bad_time",
                "sent_at ",
                as_text(sorting.column("sent_at")),
                " is no time in RFC 3339",
            ),
        ]
    )
    content = pl.DataFrame(
        {
            "event_id": given_ids.set(is_blank(given_ids), None),
            "type": kinds,
            "unit_id": units,
            "occurred_at": times.values,
            "sent_at": sent.values,
            "experiment": experiments,
            "variant": variants,
            "properties": properties.text,
        }
    ).filter(kept)
    identified = _with_ids(content, frame.filter(kept)).with_columns(source=pl.lit(source))
    is_assignment = pl.col("type") == ASSIGNMENT
    return _records(
        sorting,
        identified.filter(~is_assignment).select(list(EVENTS_SCHEMA)),
        identified.filter(is_assignment).select(list(ASSIGNMENTS_SCHEMA)),
    )


def require_columns(frame: pl.DataFrame, declaration: ExperimentDeclaration | StudyDeclaration) -> None:
    """Raise LandingError, saying where each missing column was declared, unless the frame has them all.

    Raises ValueError for an experiment that names no table: its columns are properties of events.
    """
    if isinstance(declaration, ExperimentDeclaration):
        _require(frame, declaration, _experiment_columns(declaration))
    else:
        _require(_named_as_declared(frame, declaration), declaration, _study_columns(declaration))


def _records(sorting: Sorting, events: pl.DataFrame, assignments: pl.DataFrame) -> LandingRecords:
    quarantine = sorting.quarantine()
    by_code = dict(quarantine.group_by("code").len().sort("code").iter_rows())
    counts = LandingCounts(sorting.rows, events.height, assignments.height, quarantine.height, by_code)
    return LandingRecords(events, assignments, quarantine, counts)


def _events(kind: str, source: str, units: pl.Series, times: pl.Series, cells: Cells) -> pl.DataFrame:
    columns = [parsed.values.alias(name) for name, parsed in cells.items()]
    return pl.DataFrame(
        {
            "unit_id": units,
            "occurred_at": times,
            "properties": json_objects(columns, len(units), keep_nulls=True),
        }
    ).select(
        source=pl.lit(source),
        event_id=pl.col("unit_id") + f":{kind}",
        type=pl.lit(kind),
        unit_id="unit_id",
        occurred_at="occurred_at",
        sent_at=pl.lit(None, dtype=_UTC),
        properties="properties",
    )


def _cells(
    frame: pl.DataFrame, *, roles: set[str | None], numbers: set[str], values: set[str], labels: set[str]
) -> dict[str, Parsed]:
    """Every column of the file, so that what a later declaration asks for is there without landing again.

    A column of a role, such as the unit's id, is left out unless it is declared as something else too.
    """
    parsers: dict[str, Callable[[pl.Series], Parsed]] = {
        **dict.fromkeys((name for name in frame.columns if name not in roles), _label),
        **dict.fromkeys(labels, _label),
        **dict.fromkeys(values, as_value),
        **dict.fromkeys(numbers, as_number),
    }
    return {name: parsers[name](frame.get_column(name)) for name in frame.columns if name in parsers}


def _assignment_ids(units: pl.Series, variants: pl.Series, first: pl.Series) -> pl.Series:
    """``unit:assignment`` for a unit's first row; a digest of the variant tells a crossover's later
    assignments apart.
    """
    plain = units + f":{ASSIGNMENT}"
    crossed = variants.filter(~first).drop_nulls().unique()
    if crossed.is_empty():
        return plain
    digests = [hashlib.sha256(variant.encode()).hexdigest()[:12] for variant in crossed]
    suffix = variants.replace_strict(crossed, pl.Series(digests), default=None, return_dtype=pl.String)
    return plain.zip_with(first, plain + ":" + suffix)


def _unit_ids(sorting: Sorting, column: str | None) -> pl.Series:
    return as_text(sorting.row_numbers if column is None else sorting.frame.get_column(column))


def _times(sorting: Sorting, column: str | None) -> Parsed:
    if column is not None:
        return as_time(sorting.frame.get_column(column))
    height = sorting.frame.height
    landed = pl.Series([sorting.landed_at], dtype=_UTC).new_from_index(0, height)
    return Parsed(landed, pl.Series([False]).new_from_index(0, height))


def _label(column: pl.Series) -> Parsed:
    text = as_text(column)
    return Parsed(text.set(is_blank(text), None), pl.Series([False]).new_from_index(0, len(text)))


def _experiment_columns(declaration: ExperimentDeclaration) -> list[tuple[str | None, Path]]:
    where = declaration.source
    if where is None:
        raise ValueError(f"experiment {declaration.key!r} names no table in its source")
    return [
        (where.unit_id, ("source", "unit_id")),
        (where.variant, ("source", "variant")),
        (where.occurred_at, ("source", "occurred_at")),
        *(
            (column, ("metrics", index, "column"))
            for index, metric in enumerate(declaration.metrics)
            for column in metric.columns
        ),
        (declaration.cluster, ("cluster",)),
        *((column, ("covariates", index)) for index, column in enumerate(declaration.covariates)),
        *((column, ("segments", index)) for index, column in enumerate(declaration.segments)),
    ]


def _study_columns(declaration: StudyDeclaration) -> list[tuple[str | None, Path]]:
    return [(declaration.source.unit_id, ("source", "unit_id")), *declaration.columns.items()]


def _named_as_declared(frame: pl.DataFrame, declaration: StudyDeclaration) -> pl.DataFrame:
    """With the names that the study uses where blanks around a name are the only difference: no reader sees them,
    CSV is read without them, and Parquet keeps them.
    """
    stripped = Counter(name.strip() for name in frame.columns)
    written = {name.strip(): name for name in frame.columns if stripped[name.strip()] == 1}
    declared = [column for column, _ in _study_columns(declaration) if column is not None]
    return frame.rename(
        {
            written[column.strip()]: column
            for column in declared
            if column not in frame.columns and written.get(column.strip(), column) not in (column, *declared)
        }
    )


def _require(frame: pl.DataFrame, declaration: Declaration, needed: Sequence[tuple[str | None, Path]]) -> None:
    """Raise LandingError unless the frame has every column, saying where each missing one was declared."""
    missing = [(column, path) for column, path in needed if column is not None and column not in frame.columns]
    if not missing:
        return
    declared_at = declaration.declared_at
    problems = []
    for column, path in missing:
        place = f"{declared_at.name}:{declared_at.line(path)}: " if declared_at.name else ""
        problems.append(f"{place}{path_text(path)}: {_missing_column(column, frame.columns)}")
    raise LandingError(problems, missing[0][0])


def _missing_column(column: str, columns: Sequence[str]) -> str:
    listed = ", ".join(columns[:50]) + (f" and {len(columns) - 50} more" if len(columns) > 50 else "")
    return f"the table has no column {column!r}; its columns are {listed}{did_you_mean(column, columns)}"


def _with_ids(content: pl.DataFrame, written: pl.DataFrame) -> pl.DataFrame:
    """Events with an id each.

    What is hashed is the row as written, cell by cell and without empty cells, so that neither other rows of
    the file nor the order of its columns change an id.
    """
    anonymous = content.get_column("event_id").is_null()
    if not anonymous.any():
        return content
    unnamed = written.filter(anonymous)
    cells = [as_text(unnamed.get_column(name)) for name in sorted(unnamed.columns)]
    filled = [cell.set((cell == "").fill_null(False), None) for cell in cells]
    rows = json_objects(filled, unnamed.height, keep_nulls=False)
    digests = pl.Series([hashlib.sha256(row.encode()).hexdigest() for row in rows], dtype=pl.String)
    ids = content.get_column("event_id").scatter(anonymous.arg_true(), digests)
    return content.with_columns(event_id=ids)
