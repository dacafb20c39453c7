"""Robbins' normal mixture: a boundary that a standardised sum crosses at any time with probability alpha at most.

Everything is in terms of z = estimate / std_error after n units, and of the mixture's weight v = n * rho**2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from causeway.statistics.critical_value import Sides


def tuned_rho(planned_n: float, *, alpha: float, sides: Sides = 2) -> float:
    """The rho with the narrowest sequence at n = planned_n.

    Two-sided: rho**2 = (-W(-alpha**2 / e) - 1) / planned_n with W the lower branch of Lambert's function
    (Waudby-Smith et al. 2024, arXiv 2103.06476, appendix on the choice of rho, the exact form). One-sided: the
    same at 2 * alpha, of which a one-sided bound is half (the same appendix). At alpha 0.05 the critical value
    is then 3.04 at planned_n and larger everywhere else.

    Raises ValueError unless planned_n is above 0 and alpha lies between 0 and 1 (0.5 if one-sided).

    >>> round(tuned_rho(10_000, alpha=0.05), 5)
    0.02866
    """
    if not planned_n > 0 or not math.isfinite(planned_n):
        raise ValueError(f"planned_n must be a number above 0: {planned_n}")
    error_rate = alpha if sides == 2 else 2 * alpha
    if not 0 < error_rate < 1:
        raise ValueError(f"alpha must lie between 0 and {1 if sides == 2 else 0.5}: {alpha}")
    return math.sqrt((-float(special.lambertw(-(error_rate**2) / math.e, -1).real) - 1) / planned_n)


def log_evidence(z: ArrayLike, n: ArrayLike, *, rho: float, sides: Sides = 2) -> NDArray[np.float64]:
    """Logarithm of the test martingale: the likelihood ratio against "no effect", mixed over N(0, rho**2).

    Two-sided: exp(w**2 / 2) / sqrt(1 + v) with v = n rho**2 and w = z sqrt(v / (1 + v)) (Robbins 1970;
    Waudby-Smith et al. 2024, theorem 2.2). One-sided (effects above 0): the mixture over the half-normal, which
    is that times 2 Phi(w) (Howard, Ramdas, McAuliffe & Sekhon 2021, one-sided normal mixture).
    Its expectation is 1 without an effect, so by Ville's inequality it ever exceeds 1 / alpha with probability
    at most alpha.

    z, n: of any shapes that broadcast, n above 0.

    >>> float(log_evidence(0.0, 100, rho=0.1).round(4))
    -0.3466
    """
    weight = np.asarray(n, dtype=np.float64) * rho**2
    w = np.asarray(z, dtype=np.float64) * np.sqrt(weight / (1 + weight))
    evidence: NDArray[np.float64] = w * w / 2 - np.log1p(weight) / 2
    return evidence if sides == 2 else evidence + math.log(2) + special.log_ndtr(w)


def always_valid_p_value(z: ArrayLike, n: ArrayLike, *, rho: float, sides: Sides = 2) -> NDArray[np.float64]:
    """min(1, 1 / evidence): below alpha exactly where |z| (or z) exceeds the critical value.

    >>> float(always_valid_p_value(3.5, 10_000, rho=0.0286).round(4))
    0.0129
    """
    return np.asarray(np.exp(-np.maximum(log_evidence(z, n, rho=rho, sides=sides), 0.0)))


def critical_value(n: ArrayLike, *, rho: float, alpha: float, sides: Sides = 2) -> NDArray[np.float64]:
    """The z at which the evidence reaches 1 / alpha.

    Two-sided in closed form: sqrt((1 + 1/v) (log(1 + v) - 2 log alpha)), which is the half width of theorem 2.2
    of Waudby-Smith et al. (2024) in standard errors. One-sided by Newton's method on the exact evidence: the
    closed form of the literature bounds it from above and is a little wider.

    >>> float(critical_value(10_000, rho=tuned_rho(10_000, alpha=0.05), alpha=0.05).round(3))
    3.035
    """
    weight = np.asarray(n, dtype=np.float64) * rho**2
    stretch = np.sqrt((1 + weight) / weight)
    if sides == 2:
        return np.asarray(stretch * np.sqrt(np.log1p(weight) - 2 * math.log(alpha)))
    # Phi(w) exp(w**2/2) >= exp(w**2/2) - 1/2 for w >= 0, so this start is on the right of the root, and the
    # logarithm is convex: Newton's steps come down to the root without passing it.
    target = np.log1p(weight) / 2 - math.log(2 * alpha)
    w = np.sqrt(2 * np.log(np.exp(target) + 0.5))
    for _ in range(50):
        excess = w * w / 2 + special.log_ndtr(w) - target
        step = excess / (w + np.exp(-w * w / 2 - special.log_ndtr(w)) / math.sqrt(2 * math.pi))
        w = w - step
        if np.all(np.abs(step) <= 1e-14 * (1 + np.abs(w))):
            break
    return np.asarray(stretch * w)
