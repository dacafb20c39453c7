"""Is the estimate a sum of many small things, so that its interval may be a normal one?"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from causeway.effects.influence import Array, Flags, Linearised
from causeway.effects.problem import Problem
from causeway.effects.refutations.refutation import Refutation
from causeway.effects.refutations.scores import inferred

NAME = "bootstrap"
DRAWS = 1_000
TOLERATED_MISSES = 0.10
"""Of 95 % intervals: those that miss may be twice as many as promised."""
HEAVIEST = 2_000
LARGEST_SHARE = 0.5


def bootstrap(
    problem: Problem,
    found: Linearised,
    *,
    method: str,
    stream: np.random.SeedSequence,
    without: Callable[[Flags], float | None] = lambda units: None,
) -> Refutation:
    """How often do 95 % intervals of bootstrap samples miss the estimate that they were drawn around?

    Nuisances are kept: what is drawn again is what each unit, or cluster, contributes, with Poisson(1) weights (Efron
    1979's multinomial in the limit; Chamandy, Muralidharan, Najmi & Naidu 2012). Each sample's t statistic, sum (w_i -
    1) c_i / sqrt(sum w_i (c_i - c)**2), with c the sample's mean (percentile-t; Hall 1992, The Bootstrap and Edgeworth
    Expansion, ch. 3), is held against the quantile that the interval used. The count of misses is judged as binomial
    with probability 0.10, one-sided.

    An outlier also bends the fit, and with it everybody's contribution, which no weights undo. So the unit (or cluster)
    with the largest contribution is left out and, where `without` can estimate anew, the variance is compared: a share
    of more than all others together is a problem, too, unless the largest of n normal contributions reaches it as
    easily, as in a handful of clusters (Grubbs 1950, Ann. Math. Stat. 21, by Bonferroni: n P(Beta(1/2, (n - 1) / 2) >
    share)). without: the variance without the units (n,) over that with them, None if unknown.

    This tests the normal approximation and nothing else: skewed contributions, or one unit that carries the estimate.
    Of more than 2,000 contributions the largest 2,000 are drawn one by one, and the sums of the others as jointly
    normal. new_effect: the median over samples.
    """
    inference = inferred(problem, found)
    if inference.status != "ok" or inference.std_error is None:
        return Refutation.impossible(NAME, method, f"the estimate has no interval: {inference.status}")
    parts, index = found.contributions, None
    if problem.clusters is not None:
        _, index = np.unique(problem.clusters, return_inverse=True)
        parts = np.asarray(np.bincount(index, weights=parts), dtype=np.float64)
    parts = parts - parts.mean()
    moved, size = _samples(parts, np.random.default_rng(stream))
    critical = float(stats.norm.isf(0.025) if inference.df is None else stats.t.isf(0.025, inference.df))
    # A sample without any spread has no interval, and misses whatever it is not equal to.
    misses = int(np.sum(np.abs(moved) > critical * size))
    p_misses = float(stats.binom.sf(misses - 1, DRAWS, TOLERATED_MISSES))
    largest = float(np.max(parts**2) / (parts @ parts))
    heaviest = int(np.argmax(np.abs(parts)))
    left = without(index == heaviest if index is not None else np.arange(problem.n) == heaviest)
    largest = largest if left is None else max(largest, 1 - left)
    n = len(parts)
    p_largest = min(1.0, n * float(stats.beta.sf(largest, 0.5, (n - 1) / 2))) if largest >= LARGEST_SHARE else 1.0
    p_value = min(1.0, 2 * min(p_misses, p_largest))
    unit = "unit" if problem.clusters is None else "cluster"
    detail = (
        f"95 % intervals of {misses / DRAWS:.1%} of {DRAWS} bootstrap samples miss the estimate; the {unit} with the "
        f"largest contribution carries {largest:.1%} of the variance"
    )
    return Refutation.judged(NAME, method, found.effect + float(np.median(moved)), p_value, detail)


def _samples(parts: Array, generator: np.random.Generator) -> tuple[Array, Array]:
    """By sample the shift of the estimate and its standard error, (DRAWS,) each."""
    order = np.argsort(-np.abs(parts), kind="stable")
    heavy, rest = parts[order[:HEAVIEST]], parts[order[HEAVIEST:]]
    weights = generator.poisson(1.0, size=(DRAWS, len(heavy))).astype(np.float64)
    units = weights.sum(axis=1)
    total, squares = weights @ heavy, weights @ heavy**2
    if len(rest):
        second, third, fourth = (float(np.sum(rest**power)) for power in (2, 3, 4))
        # Poisson weights have variance one: covariances of sum w c and sum w c**2 are sums of powers.
        slope = third / second if second > 0 else 0.0
        normal = generator.normal(size=(2, DRAWS))
        first = math.sqrt(second) * normal[0]
        total = total + float(rest.sum()) + first
        left = math.sqrt(max(0.0, fourth - slope * third))
        squares = squares + np.maximum(0.0, second + slope * first + left * normal[1])
        units = units + len(rest)
    units = np.maximum(units, 1.0)
    # The parts are centred: their sum is the shift.
    return total, np.sqrt(np.maximum(0.0, squares - total**2 / units))
