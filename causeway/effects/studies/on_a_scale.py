"""A study of a treatment that is measured on a scale: slopes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from causeway.declarations.study import StudyDeclaration
from causeway.effects.estimators.aipw import OverSplits, over_splits
from causeway.effects.estimators.partially_linear import partially_linear
from causeway.effects.folds import deal_folds
from causeway.effects.influence import Array, infer
from causeway.effects.linear_effect import linear_effect
from causeway.effects.nuisances import Target, cross_fit, usual_folds
from causeway.effects.problem import Computing, usual_splits
from causeway.effects.studies.answer import MethodEstimate
from causeway.effects.studies.two_arms import row_of
from causeway.effects.studies.units import StudyUnits
from causeway.effects.studies.wording import estimand_in_words

HEADLINE = "partially_linear"


def estimate_slopes(
    study: StudyDeclaration, units: StudyUnits, x: Array, *, outcome: str, seed: int, computing: Computing
) -> tuple[list[MethodEstimate], OverSplits | None, dict[str, object]]:
    """Rows of the partially linear model and of least squares; the former over its splits; the nuisances' record."""
    linear = linear_effect(units.outcome, units.treatment, x, weights=units.weights, clusters=units.clusters)
    words = estimand_in_words(study, outcome, "slope")
    if linear.effect is None or linear.inference is None:
        return (
            [MethodEstimate("linear_regression", "slope", words, linear.status, units.n, reason=linear.reason)],
            None,
            {},
        )
    rows = [
        row_of(
            study, outcome, "linear_regression", "slope",
            n=linear.units, effect=linear.effect.effect, inference=linear.inference,
            std_error_classical=linear.std_error_classical, variance=linear.variance,
        )
    ]  # fmt: skip
    if x.shape[1] == 0:
        return rows, None, {}
    found, told = _partially_linear(units, x, seed, computing)
    inference = infer(found.estimate, None, clusters=units.clusters, scale=_per_unit(units))
    rows.insert(
        0,
        row_of(
            study, outcome, HEADLINE, "slope",
            n=units.n, effect=found.estimate.effect, inference=inference,
            splits=list(found.effects), spread=found.spread,
        ),
    )  # fmt: skip
    return rows, found, told


def _partially_linear(
    units: StudyUnits, x: Array, seed: int, computing: Computing
) -> tuple[OverSplits, dict[str, object]]:
    splits = usual_splits(units.n)
    seeds = [int(each) for each in np.random.SeedSequence(seed).generate_state(splits)]
    high = units.treatment > np.median(units.treatment)
    folds = [deal_folds(high, usual_folds(units.n), each, clusters=units.clusters) for each in seeds]
    targets = [Target("outcome", "regression", units.outcome), Target("treatment", "regression", units.treatment)]
    predicted, told = cross_fit(
        targets, x, folds, seeds, weights=units.weights, n_jobs=computing.n_jobs, backend=computing.backend
    )
    estimates = [
        partially_linear(units.outcome, units.treatment, each["outcome"], each["treatment"], weights=units.weights)
        for each in predicted
    ]
    if units.clusters is not None:
        groups = len(np.unique(units.clusters))
        few = (groups / max(1, groups - 1), float(groups - 1))
        estimates = [replace(each, of_clusters=few) for each in estimates]
    return over_splits(estimates), dict(told)


def _per_unit(units: StudyUnits) -> float:
    """Outcome per unit of treatment."""
    return float(np.std(units.outcome) / np.std(units.treatment))
