"""Effects where there can be none (Lipsitch, Tchetgen Tchetgen & Cohen 2010, Epidemiology 21, 383-388)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from causeway.effects.estimators.average import METHODS
from causeway.effects.estimators.partially_linear import partially_linear
from causeway.effects.folds import deal_folds
from causeway.effects.influence import Flags, Linearised
from causeway.effects.nuisances import Target, cross_fit, usual_folds
from causeway.effects.problem import Problem
from causeway.effects.refutations.estimators import Estimator
from causeway.effects.refutations.instrumented import InstrumentProblem
from causeway.effects.refutations.scores import inferred

FEWEST = 20


@dataclass(frozen=True, slots=True)
class Anew:
    """A method with nuisances fitted anew, in one split."""

    method: str
    adjusts: bool = True

    def estimate(self, problem: Problem) -> Linearised:
        once = replace(problem, splits=1)
        return METHODS[self.method](once, once.nuisances()).estimate


def negative_controls(
    problem: Problem,
    columns: Mapping[str, pl.Series],
    *,
    outcomes: Sequence[str],
    exposures: Sequence[str],
    estimator: Estimator,
    known: dict[str, dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """One record a control: column, role, effect, interval, p_value and status; JSON values only.

    A control outcome is estimated as the outcome was, by the same estimator. A control exposure is put in the
    treatment's place, with the treatment among what is adjusted for, in a partially linear model, which takes any
    number.

    known: records of control outcomes for the same units, treatment and covariates, by name: they are the same
    whatever the outcome is. Those that are missing are put in.
    """
    known = {} if known is None else known
    for name in outcomes:
        if name not in known:
            known[name] = _of_outcome(problem, columns[name], name, estimator)
    return [dict(known[name]) for name in outcomes] + [_of_exposure(problem, columns[name], name) for name in exposures]


def _of_outcome(problem: Problem, column: pl.Series, name: str, estimator: Estimator) -> dict[str, Any]:
    usable = _usable(column)
    if usable is None or _too_few(problem.treated, usable):
        return _record(name, "outcome", "not a number" if usable is None else "too few units with a value")
    values = column.to_numpy().astype(np.float64)[usable]
    if np.ptp(values) == 0:
        return _record(name, "outcome", "the same for everybody")
    asked = replace(problem.among(usable), outcome=values)
    try:
        found = estimator.estimate(asked)
    except ValueError as reason:
        return _record(name, "outcome", str(reason))
    return _told(asked, found, name, "outcome")


def _of_exposure(problem: Problem, column: pl.Series, name: str) -> dict[str, Any]:
    usable = _usable(column)
    if usable is None or int(usable.sum()) < FEWEST:
        return _record(name, "exposure", "not a number" if usable is None else "too few units with a value")
    exposure = column.to_numpy().astype(np.float64)[usable]
    if np.ptp(exposure) == 0:
        return _record(name, "exposure", "the same for everybody")
    asked = problem.among(usable)
    dose = asked.dose if isinstance(asked, InstrumentProblem) else asked.treated
    x = np.column_stack([dose.astype(np.float64), asked.x])
    split = deal_folds(exposure > np.median(exposure), usual_folds(asked.n), asked.seeds[0], clusters=asked.clusters)
    targets = [Target("outcome", asked.outcome), Target("exposure", exposure)]
    computing = asked.computing
    predicted = cross_fit(
        targets, x, [split], asked.seeds[:1], weights=asked.weights, n_jobs=computing.n_jobs, backend=computing.backend
    )[0][0]
    found = partially_linear(
        asked.outcome, exposure, predicted["outcome"], predicted["exposure"], weights=asked.weights
    )
    return _told(asked, found, name, "exposure")


def _usable(column: pl.Series) -> Flags | None:
    return column.is_not_null().to_numpy() if column.dtype.is_numeric() else None


def _too_few(treated: Flags, usable: Flags) -> bool:
    return bool(min(int((treated & usable).sum()), int((~treated & usable).sum())) < FEWEST // 2)


def _told(problem: Problem, found: Linearised, name: str, role: str) -> dict[str, Any]:
    inference = inferred(problem, found)
    if inference.status != "ok":
        return _record(name, role, inference.status)
    record = _record(name, role, "ok")
    numbers = {key: getattr(inference, key) for key in ("std_error", "ci_low", "ci_high", "p_value")}
    return {**record, "effect": found.effect, **numbers, "n": problem.n}


def _record(name: str, role: str, status: str) -> dict[str, Any]:
    empty = dict.fromkeys(("effect", "std_error", "ci_low", "ci_high", "p_value", "n"))
    return {"column": name, "role": role, "status": status, **empty}
