"""From a frame as somebody recorded it to the arrays that a study needs, or to the reason why that cannot be done.

Nothing here is a crash: a declared column that is absent, a treatment that is constant or an outcome in words is an
answer about the data. The caller's frame is read and never written to. What is left out is counted, by reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from causeway.declarations.study import StudyDeclaration
from causeway.effects.influence import Array, Flags, Labels
from causeway.effects.post_treatment import PostTreatmentSign, missing_by_arm
from causeway.effects.studies.encoding import Covariates
from causeway.effects.studies.frame_columns import FrameColumns
from causeway.effects.studies.magnitude import LARGEST, LEAST_SPREAD, beyond, carriers, effective_number, varies
from causeway.statistics.effect import Status

if TYPE_CHECKING:
    import pandas as pd

MIN_UNITS = 20
MIN_UNITS_PER_ARM = 5
# Of units that make up the variance of a number; thirty normal ones have ten.
FEWEST_CARRIERS = 3
# An effective number is no whole one.
HALF = 0.5
# How the reason begins for which rows of a third arm are left out.
OTHER_TREATMENT = "with another "
NOT_READ = "not looked at"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Rows of the frame that are not among the units: `rows` by reason, each row under the first that holds.

    of_arms: how many rows of each of two arms are used, and how many are left out.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    of_arms: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return sum(self.rows.values())

    def in_words(self) -> str:
        return ", ".join(f"{n:,} {reason}" for reason, n in self.rows.items())


@dataclass(frozen=True, slots=True, eq=False)
class StudyUnits:
    """Complete rows. treatment: (n,) as a number, 0 and 1 where two values are compared; treated: (n,) or None on a
    scale. confounders, modifiers: encoded. instruments: (n, q). others: negative controls, further outcomes, segments
    by column, with nulls where they are missing. positions: (n,) rows of the frame. missing_by_arm: confounders that
    next to no row of one arm has, in all rows of the frame.
    """

    treatment: Array
    treated: Flags | None
    outcome: Array
    confounders: Covariates
    modifiers: Covariates
    instruments: Array
    weights: Array | None
    clusters: Labels | None
    blocks: Labels | None
    known_propensity: Array | None
    others: Mapping[str, pl.Series]
    left_out: LeftOut
    positions: npt.NDArray[np.int64]
    missing_by_arm: tuple[PostTreatmentSign, ...] = ()

    @property
    def n(self) -> int:
        return len(self.outcome)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the frame cannot answer the question, with the number of complete rows and of those left out."""

    status: Status
    reason: str
    n: int = 0
    left_out: LeftOut = LeftOut()


class Unanswerable(Exception):
    """Carries a refusal from the check that found it to whoever answers."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def read_units(frame: pl.DataFrame | pd.DataFrame | FrameColumns, study: StudyDeclaration) -> StudyUnits | Refusal:
    """Take the declared columns and leave out rows, counted, that lack one of them or have another treatment.

    Values match the declared ones when they are equal as they are, as numbers or as text, so 1, 1.0 and "1" are one
    value. Infinite numbers are missing ones. Text confounders become indicators, rare levels folded into "(other)".
    Negative controls, further outcomes and segments may be missing. Fewer than 20 complete rows are refused.
    """
    columns = frame if isinstance(frame, FrameColumns) else FrameColumns(frame)
    try:
        return _read(columns, study)
    except Unanswerable as problem:
        found = problem.refusal
        rest = columns.rows - found.n - found.left_out.n
        # Of a frame that is refused as a whole no row was looked at.
        return replace(found, left_out=LeftOut({**found.left_out.rows, NOT_READ: rest})) if rest else found


def _read(frame: FrameColumns, study: StudyDeclaration) -> StudyUnits:
    columns = _declared_columns(frame, study)
    usable, left_out = _usable(columns, study)
    positions = np.flatnonzero(usable)
    n = len(positions)
    rows = pl.Series(usable)
    kept = {name: series.filter(rows) for name, series in columns.items()}

    def demand(holds: bool, status: Status, reason: str) -> None:
        if not holds:
            raise Unanswerable(Refusal(status, reason, n, left_out))

    late = tuple(_missing_by_arm(columns, study))
    hint = "".join(f"; {sign.detail}: what exists only after treatment is no confounder" for sign in late)
    demand(n > 0, "no_units", f"no row is complete: {left_out.in_words() or 'there are no rows'}{hint}")
    for status, reason in _refusals_of_treatment(kept[study.treatment.column], study, n):
        demand(False, status, reason + hint)
    for refusal in _refusals(kept, study):
        demand(False, *refusal)
    treated = None if study.treatment.values is None else _arms(kept[study.treatment.column], study)[0]
    propensity: Array | None = None
    if isinstance(study.known_propensity, str):
        propensity = _array(kept[study.known_propensity])
    elif study.known_propensity is not None:
        propensity = np.full(n, float(study.known_propensity))
    return StudyUnits(
        treatment=_array(kept[study.treatment.column]) if treated is None else treated.astype(np.float64),
        treated=treated,
        outcome=_array(kept[study.outcome.column]),
        confounders=frame.covariates({name: kept[name] for name in study.confounders}, positions),
        modifiers=frame.covariates({name: kept[name] for name in study.effect_modifiers}, positions),
        instruments=_matrix([kept[name] for name in study.instruments], n),
        weights=None if study.weights is None else _relative(_array(kept[study.weights])),
        clusters=None if study.clusters is None else _labels(kept[study.clusters]),
        blocks=None if study.blocks is None else _labels(kept[study.blocks]),
        known_propensity=propensity,
        others={name: _within_reach(kept[name]) for name in _optional(study)},
        left_out=left_out,
        positions=positions,
        missing_by_arm=late,
    )


def _usable(columns: Mapping[str, pl.Series], study: StudyDeclaration) -> tuple[Flags, LeftOut]:
    """The rows that can be used, and why each other one cannot, under the first reason that holds."""
    treatment = columns[study.treatment.column]
    usable = np.ones(len(treatment), dtype=bool)
    reasons: dict[str, int] = {}

    def leave_out(rows: Flags, reason: str) -> None:
        found = int((usable & rows).sum())
        if found:
            reasons[reason] = found
            usable[rows] = False

    for name in _needed(study):
        leave_out(columns[name].is_null().to_numpy(), f"without {name}")
        if columns[name].dtype.is_numeric():
            leave_out(beyond(_numbers(columns[name], name)), f"with {name} beyond {LARGEST:.0e}, rescale it")
    if study.treatment.values is not None:
        treated, control = _arms(treatment, study)
        other = ~(treated | control)
        values = sorted({str(value) for value in treatment.filter(pl.Series(usable & other)).unique().to_list()})
        seen = ", ".join(values[:5]) + (", ..." if len(values) > 5 else "")
        leave_out(other, f"{OTHER_TREATMENT}{study.treatment.column} ({seen})")
    if study.weights is not None:
        leave_out(~(_numbers(columns[study.weights], study.weights) > 0), f"with no positive {study.weights}")
    if isinstance(study.known_propensity, str):
        known = _numbers(columns[study.known_propensity], study.known_propensity)
        leave_out(~((known > 0) & (known < 1)), f"with {study.known_propensity} not between 0 and 1")
    arms = dict(zip(("treated", "control"), _arms(treatment, study), strict=True))
    of_arms = {arm: (int((rows & usable).sum()), int((rows & ~usable).sum())) for arm, rows in arms.items()}
    return usable, LeftOut(reasons, of_arms if study.treatment.values is not None else {})


def _missing_by_arm(columns: Mapping[str, pl.Series], study: StudyDeclaration) -> Iterator[PostTreatmentSign]:
    """Confounders that next to no row of one arm has: what a unit has only after treatment."""
    treated, control = _arms(columns[study.treatment.column], study)
    known = treated | control
    for name in study.confounders:
        missing = columns[name].is_null().to_numpy()[known]
        sign = missing_by_arm(name, missing, treated[known]) if missing.any() else None
        if sign is not None:
            yield sign


def _refusals(kept: Mapping[str, pl.Series], study: StudyDeclaration) -> Iterator[tuple[Status, str]]:
    """Why complete rows with enough treated and untreated ones cannot answer either."""
    outcome = kept[study.outcome.column]
    if not outcome.dtype.is_numeric():
        yield "not_estimable", f"{outcome.name} is not a number"
    elif outcome.n_unique() == 1:
        yield "zero_variance", f"{outcome.name} is the same for everybody"
    elif not varies(_array(outcome)):
        yield "zero_variance", f"{outcome.name} varies by less than {LEAST_SPREAD:.0e}: rescale it"
    for name in study.instruments:
        if not kept[name].dtype.is_numeric():
            yield "not_estimable", f"the instrument {name} is not a number"
        elif varies(_array(kept[name])) and carriers(_array(kept[name])) < FEWEST_CARRIERS - HALF:
            yield "too_few_units", _carried(f"the instrument {name}")
    yield from _refusals_of_groups(kept, study)


def _refusals_of_treatment(treatment: pl.Series, study: StudyDeclaration, n: int) -> Iterator[tuple[Status, str]]:
    constant = f"{treatment.name} is the same for all {n} complete rows: there is nothing to compare"
    if study.treatment.values is not None:
        arms = [int(arm.sum()) for arm in _arms(treatment, study)]
        if min(arms) == 0:
            yield "no_units", constant
        elif n < MIN_UNITS or min(arms) < MIN_UNITS_PER_ARM:
            needed = f"{MIN_UNITS} are needed, and {MIN_UNITS_PER_ARM} in each arm"
            yield "too_few_units", f"only {arms[0]} treated and {arms[1]} control rows are complete; {needed}"
    elif not treatment.dtype.is_numeric():
        yield "not_estimable", f"{treatment.name} is not a number; declare treatment.values"
    elif treatment.n_unique() == 1:
        yield "no_units", constant
    elif n < MIN_UNITS:
        yield "too_few_units", f"only {n} rows are complete; {MIN_UNITS} are needed"
    elif not varies(_array(treatment)):
        yield "zero_variance", f"{treatment.name} varies by less than {LEAST_SPREAD:.0e}: rescale it"
    elif carriers(_array(treatment)) < FEWEST_CARRIERS - HALF:
        yield "too_few_units", _carried(treatment.name)


def _refusals_of_groups(kept: Mapping[str, pl.Series], study: StudyDeclaration) -> Iterator[tuple[Status, str]]:
    """Clusters and weights that leave less than there seems to be."""
    n = len(kept[study.outcome.column])
    arms = list(_arms(kept[study.treatment.column], study)) if study.treatment.values else [np.ones(n, dtype=bool)]
    where = "in an arm" if study.treatment.values else "in all"
    if study.clusters is not None and min(kept[study.clusters].filter(pl.Series(arm)).n_unique() for arm in arms) < 2:
        yield "too_few_units", f"there are fewer than two clusters {where} by {study.clusters}: clusters are compared"
    by = [name for name in (study.weights, study.known_propensity) if isinstance(name, str)]
    weights = np.ones(n) if study.weights is None else _relative(_array(kept[study.weights]))
    if isinstance(study.known_propensity, str) and study.treatment.values:
        known = _array(kept[study.known_propensity])
        weights = weights / np.where(arms[0], known, 1 - known)
    effective = min(effective_number(weights[arm]) for arm in arms)
    if by and effective < MIN_UNITS_PER_ARM - HALF:
        what = f"weights by {' and '.join(by)} leave {effective:.1f} effective units {where}"
        yield "too_few_units", f"{what}; {MIN_UNITS_PER_ARM} are needed"


def _carried(name: str) -> str:
    return f"{name} varies for fewer than {FEWEST_CARRIERS} units, in effect: nothing can be told from so few"


def _relative(weights: Array) -> Array:
    """With a mean of one: only ratios matter, and sums of tiny numbers vanish."""
    largest = weights / weights.max()
    return np.asarray(largest / largest.mean(), dtype=np.float64)


def _within_reach(series: pl.Series) -> pl.Series:
    """With nulls for what is too large."""
    if not series.dtype.is_numeric():
        return series
    return series.set(series.abs() > LARGEST, None)


def _array(series: pl.Series) -> Array:
    return series.to_numpy().astype(np.float64)


def _needed(study: StudyDeclaration) -> list[str]:
    """Columns without which a row says nothing, in the order in which their absence is told."""
    one = [study.treatment.column, study.outcome.column]
    named = [study.weights, study.blocks, study.clusters]
    known = [study.known_propensity] if isinstance(study.known_propensity, str) else []
    several = [*study.confounders, *study.instruments, *study.effect_modifiers]
    return list(dict.fromkeys([*one, *(name for name in named if name is not None), *known, *several]))


def _optional(study: StudyDeclaration) -> list[str]:
    controls = study.negative_controls
    cost = study.policy.cost if study.policy is not None else None
    costs = [cost] if isinstance(cost, str) else []
    return list(dict.fromkeys([*controls.outcomes, *controls.exposures, *study.outcomes, *study.segments, *costs]))


def _declared_columns(frame: FrameColumns, study: StudyDeclaration) -> dict[str, pl.Series]:
    absent = [name for name in study.columns if frame.names.count(name) != 1]
    if absent:
        reason = f"not in the data, or not just once: {', '.join(absent)}"
        raise Unanswerable(Refusal("not_estimable", reason))
    columns: dict[str, pl.Series] = {}
    for name in study.columns:
        series = frame.column(name)
        if series is None:
            raise Unanswerable(Refusal("not_estimable", f"{name} is neither a number nor a text"))
        columns[name] = series
    return columns


def _arms(treatment: pl.Series, study: StudyDeclaration) -> tuple[Flags, Flags]:
    values = study.treatment.values
    if values is None:
        nobody = np.zeros(len(treatment), dtype=bool)
        return nobody, nobody
    seen = treatment.drop_nulls().unique().to_list()
    arms = []
    for declared in (values.treated, values.control):
        same = [value for value in seen if _same(value, declared)]
        rows = treatment.is_in(pl.Series(same, dtype=treatment.dtype).implode()).fill_null(False)
        arms.append(np.asarray(rows.to_numpy(), dtype=bool))
    return arms[0], arms[1]


def _numbers(series: pl.Series, name: str) -> Array:
    if not series.dtype.is_numeric():
        raise Unanswerable(Refusal("not_estimable", f"{name} is not a number"))
    return series.fill_null(float("nan")).to_numpy().astype(np.float64)


def _matrix(columns: Sequence[pl.Series], n: int) -> Array:
    return (
        np.column_stack([column.to_numpy() for column in columns]).astype(np.float64) if columns else np.empty((n, 0))
    )


def _labels(series: pl.Series) -> Labels:
    """Whole numbers in the order of the values, which does not depend on the order of the rows."""
    return np.unique(series.cast(pl.String).to_numpy().astype(str), return_inverse=True)[1].astype(np.int64)


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
