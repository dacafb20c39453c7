"""A study of a treatment that is measured on a scale: slopes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from causeway.declarations.study import StudyDeclaration
from causeway.effects.estimators.aipw import OverSplits, over_splits
from causeway.effects.estimators.linear_effect import LinearEffect, linear_effect
from causeway.effects.estimators.partially_linear import of_slope_clusters, partially_linear
from causeway.effects.folds import deal_folds
from causeway.effects.influence import Array, Linearised, infer
from causeway.effects.nuisances import Target, cross_fit, usual_folds
from causeway.effects.problem import Computing, usual_splits
from causeway.effects.studies.answer import MethodEstimate
from causeway.effects.studies.two_arms import row_of
from causeway.effects.studies.units import StudyUnits
from causeway.effects.studies.wording import estimand_in_words

HEADLINE = "partially_linear"
LINEAR = "linear_regression"


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Rows, the headline first; `found` is its estimate, None where there is none. over: the same over its splits.
    linear: by least squares. nuisance: the nuisances' record.
    """

    rows: tuple[MethodEstimate, ...]
    headline: str
    found: Linearised | None
    over: OverSplits | None
    linear: LinearEffect
    nuisance: Mapping[str, object]


def estimate_slopes(
    study: StudyDeclaration, units: StudyUnits, x: Array, *, outcome: str, seed: int, computing: Computing
) -> Slopes:
    """The partially linear model, the headline where there is anything to adjust for, and least squares."""
    linear = linear_effect(units.outcome, units.treatment, x, weights=units.weights, clusters=units.clusters)
    words = estimand_in_words(study, outcome, "slope")
    if linear.effect is None or linear.inference is None:
        row = MethodEstimate(LINEAR, "slope", words, linear.status, units.n, reason=linear.reason)
        return Slopes((row,), LINEAR, None, None, linear, {})
    row = row_of(
        study, outcome, LINEAR, "slope",
        n=linear.units, effect=linear.effect.effect, inference=linear.inference,
        std_error_classical=linear.std_error_classical, variance=linear.variance,
    )  # fmt: skip
    if x.shape[1] == 0:
        return Slopes((row,), LINEAR, linear.effect, None, linear, {})
    over, told = _partially_linear(units, x, seed, computing)
    inference = infer(over.estimate, None, clusters=units.clusters, scale=_per_unit(units))
    first = row_of(
        study, outcome, HEADLINE, "slope",
        n=units.n, effect=over.estimate.effect, inference=inference, splits=list(over.effects), spread=over.spread,
    )  # fmt: skip
    return Slopes((first, row), HEADLINE, over.estimate, over, linear, told)


def _partially_linear(
    units: StudyUnits, x: Array, seed: int, computing: Computing
) -> tuple[OverSplits, dict[str, object]]:
    splits = usual_splits(units.n)
    seeds = [int(each) for each in np.random.SeedSequence(seed).generate_state(splits)]
    high = units.treatment > np.median(units.treatment)
    folds = [deal_folds(high, usual_folds(units.n), each, clusters=units.clusters) for each in seeds]
    targets = [Target("outcome", units.outcome), Target("treatment", units.treatment)]
    predicted, told = cross_fit(
        targets, x, folds, seeds, weights=units.weights, n_jobs=computing.n_jobs, backend=computing.backend
    )
    estimates = [
        partially_linear(units.outcome, units.treatment, each["outcome"], each["treatment"], weights=units.weights)
        for each in predicted
    ]
    if units.clusters is not None:
        few = of_slope_clusters(units.clusters)
        estimates = [replace(each, of_clusters=few) for each in estimates]
    return over_splits(estimates), dict(told)


def _per_unit(units: StudyUnits) -> float:
    """Outcome per unit of treatment."""
    return float(np.std(units.outcome) / np.std(units.treatment))
