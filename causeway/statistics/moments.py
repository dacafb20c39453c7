"""Sufficient statistics that add up: Monday plus Tuesday is both days."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Postgres sums a constant such as 0.1 with a relative error of about 1e-11 per million rows, so a spread
# below this share of the mean is rounding, and a standard error made from it would be a plausible-looking
# accident.
ROUNDING = 1e-10
# The square of a smaller spread is no longer a number with full precision.
SMALLEST_SPREAD = 1e-150


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, means and centred second moments of an outcome y and, if there is one, a covariate x.

    All sums are over the same n units. In Postgres they are `count(*)`, `avg`, `regr_syy(y, x)`, `regr_sxx(y,
    x)` and `regr_sxy(y, x)`, or `var_pop(y) * count(y)` where there is no covariate.

    n: number of units.
    mean_y, mean_x: arithmetic means, in the units of y and x (0.0 if n is 0: an empty sum).
    m2_y, m2_x: sum of (y - mean_y)**2 and of (x - mean_x)**2.
    c_xy: sum of (x - mean_x) * (y - mean_y).

    Raises ValueError if a number is not finite, or a count or a sum of squares is negative.

    >>> Moments.from_arrays([1.0, 2.0]) + Moments.from_arrays([6.0])
    Moments(n=3, mean_y=3.0, m2_y=14.0, mean_x=0.0, m2_x=0.0, c_xy=0.0)
    """

    n: int
    mean_y: float
    m2_y: float
    mean_x: float = 0.0
    m2_x: float = 0.0
    c_xy: float = 0.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in self._numbers()):
            raise ValueError(f"moments must be finite numbers: {self}")
        if self.n < 0 or self.m2_y < 0 or self.m2_x < 0:
            raise ValueError(f"a count or a sum of squares is negative: {self}")
        if self.n == 0 and any(self._numbers()):
            raise ValueError(f"no units, yet the moments are not zero: {self}")

    @classmethod
    def empty(cls) -> Moments:
        """The moments of no unit at all: the neutral element of `+`."""
        return cls(0, 0.0, 0.0)

    @classmethod
    def from_arrays(cls, y: ArrayLike, x: ArrayLike | None = None) -> Moments:
        """Moments of the outcomes y, shape (n,), and of the covariate x, shape (n,), of the same units.

        Two passes, so nothing is lost to a large mean (Chan, Golub & LeVeque 1983, the two-pass algorithm).
        Raises ValueError if the shapes differ, are not one-dimensional, or a value is missing.
        """
        outcome = _column(y)
        covariate = np.zeros_like(outcome) if x is None else _column(x)
        if covariate.shape != outcome.shape:
            raise ValueError(f"y and x must have the same shape: {outcome.shape} and {covariate.shape}")
        if outcome.size == 0:
            return cls.empty()
        mean_y, mean_x = float(outcome.mean()), float(covariate.mean())
        dy, dx = outcome - mean_y, covariate - mean_x
        return cls(int(outcome.size), mean_y, float(dy @ dy), mean_x, float(dx @ dx), float(dx @ dy))

    def __add__(self, other: Moments) -> Moments:
        """Moments of two disjoint sets of units together (Chan, Golub & LeVeque 1983, pairwise update)."""
        if self.n == 0:
            return other
        if other.n == 0:
            return self
        n = self.n + other.n
        share = other.n / n
        dy, dx = other.mean_y - self.mean_y, other.mean_x - self.mean_x
        between = self.n * share
        return Moments(
            n=n,
            mean_y=self.mean_y + share * dy,
            m2_y=self.m2_y + other.m2_y + between * dy * dy,
            mean_x=self.mean_x + share * dx,
            m2_x=self.m2_x + other.m2_x + between * dx * dx,
            c_xy=self.c_xy + other.c_xy + between * dx * dy,
        )

    @property
    def var_y(self) -> float | None:
        """Sample variance of y (divisor n - 1); None below two units; exactly 0.0 where y is constant."""
        return _sample_variance(self.n, self.mean_y, self.m2_y)

    @property
    def var_x(self) -> float | None:
        """Sample variance of x (divisor n - 1); None below two units; exactly 0.0 where x is constant."""
        return _sample_variance(self.n, self.mean_x, self.m2_x)

    @property
    def cov_xy(self) -> float | None:
        """Sample covariance of x and y (divisor n - 1); None below two units."""
        return None if self.n < 2 else self.c_xy / (self.n - 1)

    def _numbers(self) -> tuple[float, ...]:
        return (self.mean_y, self.m2_y, self.mean_x, self.m2_x, self.c_xy)


def _column(values: ArrayLike) -> NDArray[np.float64]:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise ValueError(f"one value a unit is wanted: shape {column.shape}")
    if not np.isfinite(column).all():
        raise ValueError("a value is missing or infinite: leave such units out and count them")
    return column


def _sample_variance(n: int, mean: float, m2: float) -> float | None:
    if n < 2:
        return None
    spread = math.sqrt(m2 / n)
    return 0.0 if spread <= max(ROUNDING * abs(mean), SMALLEST_SPREAD) else m2 / (n - 1)
