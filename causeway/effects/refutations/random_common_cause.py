"""A covariate that is noise must not move the estimate."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy import stats

from causeway.effects.problem import Computing, Problem
from causeway.effects.refutations.baseline import Baseline
from causeway.effects.refutations.estimators import Estimator
from causeway.effects.refutations.refutation import Refutation
from causeway.effects.refutations.repeating import Generator, repeat
from causeway.effects.refutations.scores import TOLERATED_SHIFT, inferred

NAME = "random_common_cause"


def random_common_cause(
    problem: Problem,
    estimator: Estimator,
    base: Baseline,
    *,
    method: str,
    stream: np.random.SeedSequence,
    simulations: int,
    computing: Computing,
) -> Refutation | None:
    """`simulations` times a column of independent N(0, 1) (of clusters, if there are any) is added to x.

    Estimates with and without the column come from the same units: their difference is chance of variance sum (c_i -
    c0_i)**2, of the contributions' differences, within clusters (Hausman 1978, Econometrica 46),
    and of what another split adds. A problem is a mean shift beyond a third of a standard error by more than that
    chance, or estimates that scatter by more than both together (chi squared). For a right regression all of it is of
    order 1 / n, which no test should find. None where the method adjusts for nothing. Estimates the same to the last
    bit, of a method that does adjust, never saw the column: the attempt is void and says so.
    """
    if not estimator.adjusts:
        return None
    found = repeat(estimator, [lambda generator: _with_noise(problem, generator)] * simulations, stream, computing)
    if found.reason is not None:
        return Refutation.impossible(NAME, method, found.reason)
    effects = np.array([each.effect for each in found.estimates])
    if base.split_variance == 0 and bool((effects == base.estimates[0].effect).all()):
        return Refutation.impossible(
            NAME, method, "the estimate is the same to the last bit: the noise was not adjusted for"
        )
    tolerated = TOLERATED_SHIFT * base.std_error
    shift = float(effects.mean()) - base.effect
    n, variance = len(effects), float(effects.var(ddof=1))
    changes = [
        inferred(problem, replace(each, contributions=each.contributions - base.estimates[0].contributions)).std_error
        for each in found.estimates
    ]
    chance = float(np.median([each or 0.0 for each in changes])) ** 2 + base.split_variance
    beyond = max(0.0, abs(shift) - tolerated)
    # What the estimates share is not averaged away.
    error = math.sqrt(chance + variance / n)
    p_shift = float(2 * stats.norm.sf(beyond / error)) if error > 0 else float(beyond == 0)
    scatter = (n - 1) * variance / (tolerated**2 + chance)
    p_value = min(1.0, 2 * min(p_shift, float(stats.chi2.sf(scatter, n - 1))))
    detail = (
        f"with a covariate of noise the effect is {effects.mean():.4g} instead of {base.effect:.4g} (mean of {n}), "
        f"{abs(shift) / base.std_error:.3f} standard errors away, and varies by "
        f"{math.sqrt(variance) / base.std_error:.3f} standard errors"
    )
    return Refutation.judged(NAME, method, float(effects.mean()), p_value, detail)


def _with_noise(problem: Problem, generator: Generator) -> Problem:
    if problem.clusters is None:
        noise = generator.normal(size=problem.n)
    else:
        _, index = np.unique(problem.clusters, return_inverse=True)
        noise = generator.normal(size=int(index.max()) + 1)[index]
    return replace(problem, x=np.column_stack([problem.x, noise]), columns=(*problem.columns, "noise"))
