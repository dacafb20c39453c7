"""Inverse propensity weighting with a logistic propensity: a parametric method, and an interval that knows it."""

from __future__ import annotations

import numpy as np

from causeway.effects.estimators.aipw import Average
from causeway.effects.influence import Array, Flags, Linearised
from causeway.effects.learners import Squares
from causeway.effects.nuisances import CLIP


def ipw(
    outcome: Array,
    treated: Flags,
    x: Array,
    *,
    target: Average = "ATE",
    weights: Array | None = None,
    known_propensity: Array | None = None,
) -> Linearised:
    """Difference of the arms' weighted means (Hajek), weights 1 / P(own arm | x) for the ATE.

    The propensity is a logistic regression on the columns of x (n, p) and their squares, fitted on everybody. The
    contributions count that it is estimated: without that part intervals are too wide (Lunceford & Davidian 2004,
    Stat. Med. 23, eq. 19; as an M-estimator, Stefanski & Boos 2002). known_propensity: (n,), of the design, and then
    nothing is fitted.
    """
    # The penalty is meant for weights of one on average.
    w = np.ones(len(outcome)) if weights is None else weights / weights.mean()
    t = treated.astype(np.float64)
    design: Array | None = None
    if known_propensity is not None:
        e = known_propensity
    else:
        design = np.column_stack([np.ones(len(t)), Squares.of(x)(x)]) if x.shape[1] else np.ones((len(t), 1))
        e = np.clip(_logistic(design, treated, None if weights is None else w), CLIP, 1 - CLIP)
    like_treated = {"ATE": t / e, "ATT": t, "ATC": t * (1 - e) / e}[target] * w
    like_control = {"ATE": (1 - t) / (1 - e), "ATT": (1 - t) * e / (1 - e), "ATC": 1 - t}[target] * w
    mean_treated = float(like_treated @ outcome) / float(like_treated.sum())
    mean_control = float(like_control @ outcome) / float(like_control.sum())
    part_treated = like_treated * (outcome - mean_treated) / like_treated.sum()
    part_control = like_control * (outcome - mean_control) / like_control.sum()
    contributions = part_treated - part_control
    if design is not None:
        # d/d(logit) of the two weighted means, times the error of the logit's coefficients.
        by_treated = {"ATE": -(1 - e), "ATT": np.zeros(len(t)), "ATC": -np.ones(len(t))}[target]
        by_control = {"ATE": e, "ATT": np.ones(len(t)), "ATC": np.zeros(len(t))}[target]
        slope = design.T @ (part_treated * by_treated - part_control * by_control)
        information = design.T @ (design * (w * e * (1 - e))[:, np.newaxis])
        contributions = contributions + (design @ np.linalg.pinv(information) @ slope) * w * (t - e)
    return Linearised(mean_treated - mean_control, contributions)


def _logistic(design: Array, treated: Flags, weights: Array | None) -> Array:
    """Fitted probabilities; a light penalty, for separable arms would have no finite fit."""
    from sklearn.linear_model import LogisticRegression

    if design.shape[1] == 1:
        return np.full(len(treated), float(np.average(treated, weights=weights)))
    model = LogisticRegression(C=10.0, solver="newton-cholesky", max_iter=200)
    model.fit(design[:, 1:], treated, sample_weight=weights)
    return np.asarray(model.predict_proba(design[:, 1:])[:, 1], dtype=np.float64)
