"""The tail of the noncentral t distribution, everywhere a number."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

NODES = 160
# What lies beyond these quantiles of the chi-square could not be seen in a double.
FURTHEST = 1e-17
# From here on S is 1 to nine digits of the tail.
MOST_DF = 1e9


def upper_tail(t: float, df: float, noncentrality: float) -> float:
    """P(T > t) of T = (Z + noncentrality) / S, with Z standard normal and S = sqrt(chi-square(df) / df).

    The mean of the normal tail P(Z > t S - noncentrality) over S, by Gauss-Legendre quadrature in the cube root
    of S (Johnson, Kotz & Balakrishnan 1995, chapter 31, equation 31.2). SciPy 1.15's `nct` answers nan far from
    the noncentrality, where a power is next to 0 or 1; elsewhere the two agree to 1e-9.

    df: at least 1, and no more than 1e9 is made use of. P(T < -t) is upper_tail(t, df, -noncentrality).

    >>> round(upper_tail(1.96, 1e6, 2.8), 4), upper_tail(1.96, 300.0, -30.0) < 1e-100
    (0.7995, True)
    """
    df = min(df, MOST_DF)
    low, high = (
        (2 / df * float(quantile)) ** (1 / 6)
        for quantile in (special.gammaincinv(df / 2, FURTHEST), special.gammainccinv(df / 2, FURTHEST))
    )
    nodes, weights = _legendre()
    root = low + (high - low) * nodes
    s = root**3
    # The density of S, measured from its mode at 1: a large df would drown it in the rounding of s**2.
    off = s - 1
    log_density = df * (np.log1p(off) - off - off * off / 2) - np.log(s) + _log_constant(df)
    mass = (high - low) * weights * 3 * root * root * np.exp(log_density)
    return float(mass @ special.ndtr(noncentrality - t * s))


@cache
def _legendre() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of Gauss-Legendre quadrature on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return (nodes + 1) / 2, weights / 2


def _log_constant(df: float) -> float:
    """log of 2 (df / 2)**(df / 2) / Gamma(df / 2) * exp(-df / 2): what makes the density of S one."""
    half = df / 2
    if half > 1e4:  # Stirling's series, where the terms themselves would cancel
        return math.log(2) + math.log(half) / 2 - math.log(2 * math.pi) / 2 - 1 / (12 * half) + 1 / (360 * half**3)
    return math.log(2) + half * math.log(half) - float(special.gammaln(half)) - half
