"""Covariates as numbers: one encoded matrix for every learner, and a record of what was done to get it.

A covariate is numeric (missing values become the median, and an indicator column says where) or categorical
(one column per level, the most frequent level being the reference). Rare levels, and levels beyond the first
thirty, are folded into one column "(other)", so that a column with hundreds of levels costs thirty columns
and not hundreds. Medians and counts do not depend on the order of the rows, and neither does anything here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

Kind = Literal["numeric", "categorical"]
Note = Literal["encoded", "constant", "all_missing"]

MAX_LEVELS = 30
MIN_LEVEL_SHARE = 0.005
MIN_LEVEL_COUNT = 5
OTHER = "(other)"
MISSING = "(missing)"


@dataclass(frozen=True, slots=True)
class CovariateEncoding:
    """What became of one covariate.

    `missing` counts units, `fill_value` is the median that stands in for them, `levels` are the levels with
    a column of their own, `reference` is the level without one, `folded` counts the levels that share
    "(other)". A covariate that is constant or missing everywhere has no columns, and `note` says so.
    """

    covariate: str
    kind: Kind
    note: Note
    columns: tuple[str, ...]
    missing: int
    fill_value: float | None = None
    levels: tuple[str, ...] = ()
    reference: str | None = None
    folded: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class DesignMatrix:
    """`values` is (units, columns), float64, finite, in the row order of the frame it was made from;
    `columns` names its columns.
    """

    values: npt.NDArray[np.float64]
    columns: tuple[str, ...]
    encodings: tuple[CovariateEncoding, ...]

    def as_record(self) -> list[dict[str, Any]]:
        """What was done, one JSON-ready mapping per covariate."""
        return [asdict(encoding) for encoding in self.encodings]


@dataclass(frozen=True, slots=True)
class FoldedLevels:
    """`values` with rare levels replaced by "(other)"; `kept` from frequent to rare (ties by name); `folded`
    counts the rest.
    """

    values: pl.Series
    kept: tuple[str, ...]
    folded: int


def design_matrix(frame: pl.DataFrame, covariates: Sequence[str], *, max_levels: int = MAX_LEVELS) -> DesignMatrix:
    """Encode the covariates of a wide frame (one row per unit) as one matrix of finite numbers.

    Numeric covariates: not-finite values count as missing, are replaced by the median of the others, and
    marked in a column "name (missing)" unless another covariate is missing for the very same units.
    Categorical covariates: indicator columns, the most frequent level is the reference; missing is a level
    of its own; see `fold_levels` for rare ones. Covariates that do not vary give no column. Without usable
    covariates the matrix is (units, 0).

    Raises KeyError for a covariate that is not in the frame, ValueError for one named twice, and TypeError
    for one that is neither number nor text.

    >>> frame = pl.DataFrame({"age": [30.0, None, 50.0] + [40.0] * 8, "channel": ["Phone"] * 5 + ["Web"] * 6})
    >>> matrix = design_matrix(frame, ["age", "channel"])
    >>> matrix.columns
    ('age', 'age (missing)', 'channel=Phone')
    >>> matrix.values[1].tolist()
    [40.0, 1.0, 1.0]
    """
    if len(set(covariates)) != len(covariates):
        raise ValueError(f"a covariate is named twice: {list(covariates)}")
    columns: list[str] = []
    values: list[npt.NDArray[np.float64]] = []
    encodings: list[CovariateEncoding] = []
    missing_patterns: set[bytes] = set()
    for covariate in covariates:
        if covariate not in frame.columns:
            raise KeyError(f"covariate {covariate!r} is not a column of the frame")
        series = frame.get_column(covariate)
        if series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.Null):
            encoding, encoded = _numeric(covariate, series, missing_patterns)
        elif series.dtype in (pl.String, pl.Categorical, pl.Enum):
            encoding, encoded = _categorical(covariate, series.cast(pl.String), max_levels)
        else:
            raise TypeError(f"covariate {covariate!r} is {series.dtype}: a covariate is a number or a text")
        encodings.append(encoding)
        columns.extend(encoding.columns)
        values.extend(encoded)
    matrix = np.column_stack(values) if values else np.empty((frame.height, 0))
    return DesignMatrix(np.ascontiguousarray(matrix, dtype=np.float64), tuple(columns), tuple(encodings))


def fold_levels(values: pl.Series, *, max_levels: int = MAX_LEVELS) -> FoldedLevels:
    """Keep at most `max_levels` frequent levels of a text column and name all others "(other)"; nulls stay
    null.

    A level is rare when fewer than 0.5 % of the rows with a value have it, or fewer than five rows: an
    indicator that is one for a handful of units fits those units and nothing else. When all levels are rare
    the most frequent ones are kept no more than the others: the column becomes one level, "(other)".
    """
    counts = (
        values.drop_nulls()
        .alias("level")
        .to_frame()
        .group_by("level")
        .len("units")
        .sort(["units", "level"], descending=[True, False])
    )
    least = max(MIN_LEVEL_COUNT, math.ceil(MIN_LEVEL_SHARE * (len(values) - values.null_count())))
    kept = tuple(counts.filter(pl.col("units") >= least).get_column("level").to_list()[:max_levels])
    folded = counts.height - len(kept)
    if folded:
        name = values.name
        values = (
            values.alias("level")
            .to_frame()
            .select(
                pl.when(pl.col("level").is_null() | pl.col("level").is_in(list(kept)))
                .then(pl.col("level"))
                .otherwise(pl.lit(OTHER))
                .alias(name)
            )
            .get_column(name)
        )
    return FoldedLevels(values, kept, folded)


def _numeric(
    covariate: str, series: pl.Series, missing_patterns: set[bytes]
) -> tuple[CovariateEncoding, list[npt.NDArray[np.float64]]]:
    numbers = series.cast(pl.Float64).to_numpy().astype(np.float64, copy=True)
    missing = ~np.isfinite(numbers)
    n_missing = int(missing.sum())
    if n_missing == len(numbers):
        return CovariateEncoding(covariate, "numeric", "all_missing", (), n_missing), []
    fill_value = float(np.median(numbers[~missing]))
    numbers[missing] = fill_value
    columns: list[str] = []
    encoded: list[npt.NDArray[np.float64]] = []
    if numbers.min() < numbers.max():
        columns.append(covariate)
        encoded.append(numbers)
    pattern = missing.tobytes()
    if n_missing and pattern not in missing_patterns:
        missing_patterns.add(pattern)
        columns.append(f"{covariate} {MISSING}")
        encoded.append(missing.astype(np.float64))
    note: Note = "encoded" if columns else "constant"
    return CovariateEncoding(covariate, "numeric", note, tuple(columns), n_missing, fill_value), encoded


def _categorical(
    covariate: str, series: pl.Series, max_levels: int
) -> tuple[CovariateEncoding, list[npt.NDArray[np.float64]]]:
    n_missing = series.null_count()
    if n_missing == len(series):
        return CovariateEncoding(covariate, "categorical", "all_missing", (), n_missing), []
    folded = fold_levels(series, max_levels=max_levels)
    levels = [*folded.kept, *([OTHER] if folded.folded and OTHER not in folded.kept else [])]
    if n_missing and MISSING not in levels:
        levels.append(MISSING)
    labels = folded.values.fill_null(MISSING)
    # The first kept level is the most frequent one; when none is kept, "(other)" is what remains.
    reference, coded = levels[0], levels[1:]
    encoding = CovariateEncoding(
        covariate,
        "categorical",
        "encoded" if coded else "constant",
        tuple(f"{covariate}={level}" for level in coded),
        n_missing,
        levels=tuple(coded),
        reference=reference,
        folded=folded.folded,
    )
    return encoding, [(labels == level).to_numpy().astype(np.float64) for level in coded]
