"""Segment effects shrunk towards each other, so that what the best of many promises is not the luck of its sample.

The largest of many noisy estimates is too large on average (the winner's curse). A posterior mean is not, whichever
segment is picked after looking (Dawid 1994; Senn 2008, "A note concerning a selection paradox of Dawid's", The American
Statistician 62), as long as the spread between segments is learnt well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]

GRID = 200
"""Points of the quadrature over the shrinkage factor."""
ONE_EFFECT = 0.5
"""Prior probability that all segments have the same effect: where they have, the best of many has no luck to keep."""
DRAWS = 4000


@dataclass(frozen=True, slots=True, eq=False)
class Shrunk:
    """Posterior of the true effects of k segments, in units of the outcome.

    mean, std, low, high: (k,), low and high at `level`. draws: (DRAWS, k) joint draws. pooled: posterior mean of the
    mean effect; spread: posterior mean of the standard deviation between segments. shrinkage: (k,), by how much of its
    distance each estimate was moved towards the pooled one, 0 to 1.
    """

    mean: Array
    std: Array
    low: Array
    high: Array
    draws: Array
    pooled: float
    spread: float
    shrinkage: Array


def shrink(
    estimates: Sequence[float] | Array, std_errors: Sequence[float] | Array, *, level: float = 0.95, seed: int
) -> Shrunk:
    """The hierarchical normal model: estimate_k ~ N(effect_k, std_error_k^2), effect_k ~ N(pooled, A).

    pooled has a flat prior; A has the uniform shrinkage prior, under which s0^2 / (s0^2 + A) is uniform on (0, 1), s0^2
    being the harmonic mean of the squared standard errors (Daniels 1999, Canadian Journal of Statistics 27; DuMouchel &
    Harris 1983), except that A is 0 with probability ONE_EFFECT. It is proper, so two segments suffice, and A is
    integrated out, where a plugged-in one (Morris 1983, JASA 78) would hide how little few segments say of it. One
    segment is left as it is: there is nothing to shrink it to. Segments are taken as independent. Raises ValueError
    unless every std_error is positive.
    """
    found, errors = np.asarray(estimates, dtype=np.float64), np.asarray(std_errors, dtype=np.float64)
    if found.ndim != 1 or found.shape != errors.shape or not len(found):
        raise ValueError(f"one standard error an estimate is needed, not {found.shape} and {errors.shape}")
    if not (np.isfinite(found).all() and (errors > 0).all() and np.isfinite(errors).all()):
        raise ValueError("estimates must be finite, and standard errors positive")
    rng = np.random.default_rng(seed)
    if len(found) == 1:
        draws = found + errors * rng.standard_normal((DRAWS, 1))
        half = stats.norm.isf((1 - level) / 2) * errors
        return Shrunk(found, errors, found - half, found + half, draws, float(found[0]), 0.0, np.zeros(1))
    variances = errors**2
    s0 = len(found) / float(np.sum(1 / variances))
    factor = np.append((np.arange(GRID) + 0.5) / GRID, 1.0)
    between = s0 * (1 - factor) / factor
    prior = np.append(np.full(GRID, (1 - ONE_EFFECT) / GRID), ONE_EFFECT)
    weights = 1 / (variances + between[:, None])
    total = weights.sum(axis=1)
    pooled = weights @ found / total
    apart = found - pooled[:, None]
    log_density = 0.5 * (np.log(weights).sum(axis=1) - np.log(total) - (weights * apart**2).sum(axis=1))
    mass = prior * np.exp(log_density - log_density.max())
    mass /= mass.sum()
    kept = between[:, None] * weights
    means = pooled[:, None] + kept * apart
    inner = kept * variances + (1 - kept) ** 2 / total[:, None]
    mean = mass @ means
    std = np.sqrt(mass @ (inner + (means - mean) ** 2))
    tail = (1 - level) / 2
    chosen = rng.choice(GRID + 1, DRAWS, p=mass)
    centre = pooled[chosen] + rng.standard_normal(DRAWS) / np.sqrt(total[chosen])
    own = kept[chosen]
    draws = own * found + (1 - own) * centre[:, None] + np.sqrt(own * variances) * rng.standard_normal(own.shape)
    return Shrunk(
        mean=mean,
        std=std,
        low=_quantile(tail, mass, means, inner),
        high=_quantile(1 - tail, mass, means, inner),
        draws=draws,
        pooled=float(mass @ pooled),
        spread=float(mass @ np.sqrt(between)),
        shrinkage=1 - mass @ kept,
    )


def _quantile(share: float, mass: Array, means: Array, variances: Array) -> Array:
    """Quantile of each segment's mixture of normals, by halving."""
    spread = np.sqrt(variances)
    likely = mass > 1e-12
    mass, means, spread = mass[likely], means[likely], spread[likely]
    low, high = (means - 9 * spread).min(axis=0), (means + 9 * spread).max(axis=0)
    for _ in range(50):
        middle = (low + high) / 2
        below = mass @ stats.norm.cdf((middle - means) / spread) < share
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    ends: Array = (low + high) / 2
    return ends
