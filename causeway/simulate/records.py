"""Raw records as they land: frames of events and assignments with JSON properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from causeway.simulate.randomness import Streams

MICROSECONDS_PER_DAY = 86_400_000_000
EVENT_COLUMNS = ("source", "event_id", "type", "unit_id", "occurred_at", "sent_at", "properties")
ASSIGNMENT_COLUMNS = (*EVENT_COLUMNS[:6], "experiment", "variant", "properties")


@dataclass(frozen=True)
class Recorder:
    """Writes the records of one source.

    Identifiers are the prefix and a running number, so a record keeps its identifier when the same seed is
    simulated again. Most records are sent within minutes; a few are sent up to five days late.
    """

    source: str
    start: date
    streams: Streams
    late_share: float = 0.02

    def events(
        self,
        event_type: str,
        prefix: str,
        unit_ids: pl.Series,
        day: NDArray[np.float64],
        properties: Mapping[str, pl.Series | NDArray[np.generic]],
    ) -> pl.DataFrame:
        """One event per row: `unit_ids`, `day` (days since start) and each property have the same length."""
        return self._records(event_type, prefix, unit_ids, day, properties).select(EVENT_COLUMNS)

    def assignments(
        self,
        experiment: str,
        unit_ids: pl.Series,
        day: NDArray[np.float64],
        variant: pl.Series,
        properties: Mapping[str, pl.Series | NDArray[np.generic]] | None = None,
    ) -> pl.DataFrame:
        """One assignment per row; the inputs have the same length."""
        return (
            self._records("assignment", f"assign_{experiment}", unit_ids, day, properties or {})
            .with_columns(experiment=pl.lit(experiment), variant=variant)
            .select(ASSIGNMENT_COLUMNS)
        )

    def _records(
        self,
        kind: str,
        prefix: str,
        unit_ids: pl.Series,
        day: NDArray[np.float64],
        properties: Mapping[str, pl.Series | NDArray[np.generic]],
    ) -> pl.DataFrame:
        rng = self.streams[f"sent:{prefix}"]
        count = len(day)
        epoch = (self.start - date(1970, 1, 1)).days * MICROSECONDS_PER_DAY
        occurred = epoch + np.floor(day * MICROSECONDS_PER_DAY).astype(np.int64)
        delay = np.where(
            rng.random(count) < self.late_share,
            rng.uniform(0.1, 5.0, count),
            rng.exponential(1 / 1440, count),
        )
        sent = occurred + (delay * MICROSECONDS_PER_DAY).astype(np.int64)
        moment = pl.Datetime("us", "UTC")
        return pl.DataFrame(
            {
                "unit_id": unit_ids,
                "occurred_at": pl.Series(occurred).cast(moment),
                "sent_at": pl.Series(sent).cast(moment),
                "properties": _as_json(properties, count),
            }
        ).with_columns(source=pl.lit(self.source), event_id=pl.Series(identifiers(prefix, count, 8)), type=pl.lit(kind))


def identifiers(prefix: str, count: int, digits: int) -> pl.Series:
    """prefix_000001, prefix_000002, ...: zero-padded so that they sort in order."""
    number = pl.int_range(1, count + 1, dtype=pl.Int64).cast(pl.String).str.zfill(digits)
    return pl.select(pl.concat_str(pl.lit(f"{prefix}_"), number)).to_series()


def in_order(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """All records in the order in which they occurred; ties are broken by identifier."""
    return pl.concat(frames).sort("occurred_at", "event_id")


def _as_json(properties: Mapping[str, pl.Series | NDArray[np.generic]], count: int) -> pl.Series:
    if not properties:
        return pl.repeat("{}", count, eager=True)
    return pl.DataFrame(dict(properties)).select(pl.struct(pl.all()).struct.json_encode()).to_series()
