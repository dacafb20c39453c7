"""The points at which evaluations part: for every row of a piece of a table, which way it goes at each of them.

A point is a hash compared with ranges, a condition, whether there is a unit at all, or a moment at which a coverage
changes. GrowthBook's hashes are computed for a whole piece at once and looked up in a table with an entry for each of
their buckets; other vendors' are computed unit by unit, by the dealers that a single evaluation uses.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from causeway.assignment.batch.columns import cells, distinct
from causeway.assignment.batch.pieces import Piece, Ways, microseconds
from causeway.assignment.batch.reach import Condition, Share, Source
from causeway.assignment.dealers import Dealer, GrowthBookDealer
from causeway.assignment.flags import Experiment, Filter
from causeway.assignment.hashers import HASHERS, GrowthBook
from causeway.assignment.hashing import Range
from causeway.assignment.json_values import Json
from causeway.assignment.operators import Groups

_REMEMBERED = 100_000


class Point(Protocol):
    """One point at which evaluations part."""

    ways: int

    def of(self, piece: Piece) -> Ways | None:
        """The way of every row, from 0 to ``ways`` - 1; None if all take way 0."""


class Deal:
    """The variant that an experiment's hash deals to a unit, as its coverage stands at the time."""

    def __init__(self, experiment: Experiment, source: Source) -> None:
        self.source = source
        self.ways = max(len(experiment.variants), len(experiment.ranges or ())) + 1
        self._moments = [microseconds(moment) for moment, _ in experiment.ramp_dealers]
        # Before a ramp's first step nobody is dealt anything, but the bucket of a stored unit is shown all the same.
        self._dealers = [experiment.dealer, *(dealer for _, dealer in experiment.ramp_dealers)]
        self._tables: dict[int, Ways] = {}

    def of(self, piece: Piece) -> Ways:
        return self._by_time(piece, self._index)

    def buckets(self, piece: Piece) -> Ways:
        """The bucket that a single evaluation names."""
        return self._by_time(piece, self._bucket)

    def _by_time(self, piece: Piece, look: Callable[[Piece, int], Ways]) -> Ways:
        if not self._moments:
            return look(piece, 0)
        steps = piece.steps(self._moments)
        if isinstance(steps, int):
            return look(piece, steps)
        found = np.zeros(piece.rows, np.int64)
        for step in np.unique(steps):
            np.copyto(found, look(piece, int(step)), where=steps == step)
        return found

    def _index(self, piece: Piece, step: int) -> Ways:
        dealer = self._dealers[step]
        if not isinstance(dealer, GrowthBookDealer):
            return piece.draws(dealer, self.source)[0] + 1
        if step not in self._tables:
            self._tables[step] = first_range(dealer.ranges, dealer.steps)
        return np.take(self._tables[step], piece.buckets(dealer.version, dealer.seed, self.source), mode="clip")

    def _bucket(self, piece: Piece, step: int) -> Ways:
        dealer = self._dealers[step]
        if isinstance(dealer, GrowthBookDealer):
            return piece.buckets(dealer.version, dealer.seed, self.source)
        return piece.draws(dealer, self.source)[1]


class LeafDeal:
    """The variant that the weights of one context of a bandit deal to a unit."""

    def __init__(self, experiment: Experiment, source: Source, dealer: Dealer) -> None:
        self.ways = max(len(experiment.variants), len(experiment.ranges or ())) + 1
        self._dealer, self._source = dealer, source
        self._table = first_range(dealer.ranges, dealer.steps) if isinstance(dealer, GrowthBookDealer) else None

    def of(self, piece: Piece) -> Ways:
        dealer = self._dealer
        if isinstance(dealer, GrowthBookDealer):
            assert self._table is not None
            return np.take(self._table, piece.buckets(dealer.version, dealer.seed, self._source), mode="clip")
        return piece.draws(dealer, self._source)[0] + 1


class Within:
    """Whether a unit's position lies in certain ranges: of a layer, of another filter, of a share of the units."""

    ways = 2

    def __init__(
        self, hasher: str, seed: str, source: Source, ranges: Sequence[Range], admits: Callable[[str], bool]
    ) -> None:
        chosen = HASHERS[hasher]
        self._version = chosen.version if isinstance(chosen, GrowthBook) else None
        self._seed, self._source, self._admits = seed, source, admits
        self._table = first_range(ranges, 1_000 if self._version == 1 else 10_000) > 0

    def of(self, piece: Piece) -> Ways:
        if self._version is None:
            return np.array(
                [unit is not None and unit != "" and self._admits(unit) for unit in piece.units(self._source)], np.bool_
            )
        return np.take(self._table, piece.buckets(self._version, self._seed, self._source), mode="clip")


def first_range(ranges: Iterable[Range], steps: int) -> Ways:
    """For each bucket the number of the first range that holds its position, from 1; 0 if none does."""
    positions = np.arange(steps) / steps
    found = np.zeros(steps, np.uint16)
    for number, (start, end) in enumerate(ranges, start=1):
        found[(found == 0) & (start <= positions) & (positions < end)] = number
    return found


def of_filter(each: Filter) -> Within:
    """A filter as a point."""

    def admits(unit: str) -> bool:
        position = each.position(unit)
        return any(start <= position < end for start, end in each.ranges)

    return Within(each.hasher, each.seed, Source(each.attribute), each.ranges, admits)


def of_share(share: Share) -> Within:
    """A rule's share of the units as a point."""
    rule = share.rule
    # A share of the units is the positions below it; there is none below 0.
    ranges = (rule.range,) if rule.range is not None else ((0.0, rule.coverage or 0.0),)
    return Within(rule.hasher, share.seed, Source(rule.attribute, rule.fallback_attribute), ranges, share.admits)


class Special:
    """Whether a row is evaluated by itself, and no example for others."""

    ways = 2

    def of(self, piece: Piece) -> Ways | None:
        return piece.special if piece.special.any() else None


class HasUnit:
    """Whether there is a unit in an attribute."""

    ways = 2

    def __init__(self, attribute: str) -> None:
        self._attribute = attribute

    def of(self, piece: Piece) -> Ways | None:
        there = piece.has_unit(self._attribute)
        return None if there is None else ~there


class Meets:
    """Whether a row meets a condition, found out once for every combination of what the condition reads."""

    ways = 2

    def __init__(self, condition: Condition, groups: Groups) -> None:
        self._test, self._groups = condition.test, groups
        self._names = sorted(condition.attributes)
        self._known: dict[Hashable, bool] = {}

    def of(self, piece: Piece) -> Ways:
        names = [name for name in self._names if name in piece.columns]
        if not names:
            return np.full(piece.rows, self._met((), ()))
        numbers, values = distinct(piece.columns[names[0]])
        if len(names) == 1 and len(values) <= piece.rows:
            return np.array([self._met(names, (value,)) for value in values])[numbers]
        combinations = len(values)
        for name in names[1:]:
            codes, values = distinct(piece.columns[name])
            numbers, combinations = _dense(numbers * len(values) + codes, combinations * len(values))
        first = np.zeros(combinations, np.int64)
        first[numbers[::-1]] = np.arange(piece.rows)[::-1]
        examples = [cells(pc.take(piece.columns[name], pa.array(first))) for name in names]
        return np.array([self._met(names, values) for values in zip(*examples, strict=True)])[numbers]

    def _met(self, names: Sequence[str], values: Sequence[Json]) -> bool:
        """Remembered by type and value, because a column of a union type may hold both 1 and true."""
        key = tuple([(value.__class__, value) for value in values])
        try:
            known = self._known.get(key)
        except TypeError:
            # Lists and objects are evaluated every time.
            return self._test(_context(names, values), self._groups)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[key] = self._test(_context(names, values), self._groups)
        return known


def _dense(numbers: npt.NDArray[np.int64], below: int) -> tuple[npt.NDArray[np.int64], int]:
    """Numbers from 0 without big gaps, in place of numbers below a limit; and the new limit."""
    if below <= 4 * len(numbers):
        return numbers, below
    values, dense = np.unique(numbers, return_inverse=True)
    return dense, len(values)


def _context(names: Sequence[str], values: Sequence[Json]) -> dict[str, Json]:
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


class Time:
    """Between which two of the moments at which a coverage changes a row's time lies, or that it has none."""

    def __init__(self, moments: Sequence[datetime]) -> None:
        self._moments = [microseconds(moment) for moment in moments]
        self.ways = len(self._moments) + 2

    def of(self, piece: Piece) -> Ways:
        return np.where(piece.timeless, self.ways - 1, piece.steps(self._moments))
