"""The estimators of an average effect of two arms by name, each with the target that it really has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causeway.effects.estimators.aipw import OverSplits, aipw, over_splits
from causeway.effects.estimators.difference import blocked_difference, difference, within_blocks_regression
from causeway.effects.estimators.g_formula import g_formula
from causeway.effects.estimators.ipw import ipw
from causeway.effects.estimators.least_squares import treatment_coefficient
from causeway.effects.estimators.partially_linear import partially_linear
from causeway.effects.influence import Flags, Linearised
from causeway.effects.nuisances import Nuisances
from causeway.effects.problem import Problem

Trimmed = Literal["ATE_trimmed", "ATT_trimmed", "ATC_trimmed"]
Target = Literal["ATE", "ATT", "ATC", "LATE", "ATO", "slope", "association"] | Trimmed


@dataclass(frozen=True, slots=True, eq=False)
class Estimated:
    """What a method gives: its estimate on the units `rows` (n,), of `target`. effects: one a split, where units are
    split; spread: their standard deviation in standard errors.
    """

    estimate: Linearised
    rows: Flags
    target: Target
    effects: tuple[float, ...] = ()
    spread: float | None = None


Method = Callable[[Problem, Sequence[Nuisances]], Estimated]


def _everybody(problem: Problem) -> Flags:
    return np.ones(problem.n, dtype=bool)


def _difference(problem: Problem, nuisances: Sequence[Nuisances]) -> Estimated:
    del nuisances
    target: Target = "association" if problem.known_propensity is None and problem.blocks is None else "ATE"
    if problem.blocks is not None:
        found = blocked_difference(problem.outcome, problem.treated, problem.blocks, weights=problem.weights)
        return Estimated(found.estimate, found.rows, target)
    found_plain = difference(
        problem.outcome, problem.treated, weights=problem.weights, known_propensity=problem.known_propensity
    )
    return Estimated(found_plain, _everybody(problem), target)


def _linear_regression(problem: Problem, nuisances: Sequence[Nuisances]) -> Estimated:
    del nuisances
    if problem.blocks is not None:
        within = within_blocks_regression(
            problem.outcome, problem.treated, problem.x, problem.blocks, weights=problem.weights
        )
        return Estimated(within, _everybody(problem), "ATO")
    design = np.column_stack([np.ones(problem.n), problem.treated, problem.x])
    outcome, w = problem.outcome, problem.weights
    if w is not None:
        root = np.sqrt(w / w.mean())
        design, outcome = design * root[:, np.newaxis], outcome * root
    found = treatment_coefficient(design, outcome)
    df = float(problem.n - np.linalg.matrix_rank(design))
    return Estimated(Linearised(found.value, found.influence, df), _everybody(problem), "ATO")


def _g_formula(problem: Problem, nuisances: Sequence[Nuisances]) -> Estimated:
    del nuisances
    found = g_formula(problem.outcome, problem.treated, problem.x, target=problem.target, weights=problem.weights)
    return Estimated(found, _everybody(problem), problem.target)


def _ipw(problem: Problem, nuisances: Sequence[Nuisances]) -> Estimated:
    del nuisances
    found = ipw(
        problem.outcome,
        problem.treated,
        problem.x,
        target=problem.target,
        weights=problem.weights,
        known_propensity=problem.known_propensity,
    )
    return Estimated(found, _everybody(problem), problem.target)


def _aipw(problem: Problem, nuisances: Sequence[Nuisances]) -> Estimated:
    found = over_splits(
        [
            aipw(problem.outcome, problem.treated, each, target=problem.target, weights=problem.weights)
            for each in nuisances
        ]
    )
    return _of_splits(problem, found, problem.target)


def _partially_linear(problem: Problem, nuisances: Sequence[Nuisances]) -> Estimated:
    treatment = problem.treated.astype(np.float64)
    found = over_splits(
        [
            partially_linear(problem.outcome, treatment, each.outcome, each.propensity, weights=problem.weights)
            for each in nuisances
        ]
    )
    return _of_splits(problem, found, "ATO")


def _of_splits(problem: Problem, found: OverSplits, target: Target) -> Estimated:
    return Estimated(found.estimate, _everybody(problem), target, found.effects, found.spread)


METHODS: dict[str, Method] = {
    "aipw": _aipw,
    "g_formula": _g_formula,
    "ipw": _ipw,
    "partially_linear": _partially_linear,
    "linear_regression": _linear_regression,
    "difference_in_means": _difference,
}
"""By name; those that need no nuisances do not look at them."""


def aipw_among(problem: Problem, nuisances: Sequence[Nuisances], kept: Flags) -> Estimated:
    """Of the units `kept` (n,) alone, from the nuisances of all: the effect after trimming. `rows` are all of those."""
    some = problem.among(kept)
    pieces = [
        Nuisances(each.folds[kept], each.propensity[kept], each.outcome_control[kept], each.outcome_treated[kept])
        for each in nuisances
    ]
    return _aipw(some, pieces)
