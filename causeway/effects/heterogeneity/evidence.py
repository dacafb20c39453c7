"""Does a model of the effect beat one number for everybody, on units that it has not seen?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from causeway.effects.heterogeneity.cross_fit import CrossFit
from causeway.effects.heterogeneity.scores import Scores, constant_effect
from causeway.effects.influence import Array, Labels

# Predictions that spread less than this, in units of the largest, are one number.
SAME = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What held-out units say of the learners of one split.

    losses: mean R-loss by learner and of "constant", out of fold, in squared units of the outcome. gain_std_errors: of
    the constant's loss less the learner's, of independent units or clusters. p_value: one-sided, of "no model orders
    the units better than chance". ahead: (n,), the predictions that were tested, each by folds before the unit's own;
    nan in the first.
    """

    losses: dict[str, float]
    gain_std_errors: dict[str, float]
    p_value: float
    ahead: Array


def evidence(scores: Scores, fits: Sequence[CrossFit], *, clusters: Labels | None = None) -> Evidence:
    """Losses out of fold, and the sequential test of Wager 2024 (arXiv 2405.05534).

    Fold k is predicted by the learner, fitted on the folds before it, that predicted the folds 2 to k - 1 best; the
    second fold by the mean of all learners. Within the fold, the R-loss is tested for a slope along the prediction
    (the calibration of Chernozhukov, Demirer, Duflo & Fernandez-Val 2018, which grf calls test_calibration). Given the
    folds before, each t is normal with mean zero if the effect is constant, so their sum with weights root k is too,
    and no choice among learners has seen the units that it is tested on.
    """
    constant = np.empty(len(scores.folds))
    for fold in range(int(scores.folds.max()) + 1):
        others = scores.folds != fold
        constant[~others] = constant_effect(
            scores.outcome_residual[others], scores.treatment_residual[others], scores.weights[others]
        )
    of_constant = scores.r_loss(constant)
    of_learners: dict[str, Array] = {fit.learner: scores.r_loss(fit.effect) for fit in fits}
    means = {name: float(np.average(loss, weights=scores.weights)) for name, loss in of_learners.items()}
    std_errors = {}
    for name, loss in of_learners.items():
        difference = of_constant - loss
        centred = difference - np.average(difference, weights=scores.weights)
        std_errors[name] = math.sqrt(float(np.sum(_sums(scores.weights * centred, clusters) ** 2))) / len(loss)
    p_value, ahead = _sequential_test(scores, fits, clusters)
    constants_loss = float(np.average(of_constant, weights=scores.weights))
    return Evidence({"constant": constants_loss, **means}, std_errors, p_value, ahead)


def _sequential_test(scores: Scores, fits: Sequence[CrossFit], clusters: Labels | None) -> tuple[float, Array]:
    n_folds = int(scores.folds.max()) + 1
    ahead = np.full(len(scores.folds), np.nan)
    losses = np.zeros(len(fits))
    total, weight = 0.0, 0.0
    for fold in range(1, n_folds):
        unit = np.flatnonzero(scores.folds == fold)
        predictions = np.array([fit.ahead[unit] for fit in fits])
        ahead[unit] = predictions.mean(axis=0) if fold == 1 else predictions[int(np.argmin(losses))]
        total += math.sqrt(fold) * _slope_t(scores, unit, ahead[unit], None if clusters is None else clusters[unit])
        weight += fold
        t, w = scores.treatment_residual[unit], scores.weights[unit]
        losses += [float(w @ (scores.outcome_residual[unit] - prediction * t) ** 2) for prediction in predictions]
    return float(stats.norm.sf(total / math.sqrt(weight))), ahead


def _slope_t(scores: Scores, unit: Labels, predicted: Array, clusters: Labels | None) -> float:
    """t of the slope of Y - m on (T - e)(predicted - mean) beside (T - e), zero where nothing is predicted."""
    t, w, y = scores.treatment_residual[unit], scores.weights[unit], scores.outcome_residual[unit]
    by_residual = w * t**2
    if by_residual.sum() <= 0:
        return 0.0
    deviation = predicted - float(by_residual @ predicted) / float(by_residual.sum())
    if np.abs(deviation).max() <= SAME * max(1e-300, float(np.abs(predicted).max())):
        return 0.0
    pieces = _sums(w * t * deviation * (y - constant_effect(y, t, w) * t), clusters)
    std_error = math.sqrt(float(pieces @ pieces))
    return float(pieces.sum()) / std_error if std_error > 0 else 0.0


def _sums(values: Array, clusters: Labels | None) -> Array:
    if clusters is None:
        return values
    sums: Array = np.bincount(np.unique(clusters, return_inverse=True)[1], weights=values).astype(np.float64)
    return sums
