"""From a frame as somebody recorded it to the columns that a study needs, or to the reason why that cannot
be done.

Nothing here is a crash: a declared column that is absent, a treatment with a third value or an outcome in
words is an answer about the data. The caller's frame is read and never written to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from causeway.statistics.effect import Status
from causeway.twins.covariates import fold_levels

if TYPE_CHECKING:
    import pandas as pd

MIN_UNITS = 20
MIN_UNITS_PER_ARM = 2
# What a column of length one has left when it is a function of others: rounding.
DEPENDENT = 1e-8

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class StudyFrame:
    """Complete rows only: `treated` and `outcome` (n,), one Series per confounder, Float64 or String, that
    varies.

    `constant` names the confounders that do not vary and were dropped, `folded` how many rare levels of each
    went to "(other)".
    """

    treated: npt.NDArray[np.bool_]
    outcome: Array
    confounders: dict[str, pl.Series]
    constant: tuple[str, ...]
    folded: dict[str, int]
    n_left_out: int

    def encoded(self, names: Sequence[str]) -> Encoded:
        """The named confounders as numbers: text as one indicator per level but the first."""
        columns: list[str] = []
        owners: list[str] = []
        values: list[Array] = []
        for name in names:
            series = self.confounders[name]
            if series.dtype == pl.String:
                levels = sorted(series.unique().to_list())[1:]
                columns.extend(f"{name}={level}" for level in levels)
                owners.extend(name for _ in levels)
                values.extend((series == level).to_numpy().astype(np.float64) for level in levels)
            else:
                columns.append(name)
                owners.append(name)
                values.append(series.to_numpy())
        matrix = np.column_stack(values) if values else np.empty((len(self.outcome), 0))
        return Encoded(np.ascontiguousarray(matrix, dtype=np.float64), tuple(columns), tuple(owners))


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Confounders as numbers, `values` (n, columns); `owners` names the confounder behind each column."""

    values: Array
    columns: tuple[str, ...]
    owners: tuple[str, ...]

    def independent(self) -> Encoded:
        """Without the columns that are linear functions of a constant and of the columns before them.

        A pseudo-inverse at machine precision may take such a column for information and answer with noise;
        its absence changes no fit.
        """
        if not self.columns:
            return self
        centred = self.values - self.values.mean(axis=0)
        scaled = centred / np.linalg.norm(centred, axis=0)
        # Without pivoting the diagonal of R is what each column has left after those before it.
        remaining = np.abs(np.diag(np.linalg.qr(scaled, mode="r")))
        kept = [position for position in range(len(remaining)) if remaining[position] > DEPENDENT]
        return Encoded(
            np.ascontiguousarray(self.values[:, kept]),
            tuple(self.columns[position] for position in kept),
            tuple(self.owners[position] for position in kept),
        )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the frame cannot answer the question, with the number of complete rows and of those left out."""

    status: Status
    reason: str
    n: int = 0
    n_left_out: int = 0


def read_study_frame(
    frame: pl.DataFrame | pd.DataFrame,
    *,
    treatment: str,
    control_value: Any,
    treated_value: Any,
    outcome: str,
    confounders: Sequence[str],
) -> StudyFrame | Refusal:
    """Take the declared columns, leave out rows with a missing value in any of them (counted), and check
    what is left.

    Values match the declaration when they are equal as they are, as numbers or as text, so 1, 1.0 and "1"
    are one value. Infinite numbers are missing ones. Fewer than 20 complete rows are refused.
    """
    try:
        columns = _declared_columns(frame, treatment, outcome, confounders)
        treats = _Treatment(treatment, control_value, treated_value)
        return _complete_rows(columns, treats, outcome, confounders)
    except _Unanswerable as problem:
        return problem.refusal


class _Unanswerable(Exception):
    """Carries the refusal from the check that found it to `read_study_frame`."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class _Treatment:
    """The declared treatment: its column and the two values that are compared."""

    column: str
    control: Any
    treated: Any

    def __post_init__(self) -> None:
        if _same(self.control, self.treated):
            reason = f"treated and control are the same value of {self.column}: {self.treated}"
            raise _Unanswerable(Refusal("not_estimable", reason))


def _declared_columns(
    frame: pl.DataFrame | pd.DataFrame, treatment: str, outcome: str, confounders: Sequence[str]
) -> dict[str, pl.Series]:
    names = [treatment, outcome, *confounders]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        reason = f"{', '.join(repeated)} is declared in more than one role"
        raise _Unanswerable(Refusal("not_estimable", reason))
    available = list(frame.columns)
    absent = [name for name in names if available.count(name) != 1]
    if absent:
        raise _Unanswerable(Refusal("not_estimable", f"not in the data, or not just once: {', '.join(absent)}"))
    columns: dict[str, pl.Series] = {}
    for name in names:
        series = _column(frame, name)
        if series is None:
            raise _Unanswerable(Refusal("not_estimable", f"{name} is neither a number nor a text"))
        columns[name] = series
    return columns


def _complete_rows(
    columns: dict[str, pl.Series], treats: _Treatment, outcome: str, confounders: Sequence[str]
) -> StudyFrame:
    everything = pl.DataFrame(list(columns.values()))
    table = everything.drop_nulls()
    n, n_left_out = table.height, everything.height - table.height

    def demand(holds: bool, status: Status, reason: str) -> None:
        if not holds:
            raise _Unanswerable(Refusal(status, reason, n, n_left_out))

    recorded = table.get_column(treats.column)
    values = recorded.unique().to_list()
    ones = [value for value in values if _same(value, treats.treated)]
    zeros = [value for value in values if _same(value, treats.control)]
    undeclared = sorted(str(value) for value in values if value not in ones and value not in zeros)
    seen = ", ".join(undeclared[:5])
    demand(not undeclared, "not_estimable", f"{treats.column} has values that are not declared: {seen}")
    treated = np.asarray(recorded.is_in(ones).to_numpy(), dtype=bool)
    n_treated, n_control = int(treated.sum()), int((~treated).sum())
    constant_treatment = f"{treats.column} is the same for all {n} complete rows: there is nothing to compare"
    demand(min(n_treated, n_control) > 0, "no_units", constant_treatment)
    too_few = f"only {n_treated} treated and {n_control} control rows are complete"
    demand(n >= MIN_UNITS and min(n_treated, n_control) >= MIN_UNITS_PER_ARM, "too_few_units", too_few)
    demand(columns[outcome].dtype.is_numeric(), "not_estimable", f"{outcome} is not a number")
    observed = table.get_column(outcome).to_numpy().astype(np.float64)
    demand(float(np.ptp(observed)) > 0.0, "zero_variance", f"{outcome} is the same for everybody")

    kept: dict[str, pl.Series] = {}
    folded: dict[str, int] = {}
    for name in confounders:
        series = table.get_column(name)
        if series.dtype == pl.String:
            levels = fold_levels(series)
            series = levels.values
            if levels.folded:
                folded[name] = levels.folded
        if series.n_unique() > 1:
            kept[name] = series
    constant = tuple(name for name in confounders if name not in kept)
    return StudyFrame(treated, observed, kept, constant, folded, n_left_out)


def _column(frame: pl.DataFrame | pd.DataFrame, name: str) -> pl.Series | None:
    """One column as Float64 or String with nulls where it is missing or infinite; None for any other kind of
    column.
    """
    if isinstance(frame, pl.DataFrame):
        series = frame.get_column(name)
    else:
        column = frame[name]
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
            series = pl.Series(name, column.to_numpy())
        else:
            # Anything but a plain number is taken value by value: pandas marks missing ones in five
            # different ways.
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


def _same(value: Any, declared: Any) -> bool:
    if str(value) == str(declared):
        return True
    left, right = _number(value), _number(declared)
    return left is not None and left == right


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
