"""The partially linear model by double machine learning: one coefficient, which is not the ATE where effects differ."""

from __future__ import annotations

import math

import numpy as np

from causeway.effects.influence import Array, Labels, Linearised


def partially_linear(
    outcome: Array,
    treatment: Array,
    expected_outcome: Array,
    expected_treatment: Array,
    *,
    weights: Array | None = None,
) -> Linearised:
    """Coefficient of Y - E[Y | x] on T - E[T | x] (Robinson 1988, Econometrica 56, 931-954; Chernozhukov et al. 2018,
    eq. 4.4), both expectations out of fold, all (n,).

    Of a two-valued treatment it is the average effect weighted by e (1 - e), by how undecided the treatment was (ATO;
    Li, Morgan & Zaslavsky 2018, JASA 113): the ATE only where the effect is the same for all. Of a treatment on a scale
    it is an average slope, weighted likewise.

    >>> found = partially_linear(np.array([0.0, 2, 1, 3]), np.array([0.0, 1, 0, 1]), np.full(4, 1.5), np.full(4, 0.5))
    >>> found.effect
    2.0
    """
    w = np.ones(len(outcome)) if weights is None else weights
    y, t = outcome - expected_outcome, treatment - expected_treatment
    information = float(w @ (t * t))
    if not information > 0:
        return Linearised(float("nan"), np.full(len(y), np.nan))
    effect = float(w @ (t * y)) / information
    return Linearised(effect, w * t * (y - effect * t) / information)


def of_slope_clusters(clusters: Labels) -> tuple[float, float]:
    """Factor of the variance and degrees of freedom of a slope whose clusters weigh about alike: G / (G - 1), G - 1."""
    groups = len(np.unique(clusters))
    return (groups / (groups - 1), float(groups - 1)) if groups > 1 else (math.nan, 0.0)
