"""Pieces of a table that fit into a processor's cache, and what is computed of each of them once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from causeway.assignment.batch.columns import unit_texts
from causeway.assignment.batch.fnv import Hashes, hashes_of_decimals, hashes_of_texts, remainders
from causeway.assignment.batch.reach import Source
from causeway.assignment.dealers import OUT, Dealer
from causeway.assignment.hashing import code_units

_BAR = pa.scalar("|", pa.large_string())

T = TypeVar("T")
Ways = npt.NDArray[Any]
Microseconds = npt.NDArray[np.int64]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
EARLIEST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // MICROSECOND
LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // MICROSECOND


def microseconds(moment: datetime) -> int:
    """Since 1970, exactly."""
    return (moment - _EPOCH) // MICROSECOND


class Piece:
    """Some rows of a table: attributes by name, and what has been computed of them.

    ``at`` is the time of every row, or one time for all of them, or None. Where ``timeless``, a row has none. Rows
    that are ``special`` must be evaluated by themselves.
    """

    def __init__(
        self,
        columns: Mapping[str, pa.Array],
        rows: int,
        at: Microseconds | int | None,
        timeless: npt.NDArray[np.bool_] | bool,
        special: npt.NDArray[np.bool_],
    ) -> None:
        self.columns = columns
        self.rows = rows
        self.at = at
        self.timeless = timeless
        self.special = special
        self._made: dict[Hashable, Any] = {}

    def time(self, row: int) -> datetime | None:
        """The time of one row."""
        if self.at is None or (isinstance(self.timeless, np.ndarray) and self.timeless[row]):
            return None
        return _EPOCH + int(self.at[row] if isinstance(self.at, np.ndarray) else self.at) * MICROSECOND

    def text(self, attribute: str) -> pa.Array:
        """The unit's text in an attribute, null or empty where there is none."""
        return self._once(("text", attribute), lambda: self._text(attribute))

    def has_unit(self, attribute: str) -> npt.NDArray[np.bool_] | None:
        """Which rows have a unit in an attribute; None if all do."""
        return self._once(("present", attribute), lambda: _not_empty(self.text(attribute)))

    def units(self, source: Source) -> list[str | None]:
        """The texts that are hashed, one by one."""
        return self._once(("units", source), lambda: self._units(source))

    def buckets(self, version: int, seed: str, source: Source) -> Hashes:
        """GrowthBook's buckets; of rows without a unit some number."""
        return self._once(("buckets", version, seed, source), lambda: self._buckets(version, seed, source))

    def draws(self, dealer: Dealer, source: Source) -> tuple[Ways, Ways]:
        """Variant and bucket of every row, by the dealer itself."""
        return self._once(("draws", id(dealer), source), lambda: self._draws(dealer, source))

    def steps(self, moments: Sequence[int]) -> Ways | int:
        """How many of these moments, in order, are not after a row's time; one number if the time is the same."""
        if isinstance(self.at, np.ndarray):
            return np.searchsorted(moments, self.at, side="right")
        return 0 if self.at is None else bisect_right(moments, self.at)

    def windows(self, source: Source) -> Microseconds | int | None:
        """The index of a row's window, of all rows if it is the same."""
        if source.window is None or self.at is None:
            return None
        index = (self.at - microseconds(source.window.origin)) // (source.window.length // MICROSECOND)
        if isinstance(index, int) or len(index) == 0:
            return index
        return int(index[0]) if (index == index[0]).all() else index

    def _once(self, key: Hashable, make: Callable[[], T]) -> T:
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    def _text(self, attribute: str) -> pa.Array:
        column = self.columns.get(attribute)
        return pa.nulls(self.rows, pa.string()) if column is None else unit_texts(column)

    def _hashed(self, source: Source) -> tuple[pa.Array, str]:
        """The texts that are hashed, without what they all end with."""
        text = self.text(source.attribute)
        there = self.has_unit(source.attribute) if source.fallback is not None else None
        if there is not None and source.fallback is not None:
            text = pc.if_else(pa.array(there), _large(text), _large(self.text(source.fallback)))
        window = self.windows(source)
        if window is None:
            return text, ""
        if isinstance(window, int):
            return text, f"|{window}"
        return pc.binary_join_element_wise(_large(text), pc.cast(pa.array(window), pa.large_string()), _BAR), ""

    def _units(self, source: Source) -> list[str | None]:
        text, ending = self._hashed(source)
        found = text.to_pylist()
        return [unit and unit + ending for unit in found] if ending else found

    def _buckets(self, version: int, seed: str, source: Source) -> Hashes:
        text, ending = self._hashed(source)
        offsets, data = _content(text)
        if version == 1:
            return remainders(hashes_of_texts(data, offsets, "", code_units(ending + seed)), 1_000)
        return remainders(hashes_of_decimals(hashes_of_texts(data, offsets, seed, code_units(ending))), 10_000)

    def _draws(self, dealer: Dealer, source: Source) -> tuple[Ways, Ways]:
        nothing = (OUT, 0, 0.0)
        drawn = [dealer(unit) if unit else nothing for unit in self.units(source)]
        return np.array([draw[0] for draw in drawn], np.int64), np.array([draw[1] for draw in drawn], np.int64)


def _not_empty(text: pa.Array) -> npt.NDArray[np.bool_] | None:
    offsets, _ = _content(text)
    there = np.diff(offsets) > 0
    if text.null_count:
        there &= pc.is_valid(text).to_numpy(zero_copy_only=False)
    return None if there.all() else there


def _large(text: pa.Array) -> pa.Array:
    return pc.cast(text, pa.large_string())


def _content(text: pa.Array) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """Offsets and bytes of an array of texts, as they lie."""
    _, offsets, data = text.buffers()
    if offsets is None:
        return np.zeros(len(text) + 1, np.int32), np.zeros(0, np.uint8)
    width = np.int64 if pa.types.is_large_string(text.type) else np.int32
    content = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    # A buffer may be longer than its array.
    return np.frombuffer(offsets, width, text.offset + len(text) + 1)[text.offset :], content


def instants(times: pa.ChunkedArray, default: datetime | None) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Microseconds since 1970, the default's where a time is null; and whether a row has no time, because there is no
    default or because its time lies beyond the calendar.
    """
    kind = times.type
    if not pa.types.is_timestamp(kind):
        kind = pa.timestamp("us", "UTC")
        times = pc.cast(times, kind)
    found = times.cast(pa.int64())
    if kind.unit == "ns":
        found = times.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())
    scale = {"s": 1_000_000, "ms": 1_000}.get(kind.unit, 1)
    beyond = pc.or_(pc.less(found, EARLIEST // scale), pc.greater(found, LATEST // scale))
    found = pc.multiply(pc.if_else(beyond, pa.scalar(0, pa.int64()), found), scale)
    missing = pc.if_else(pc.is_null(found), default is None, beyond)
    return pc.fill_null(found, 0 if default is None else microseconds(default)), pc.fill_null(missing, default is None)
