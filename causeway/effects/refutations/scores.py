"""Are estimates where they have to be, and is their spread the one that the standard errors claim?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from causeway.effects.influence import ROUNDING, Inference, Linearised, infer
from causeway.effects.problem import Problem
from causeway.effects.refutations.instrumented import InstrumentProblem

TOLERATED_SHIFT = 1 / 3
"""In standard errors: what a bias may be before anybody has to mind, as what a split may move (95 % intervals with a
bias of a third of a standard error cover 93.7 %)."""
TOLERATED_STRETCH = 1.2
"""How much larger than the standard error the true spread may be: 95 % intervals then cover 90 %."""
LARGEST_SCORE = 30.0


@dataclass(frozen=True, slots=True)
class Scored:
    """mean and spread of the scores; their p-values, and the two together by Bonferroni."""

    mean: float
    spread: float
    p_mean: float
    p_spread: float

    @property
    def p_value(self) -> float:
        return min(1.0, 2 * min(self.p_mean, self.p_spread))


def inferred(problem: Problem, found: Linearised) -> Inference:
    """The interval of an estimate of this problem, in the arms that its clusters are counted in."""
    arms = problem.encouraged if isinstance(problem, InstrumentProblem) else problem.treated
    if problem.scale <= ROUNDING * float(np.max(np.abs(problem.outcome))):
        return Inference("zero_variance")
    if problem.clusters is not None and arms is None and found.of_clusters is None:
        return Inference("not_estimable")
    return infer(found, arms, clusters=problem.clusters, scale=problem.scale)


def score(problem: Problem, found: Linearised, truth: float = 0.0) -> float | None:
    """(effect - truth) / standard error, carried over from its t to the normal distribution; None without one."""
    inference = inferred(problem, found)
    if inference.status != "ok" or inference.std_error is None:
        return None
    ratio = (found.effect - truth) / inference.std_error
    if inference.df is not None:
        size = float(stats.norm.isf(max(float(stats.t.sf(abs(ratio), inference.df)), 1e-300)))
        ratio = math.copysign(min(abs(ratio), size), ratio)
    return float(np.clip(ratio, -LARGEST_SCORE, LARGEST_SCORE))


def judge_scores(
    scores: Sequence[float],
    *,
    independent: bool = True,
    tolerated_shift: float = TOLERATED_SHIFT,
    tolerated_stretch: float = TOLERATED_STRETCH,
) -> Scored:
    """Scores that ought to be standard normal, give and take what is tolerated.

    The mean: |mean| - tolerated by its Monte-Carlo error max(1, spread) / sqrt(S), with Student's S - 1 degrees of
    freedom. Where simulations are not `independent`, but share what the estimate itself is uncertain by, their mean
    varies by at most what a single one does: then its error is one, whatever S is. The spread: sum (z - mean)**2 /
    tolerated**2 by chi squared with S - 1 degrees of freedom, above only: too wide intervals are no problem, and what
    is shared only makes it smaller. Both are the largest p-values that the tolerated shift and stretch allow.
    """
    z = np.asarray(scores, dtype=np.float64)
    n, mean, spread = len(z), float(z.mean()), float(z.std(ddof=1))
    beyond = max(0.0, abs(mean) - tolerated_shift)
    if independent:
        p_mean = float(2 * stats.t.sf(beyond * math.sqrt(n) / max(1.0, spread), n - 1))
    else:
        p_mean = float(2 * stats.norm.sf(beyond))
    p_spread = float(stats.chi2.sf((n - 1) * (spread / tolerated_stretch) ** 2, n - 1))
    return Scored(mean, spread, min(1.0, p_mean), p_spread)
