"""Assignment of a whole table of units: Arrow in, Arrow out, each row equal to what ``evaluate`` says of it.

There is no second evaluator here. Rows are sorted into kinds between which nothing that the flag can look at makes a
difference (``batch_points``), ``evaluate`` is asked for one unit of each kind, and its answer holds for all of them.
Units that are named by an experiment, or of which an assignment is stored, are evaluated one by one.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from causeway.assignment.batch.columns import TARGETING_KEY, cells, plain, unit_texts
from causeway.assignment.batch.fnv import ROWS_AT_ONCE
from causeway.assignment.batch.outcomes import INSTANT, Outcomes, Rows
from causeway.assignment.batch.pieces import EARLIEST, MICROSECOND, Piece, Ways, instants, microseconds
from causeway.assignment.batch.points import Deal, HasUnit, LeafDeal, Meets, Point, Special, Time, of_filter, of_share
from causeway.assignment.batch.reach import Source, reach_of
from causeway.assignment.evaluate import evaluate
from causeway.assignment.flags import Experiment, ExperimentRule, FlagSet, Switchback
from causeway.assignment.json_values import unit_text
from causeway.assignment.sticky import StickyRecord, record_key

COLUMNS = (
    "unit_id",
    "variant",
    "value",
    "in_experiment",
    "status",
    "reason",
    "bucket",
    "layer",
    "holdout",
    "is_holdout",
    "sticky",
    "randomization_unit",
    "unit_attribute",
    "window_start",
    "policy_version",
)
"""The columns of an assigned table; they are those of an Evaluation. ``unit_id`` is the column that came in,
``randomization_unit`` what was hashed of it, ``value`` JSON text."""

_MOST_KINDS = 1 << 18
_UNKNOWN = -1
# Columns beside the attributes while a table is cut into pieces.
_OURS = ("special", "at", "timeless")


def assign_table(
    flag_set: FlagSet,
    experiment_key: str,
    units: pa.Table,
    *,
    unit_column: str = "unit_id",
    at_column: str | None = None,
    at: datetime | None = None,
    sticky: Mapping[str, StickyRecord] | None = None,
) -> pa.Table:
    """One row a unit, in the order of ``units``, with COLUMNS.

    A row's context holds the unit as ``targetingKey`` and every column under its own name; a null is an attribute that
    is not there. ``at_column``, a timestamp, is the time of each row, and ``at`` that of rows without one. ``sticky``
    holds what is stored of all units, by ``record_key``.

    Raises ValueError if the table lacks a column that is named, or has two of the same name.
    """
    attributes = _attributes(units, unit_column, at_column)
    if at is not None and at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    run = _Assignment(flag_set, experiment_key, attributes, at, sticky)
    times = None if at_column is None else units.column(at_column)
    return run.table(units.column(unit_column), times)


def _attributes(units: pa.Table, unit_column: str, at_column: str | None) -> dict[str, pa.ChunkedArray]:
    twice = [name for name in units.column_names if units.column_names.count(name) > 1]
    if twice:
        raise ValueError(f"the table has more than one column {twice[0]!r}")
    for name in filter(None, (unit_column, at_column)):
        if name not in units.column_names:
            raise ValueError(f"the table has no column {name!r}; it has {', '.join(units.column_names)}")
    named = {name: units.column(name) for name in units.column_names if name != at_column}
    return {**named, TARGETING_KEY: units.column(unit_column)}


class _Assignment:
    """One table before one flag."""

    def __init__(
        self,
        flag_set: FlagSet,
        key: str,
        attributes: Mapping[str, pa.ChunkedArray],
        at: datetime | None,
        sticky: Mapping[str, StickyRecord] | None,
    ) -> None:
        self._flag_set, self._key, self._at, self._sticky = flag_set, key, at, sticky
        self._reach = reach_of(flag_set, key)
        self._attributes = {name: plain(attributes[name]) for name in self._reach.attributes if name in attributes}
        self._named = self._reach.named_units()
        windows = [each.window for each in self._reach.experiments if each.window is not None]
        self._longest = max((window.length // MICROSECOND for window in windows), default=0)
        self._deals = {id(each): Deal(each, self._source(each)) for each in self._reach.experiments}
        self._outcomes = Outcomes()
        self._by_kind: dict[Hashable, int] = {}

    def table(self, ids: pa.ChunkedArray, times: pa.ChunkedArray | None) -> pa.Table:
        """The assigned table."""
        rows = len(ids)
        numbers, buckets = np.empty(rows, np.int32), np.zeros(rows, np.int32)
        starts = np.zeros(rows, np.int64) if self._longest else None
        points = self._points(times is not None)
        kinds = math.prod(point.ways for point in points)
        by_kind = np.full(kinds, _UNKNOWN, np.int32) if kinds <= _MOST_KINDS else None
        begin = 0
        for piece in self._pieces(rows, times):
            part = slice(begin, begin + piece.rows)
            self._assign(piece, points, by_kind, numbers[part])
            self._fill(piece, numbers[part], buckets[part], None if starts is None else starts[part])
            begin += piece.rows
        return self._columns(ids, Rows(self._outcomes, numbers), buckets, starts)

    def _source(self, experiment: Experiment) -> Source:
        """A fallback counts only where stored assignments are looked up."""
        fallback = experiment.fallback_attribute if self._sticky is not None and experiment.sticky else None
        return Source(experiment.attribute, fallback, experiment.window)

    def _points(self, times: bool) -> list[Point]:
        """All points at which evaluations of this flag part."""
        reach = self._reach
        found: list[Point] = [Special(), *(HasUnit(name) for name in reach.unit_attributes)]
        if times and reach.needs_time:
            found.append(Time(reach.moments))
        found += [Meets(condition, self._flag_set.groups) for condition in reach.conditions]
        found += [of_filter(each) for each in reach.filters]
        found += [of_share(share) for share in reach.shares]
        for experiment in reach.experiments:
            source = self._source(experiment)
            found.append(self._deals[id(experiment)])
            found += [LeafDeal(experiment, source, dealer) for _, dealer in experiment.leaf_dealers]
        return found

    def _pieces(self, rows: int, times: pa.ChunkedArray | None) -> Iterator[Piece]:
        """The table in pieces that fit into a processor's cache."""
        columns: dict[str, Any] = {f"attribute {name}": column for name, column in self._attributes.items()}
        special = self._special(rows)
        if special is not None:
            columns["special"] = special
        if times is not None and self._reach.needs_time:
            columns["at"], columns["timeless"] = instants(times, self._at)
        table = pa.table(columns)
        if sum(column.num_chunks for column in table.columns) > table.num_columns * (1 + rows // ROWS_AT_ONCE):
            table = table.combine_chunks()
        for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE):
            found = {name: batch[name].to_numpy(zero_copy_only=False) for name in _OURS if name in columns}
            at = found.get("at", None if self._at is None else microseconds(self._at))
            special = found.get("special", np.zeros(batch.num_rows, np.bool_))
            if self._longest and at is not None:
                # Its window may have begun before the calendar does.
                special = special | (at < EARLIEST + self._longest)
            attributes = {name: batch[f"attribute {name}"] for name in self._attributes}
            yield Piece(attributes, batch.num_rows, at, found.get("timeless", False), special)

    def _special(self, rows: int) -> pa.ChunkedArray | pa.Array | None:
        """Which rows are evaluated by themselves: named by an experiment, or with something stored."""
        found = None
        for attribute in self._reach.unit_attributes:
            prefix = record_key(attribute, "")
            stored = (key.removeprefix(prefix) for key in self._sticky or () if key.startswith(prefix))
            # Texts that identify nobody, for they are no Unicode, have no place in an Arrow array.
            wanted = pa.array(filter(unit_text, {*self._named, *stored}), pa.large_string())
            if len(wanted) and attribute in self._attributes:
                chunks = [unit_texts(chunk).cast(pa.large_string()) for chunk in self._attributes[attribute].chunks]
                within = pc.is_in(pa.chunked_array(chunks, pa.large_string()), value_set=wanted)
                found = within if found is None else pc.or_(found, within)
        # A table of no column would have no rows.
        return found if found is not None or self._attributes else pa.chunked_array([np.zeros(rows, np.bool_)])

    def _assign(self, piece: Piece, points: Sequence[Point], by_kind: Ways | None, numbers: Ways) -> None:
        """Writes the number of every row's outcome."""
        special = np.flatnonzero(piece.special)
        if by_kind is not None:
            kinds = _kinds(piece, points)
            np.take(by_kind, kinds, out=numbers, mode="clip")
            if numbers.min() == _UNKNOWN:
                unknown = np.flatnonzero(numbers == _UNKNOWN)
                examples = unknown[np.unique(kinds[unknown], return_index=True)[1]]
                by_kind[kinds[examples]] = self._evaluated(piece, examples)
                np.take(by_kind, kinds, out=numbers, mode="clip")
            if len(special):
                numbers[special] = self._alike(piece, special, kinds[special].tolist())
        else:
            kinds, first = _many_kinds(piece, points)
            by_number = np.array([self._known(kind, piece, row) for kind, row in first.items()], np.int32)
            numbers[:] = by_number[kinds]
            if len(special):
                numbers[special] = self._evaluated(piece, special)

    def _known(self, kind: Hashable, piece: Piece, row: int) -> int:
        if kind not in self._by_kind:
            self._by_kind[kind] = self._evaluated(piece, np.array([row]))[0]
        return self._by_kind[kind]

    def _alike(self, piece: Piece, rows: Ways, kinds: Sequence[int]) -> list[int]:
        """The outcomes of rows that are named or of which something is stored: one evaluation for those of one kind of
        which the same is stored, except in a switchback, where it depends on the window what that means.
        """
        if self._longest:
            return self._evaluated(piece, rows)
        likenesses: list[Hashable] = list(kinds)
        for attribute in self._reach.unit_attributes:
            units = pc.take(piece.text(attribute), pa.array(rows)).to_pylist()
            likenesses = list(zip(likenesses, (self._likeness(attribute, unit) for unit in units), strict=True))
        known = self._by_kind
        examples = {each: row for each, row in zip(likenesses, rows.tolist(), strict=True) if each not in known}
        known.update(zip(examples, self._evaluated(piece, np.array(list(examples.values()), np.int64)), strict=True))
        return [known[each] for each in likenesses]

    def _likeness(self, attribute: str, unit: str | None) -> Hashable:
        """What is stored of a unit, or the unit itself if an experiment names it."""
        if not unit or unit in self._named:
            return unit
        record = None if self._sticky is None else self._sticky.get(record_key(attribute, unit))
        return None if record is None else tuple(record.assignments.items())

    def _evaluated(self, piece: Piece, rows: Ways) -> list[int]:
        """The outcomes of some rows, each evaluated."""
        taken = pa.array(rows)
        columns = {name: cells(pc.take(column, taken)) for name, column in piece.columns.items()}
        found = []
        for index, row in enumerate(rows.tolist()):
            context = {name: values[index] for name, values in columns.items() if values[index] is not None}
            evaluation = evaluate(self._flag_set, self._key, context, at=piece.time(row), sticky=self._sticky)
            found.append(self._outcomes.number(evaluation))
        return found

    def _fill(self, piece: Piece, numbers: Ways, buckets: Ways, starts: Ways | None) -> None:
        """Writes the bucket and the window of the experiment that decided, where one did."""
        outcomes = self._outcomes.each
        rules = {outcome.rule_index for outcome in outcomes if outcome.has_bucket or outcome.has_window}
        for index in rules - {None}:
            rule = self._flag_set.flags[self._key].rules[index or 0]
            assert isinstance(rule, ExperimentRule), "only an experiment has a bucket"
            deal = self._deals[id(rule.experiment)]
            here: Any = True
            if len(rules) > 1:
                here = np.array([outcome.rule_index == index for outcome in outcomes])[numbers]
            np.copyto(buckets, deal.buckets(piece), where=here, casting="unsafe")
            window = piece.windows(deal.source)
            if starts is not None and window is not None and rule.experiment.window is not None:
                np.copyto(starts, _starts(rule.experiment.window, window), where=here)

    def _columns(self, ids: pa.ChunkedArray, rows: Rows, buckets: Ways, starts: Ways | None) -> pa.Table:
        """The columns of the answer, in the order of COLUMNS."""
        if starts is None:
            window_start = pa.nulls(len(ids), INSTANT)
        else:
            window_start = rows.values(starts, pa.int64(), "has_window").view(INSTANT)
        columns = {
            "unit_id": ids,
            **{name: rows.texts(name) for name in ("variant", "value", "status", "reason", "layer", "holdout")},
            **{name: rows.truths(name) for name in ("in_experiment", "is_holdout", "sticky")},
            **{name: rows.texts(name) for name in ("unit_attribute", "policy_version")},
            "bucket": rows.values(buckets, pa.int32(), "has_bucket"),
            "randomization_unit": self._randomization_units(rows, len(ids)),
            "window_start": window_start,
        }
        return pa.table({name: columns[name] for name in COLUMNS})

    def _randomization_units(self, rows: Rows, count: int) -> Any:
        """The unit's text, from the attribute in which the deciding experiment found it."""
        found: Any = None
        for attribute in rows.unit_attributes():
            chunks = [unit_texts(chunk) for chunk in self._attributes[attribute].chunks]
            kind = chunks[0].type if len({chunk.type for chunk in chunks}) == 1 else pa.large_string()
            texts = pa.chunked_array([chunk.cast(kind) for chunk in chunks], kind)
            here = rows.of_attribute(attribute)
            if here is not None:
                texts = pc.if_else(here, texts, pa.scalar(None, kind))
            found = (
                texts if found is None else pc.coalesce(found.cast(pa.large_string()), texts.cast(pa.large_string()))
            )
        return pa.nulls(count, pa.string()) if found is None else found


def _kinds(piece: Piece, points: Sequence[Point]) -> Ways:
    """One number for every combination of ways."""
    kinds, stride = np.zeros(piece.rows, np.intp), 1
    for point in points:
        ways = point.of(piece)
        if ways is not None:
            kinds += np.multiply(ways, stride, dtype=np.intp, casting="unsafe")
        stride *= point.ways
    return kinds


def _many_kinds(piece: Piece, points: Sequence[Point]) -> tuple[Ways, dict[Hashable, int]]:
    """Where there are too many combinations to number: which of those that occur a row has, and a row of each."""
    nothing = np.zeros(piece.rows, np.uint16)
    ways = [point.of(piece) for point in points]
    matrix = np.stack([nothing if way is None else way.astype(np.uint16) for way in ways], axis=1)
    joined = matrix.view(np.dtype((np.void, matrix.shape[1] * matrix.itemsize))).ravel()
    of_kind, first, kinds = np.unique(joined, return_index=True, return_inverse=True)
    return kinds, dict(zip((kind.tobytes() for kind in of_kind), first.tolist(), strict=True))


def _starts(window: Switchback, index: Ways | int) -> Ways | int:
    return microseconds(window.origin) + index * (window.length // MICROSECOND)
