"""Rosenbaum's bounds: how biased the choice within matched pairs would have to be to explain their differences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from causeway.effects.influence import Array
from causeway.statistics.comparison import check_alpha
from causeway.statistics.effect import Status

# Up to here the null distribution is summed out; beyond it the normal limit is good to three digits.
LARGEST_EXACT = 100
LARGEST_GAMMA = 1_000.0


@dataclass(frozen=True, slots=True)
class PairBounds:
    """At one gamma: bounds of the two-sided p-value and of the Hodges-Lehmann estimate, in units of the outcome."""

    gamma: float
    p_low: float
    p_high: float
    effect_low: float
    effect_high: float


@dataclass(frozen=True, slots=True)
class RosenbaumBounds:
    """`critical_gamma`: the largest gamma at which no choice within pairs explains the differences, 1 where chance
    alone does (and at most 1,000); None unless `status` is "ok". n: pairs that differ; n_ties: pairs that do not.
    method: how p-values were found.
    """

    status: Status
    n: int
    n_ties: int
    method: Literal["exact", "normal"]
    critical_gamma: float | None = None
    bounds: tuple[PairBounds, ...] = ()


def rosenbaum_bounds(
    differences: Array, *, gammas: tuple[float, ...] = (1.0, 1.25, 1.5, 2.0, 3.0), alpha: float = 0.05
) -> RosenbaumBounds:
    """Wilcoxon's signed rank test of treated minus control, (pairs,), of pairs that share no unit, when the odds of
    treatment within a pair differ by at most gamma.

    Under gamma a pair's difference is positive with a probability between 1 / (1 + gamma) and gamma / (1 + gamma) if
    there is no effect (Rosenbaum 2002, Observational Studies, 2nd ed., sec. 4.3.3), which bounds the distribution of
    the sum of positive ranks: exactly up to 100 pairs, by its normal limit, without a continuity correction, beyond.
    Ties share their mean rank; pairs without a difference are ranked and then left out. The two-sided p-value is twice
    the smaller tail's bound. Hodges-Lehmann bounds are the
    shifts at which the sum is what it is expected to be (sec. 4.3.5).

    Statuses: too_few_units (fewer than five pairs that differ: no pattern is significant at 5 %), zero_variance
    (differences that are all the same: no test, no interval). Raises ValueError for a gamma below one.
    """
    check_alpha(alpha)
    if any(gamma < 1 for gamma in gammas):
        raise ValueError(f"gamma is an odds ratio of at least one: {gammas}")
    pairs = np.asarray(differences, dtype=np.float64)
    # Pratt 1959: pairs that do not differ take their part in the ranking, and then leave.
    ranks = stats.rankdata(np.abs(pairs))[pairs != 0]
    differing = pairs[pairs != 0]
    n, n_ties = len(differing), len(differences) - len(differing)
    method: Literal["exact", "normal"] = "exact" if n <= LARGEST_EXACT else "normal"
    if n < 5:
        return RosenbaumBounds("too_few_units", n, n_ties, method)
    if np.ptp(pairs) == 0:
        return RosenbaumBounds("zero_variance", n, n_ties, method)
    bounds = tuple(
        PairBounds(gamma, *p_value_bounds(differing, ranks, gamma), *_hodges_lehmann(pairs, gamma)) for gamma in gammas
    )
    return RosenbaumBounds("ok", n, n_ties, method, _critical_gamma(differing, ranks, alpha), bounds)


def p_value_bounds(differing: Array, ranks: Array, gamma: float) -> tuple[float, float]:
    """Lowest and highest two-sided p-value at gamma."""
    observed, total = float(ranks[differing > 0].sum()), float(ranks.sum())
    highest, lowest = (
        min(
            1.0,
            2 * min(_upper_tail(ranks, observed, chance), _upper_tail(ranks, total - observed, chance)),
        )
        for chance in (gamma / (1 + gamma), 1 / (1 + gamma))
    )
    return lowest, highest


def _upper_tail(ranks: Array, observed: float, chance: float) -> float:
    """P(sum of the ranks drawn, each with `chance`, >= observed)."""
    if len(ranks) > LARGEST_EXACT:
        spread = math.sqrt(chance * (1 - chance) * float(ranks @ ranks))
        return float(stats.norm.sf((observed - chance * float(ranks.sum())) / spread))
    # Mean ranks are halves: twice them are whole.
    doubled = np.rint(2 * ranks).astype(np.int64)
    probability = np.zeros(int(doubled.sum()) + 1)
    probability[0] = 1.0
    reached = 0
    for rank in doubled:
        drawn = chance * probability[: reached + 1]
        probability[: reached + 1] *= 1 - chance
        probability[rank : reached + rank + 1] += drawn
        reached += int(rank)
    return float(probability[round(2 * observed) :].sum())


def _critical_gamma(differing: Array, ranks: Array, alpha: float) -> float:
    from scipy.optimize import brentq

    def beyond(log_gamma: float) -> float:
        return p_value_bounds(differing, ranks, math.exp(log_gamma))[1] - alpha

    highest = math.log(LARGEST_GAMMA)
    if beyond(0.0) > 0:
        return 1.0
    if beyond(highest) <= 0:
        return LARGEST_GAMMA
    return math.exp(float(brentq(beyond, 0.0, highest, xtol=1e-10)))


def _hodges_lehmann(pairs: Array, gamma: float) -> tuple[float, float]:
    total = len(pairs) * (len(pairs) + 1) / 2
    return (
        _shift(pairs, total * gamma / (1 + gamma)),
        _shift(pairs, total / (1 + gamma)),
    )


def _shift(pairs: Array, expected: float) -> float:
    """The shift at which the sum of positive ranks of what is left falls through `expected`: the middle between where
    it stops being above and where it begins to be below, to 1e-12 of the differences' range.
    """

    def falls(*, below: bool) -> float:
        low, high = float(pairs.min()), float(pairs.max())
        precision = 1e-12 * (high - low)
        while high - low > precision:
            middle = (low + high) / 2
            left = pairs - middle
            positive = float(stats.rankdata(np.abs(left)) @ (np.sign(left) + 1) / 2)
            slack = 1e-9 * expected
            if positive < expected - slack if below else positive <= expected + slack:
                high = middle
            else:
                low = middle
        return (low + high) / 2

    return (falls(below=True) + falls(below=False)) / 2
