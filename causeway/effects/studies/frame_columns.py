"""A frame's columns as numbers or text, and covariates encoded, once for all the questions that are asked of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from causeway.effects.studies.encoding import Covariates

if TYPE_CHECKING:
    import pandas as pd

Positions = npt.NDArray[np.int64]


class FrameColumns:
    """Reads a frame, never writes to it, and remembers what it made of each column and of each set of covariates."""

    def __init__(self, frame: pl.DataFrame | pd.DataFrame) -> None:
        self._frame = frame
        self.names = list(frame.columns)
        self.rows = len(frame)
        self._columns: dict[str, pl.Series | None] = {}
        self._covariates: dict[tuple[tuple[str, ...], bytes], Covariates] = {}

    def column(self, name: str) -> pl.Series | None:
        """As Float64 or String with nulls where it is missing or infinite; None for any other kind of column."""
        if name not in self._columns:
            self._columns[name] = _column(self._frame, name)
        return self._columns[name]

    def covariates(self, series_by_name: Mapping[str, pl.Series], positions: Positions) -> Covariates:
        """The columns' values at these rows of the frame, encoded."""
        key = (tuple(series_by_name), positions.tobytes())
        if key not in self._covariates:
            self._covariates[key] = Covariates.of(series_by_name, len(positions))
        return self._covariates[key]


def _column(frame: pl.DataFrame | pd.DataFrame, name: str) -> pl.Series | None:
    if isinstance(frame, pl.DataFrame):
        series = frame.get_column(name)
    else:
        column = frame[name]
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
            series = pl.Series(name, column.to_numpy())
        else:
            # Anything but a plain number is taken value by value: pandas marks missing ones in five different ways.
            values = [None if missing else value for value, missing in zip(column, column.isna(), strict=True)]
            present = [value for value in values if value is not None]
            if all(isinstance(value, int | float | np.number | np.bool_) for value in present):
                series = pl.Series(name, [None if v is None else float(v) for v in values], dtype=pl.Float64)
            elif all(isinstance(value, str | int | float | np.number | np.bool_) for value in present):
                series = pl.Series(name, [None if v is None else str(v) for v in values], dtype=pl.String)
            else:
                return None
    if series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null):
        numbers = series.cast(pl.Float64)
        return numbers.set(~numbers.is_finite().fill_null(True), None).alias(name)
    if series.dtype in (pl.String, pl.Categorical, pl.Enum):
        return series.cast(pl.String).alias(name)
    return None
