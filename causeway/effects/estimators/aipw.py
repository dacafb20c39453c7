"""Augmented inverse propensity weighting: right if either the propensity or the outcome model is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from causeway.effects.influence import Array, Flags, Linearised
from causeway.effects.nuisances import Nuisances

Average = Literal["ATE", "ATT", "ATC"]


@dataclass(frozen=True, slots=True, eq=False)
class OverSplits:
    """An estimate over several splits: their median, and how far the choice of a split moves it.

    effects: one a split. spread: their standard deviation as a share of the standard error.
    """

    estimate: Linearised
    effects: tuple[float, ...]
    spread: float


def doubly_robust_scores(outcome: Array, treated: Flags, nuisances: Nuisances) -> Array:
    """m1 - m0 + T (Y - m1) / e - (1 - T) (Y - m0) / (1 - e), (n,): the mean over any set of units estimates that set's
    average effect (Robins, Rotnitzky & Zhao 1994, JASA 89, 846-866).
    """
    e, m0, m1 = nuisances.propensity, nuisances.outcome_control, nuisances.outcome_treated
    return m1 - m0 + np.where(treated, (outcome - m1) / e, -(outcome - m0) / (1 - e))


def aipw(
    outcome: Array,
    treated: Flags,
    nuisances: Nuisances,
    *,
    target: Average = "ATE",
    weights: Array | None = None,
    normalised: bool = True,
) -> Linearised:
    """The effect of one split.

    ATT: the mean over the treated of Y - m0, less that of the controls weighed by the odds e / (1 - e)
    (Hahn 1998, Econometrica 66, 315-331; Mercatanti & Li 2014); ATC likewise. normalised: each arm's correction is
    divided by the sum of its weights instead of by what that sum should be (Hajek), which costs no bias to first order
    and spares the answer from single large weights. weights: (n,), of sampling.

    >>> nuisances = Nuisances(np.zeros(4, int), np.full(4, 0.5), np.zeros(4), np.ones(4))
    >>> found = aipw(np.array([1.0, 3.0, 0.0, 1.0]), np.array([True, True, False, False]), nuisances)
    >>> found.effect
    1.5
    """
    w = np.ones(len(outcome)) if weights is None else weights
    e, m0, m1 = nuisances.propensity, nuisances.outcome_control, nuisances.outcome_treated
    t = treated.astype(np.float64)
    # Of whom the effect is averaged, and the weights that make each arm look like them.
    of = {"ATE": np.ones(len(t)), "ATT": t, "ATC": 1 - t}[target] * w
    like_treated = {"ATE": t / e, "ATT": t, "ATC": t * (1 - e) / e}[target] * w
    like_control = {"ATE": (1 - t) / (1 - e), "ATT": (1 - t) * e / (1 - e), "ATC": 1 - t}[target] * w
    total = float(of.sum())
    sums = (float(like_treated.sum()), float(like_control.sum())) if normalised else (total, total)
    residual_treated, residual_control = outcome - m1, outcome - m0
    base = float(of @ (m1 - m0)) / total
    up = float(like_treated @ residual_treated) / sums[0]
    down = float(like_control @ residual_control) / sums[1]
    contributions = of * (m1 - m0 - base) / total
    if normalised:
        contributions += like_treated * (residual_treated - up) / sums[0]
        contributions -= like_control * (residual_control - down) / sums[1]
    else:
        contributions += like_treated * residual_treated / total - like_control * residual_control / total
        contributions -= of * (up - down) / total
    return Linearised(base + up - down, contributions)


def over_splits(estimates: Sequence[Linearised]) -> OverSplits:
    """The median of the splits' effects, and a variance that counts how far they lie apart (Chernozhukov et al. 2018,
    Econometrics J. 21, eq. 3.14): the median of variance + (effect - median)**2.

    The contributions are those of the split in the middle, stretched to that variance.
    """
    effects = np.array([each.effect for each in estimates])
    middle = float(np.median(effects))
    variances = np.array([each.std_error**2 for each in estimates])
    variance = float(np.median(variances + (effects - middle) ** 2))
    nearest = estimates[int(np.argmin(np.abs(effects - middle)))]
    stretch = math.sqrt(variance) / nearest.std_error if nearest.std_error > 0 else 1.0
    spread = float(effects.std(ddof=1)) / math.sqrt(variance) if len(effects) > 1 and variance > 0 else 0.0
    whole = replace(nearest, effect=middle, contributions=nearest.contributions * stretch)
    return OverSplits(whole, tuple(map(float, effects)), spread)
