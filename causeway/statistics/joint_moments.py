"""Sufficient statistics of several variables of the same units, which add up as those of one do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causeway.statistics.moments import ROUNDING, SMALLEST_SPREAD, Moments

# A covariance that exceeds the product of the spreads by more than rounding belongs to other columns.
CAUCHY_SCHWARZ_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class JointMoments:
    """Count, means and centred second moments and co-moments of k variables of the same n units.

    names: of the variables, k different ones. "outcome" and "denominator" have a meaning to the methods; the
    covariates have names of their own.
    n: number of units.
    means: k arithmetic means, in the units of the variables (0.0 if n is 0: an empty sum).
    comoments: sums of (a - mean_a) * (b - mean_b) over units, the lower triangle row by row, k (k + 1) / 2
    numbers: (a, a), (b, a), (b, b), (c, a), (c, b), (c, c), ... In Postgres `regr_sxy(b, a)`, and
    `regr_sxx(a, a)` on the diagonal.

    Raises ValueError if lengths do not match, a name occurs twice, a number is not finite, a count or a sum of
    squares is negative, a co-moment is larger than its two sums of squares allow, or there are numbers
    without units.

    >>> monday = JointMoments.from_arrays({"outcome": [1.0, 2.0], "visits": [1.0, 3.0]})
    >>> monday + JointMoments.from_arrays({"outcome": [6.0], "visits": [5.0]})
    JointMoments(names=('outcome', 'visits'), n=3, means=(3.0, 3.0), comoments=(14.0, 10.0, 8.0))
    """

    names: tuple[str, ...]
    n: int
    means: tuple[float, ...]
    comoments: tuple[float, ...]

    def __post_init__(self) -> None:
        k = len(self.names)
        if len(set(self.names)) != k:
            raise ValueError(f"a name occurs twice: {self.names}")
        if len(self.means) != k or len(self.comoments) != k * (k + 1) // 2:
            raise ValueError(f"{k} names want {k} means and {k * (k + 1) // 2} co-moments: {self}")
        if not all(map(math.isfinite, self.means + self.comoments)):
            raise ValueError(f"moments must be finite numbers: {self}")
        if self.n < 0 or any(self.comoments[_at(i, i)] < 0 for i in range(k)):
            raise ValueError(f"a count or a sum of squares is negative: {self}")
        if self.n == 0 and (any(self.means) or any(self.comoments)):
            raise ValueError(f"no units, yet the moments are not zero: {self}")
        if self.n > 0 and not self._is_possible():
            raise ValueError(f"a co-moment is larger than its two sums of squares allow: {self}")

    @classmethod
    def empty(cls, names: Sequence[str]) -> JointMoments:
        """The moments of no unit at all: the neutral element of `+` among moments of these names."""
        k = len(names)
        return cls(tuple(names), 0, (0.0,) * k, (0.0,) * (k * (k + 1) // 2))

    @classmethod
    def from_arrays(cls, variables: Mapping[str, ArrayLike]) -> JointMoments:
        """Moments of these variables, each of shape (n,), in the order of the mapping.

        Two passes, and the first one's rounding is made good by the second (Chan, Golub & LeVeque 1983, the
        corrected two-pass algorithm). Raises ValueError if the shapes differ, are not one-dimensional, or a
        value is missing.
        """
        columns = {name: np.asarray(values, dtype=np.float64) for name, values in variables.items()}
        shapes = {column.shape for column in columns.values()}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            raise ValueError(f"one value a unit is wanted of each variable: shapes {sorted(shapes)}")
        if not all(np.isfinite(column).all() for column in columns.values()):
            raise ValueError("a value is missing or infinite: leave such units out and count them")
        n = shapes.pop()[0] if shapes else 0
        if n == 0:
            return cls.empty(tuple(columns))
        values = np.stack(list(columns.values()))
        first = values.mean(axis=1, keepdims=True)
        centred = values - first
        correction = centred.mean(axis=1, keepdims=True)
        centred -= correction
        products = centred @ centred.T
        return cls(
            names=tuple(columns),
            n=n,
            means=tuple((first + correction)[:, 0].tolist()),
            comoments=tuple(products[np.tril_indices(len(columns))].tolist()),
        )

    def __add__(self, other: JointMoments) -> JointMoments:
        """Moments of two disjoint sets of units together (Chan, Golub & LeVeque 1983, pairwise update).

        Raises ValueError if the names, or their order, differ: `select` puts them in order.
        """
        if self.names != other.names:
            raise ValueError(f"moments of different variables do not add up: {self.names} and {other.names}")
        if self.n == 0:
            return other
        if other.n == 0:
            return self
        n = self.n + other.n
        share = other.n / n
        between = self.n * share
        gaps = [right - left for left, right in zip(self.means, other.means, strict=True)]
        products = (gap * gaps[j] for i, gap in enumerate(gaps) for j in range(i + 1))
        return JointMoments(
            names=self.names,
            n=n,
            means=tuple(mean + share * gap for mean, gap in zip(self.means, gaps, strict=True)),
            comoments=tuple(
                left + right + between * product
                for left, right, product in zip(self.comoments, other.comoments, products, strict=True)
            ),
        )

    def select(self, names: Sequence[str]) -> JointMoments:
        """The moments of these variables alone, in this order. Raises ValueError for an unknown name."""
        order = [self._position(name) for name in names]
        return JointMoments(
            names=tuple(names),
            n=self.n,
            means=tuple(self.means[i] for i in order),
            comoments=tuple(self.comoments[_at(i, j)] for row, i in enumerate(order) for j in order[: row + 1]),
        )

    def moments(self, y: str, x: str | None = None) -> Moments:
        """The moments of the outcome y and, if named, of the covariate x, for the methods that take those."""
        i = self._position(y)
        if x is None:
            return Moments(self.n, self.means[i], self.comoments[_at(i, i)])
        j = self._position(x)
        return Moments(
            n=self.n,
            mean_y=self.means[i],
            m2_y=self.comoments[_at(i, i)],
            mean_x=self.means[j],
            m2_x=self.comoments[_at(j, j)],
            c_xy=self.comoments[_at(i, j)],
        )

    def mean(self, name: str) -> float:
        """Arithmetic mean, in the units of the variable; 0.0 without units."""
        return self.means[self._position(name)]

    def comoment(self, a: str, b: str) -> float:
        """Sum of (a - mean_a) * (b - mean_b) over units."""
        return self.comoments[_at(self._position(a), self._position(b))]

    def comoment_matrix(self, rows: Sequence[str], columns: Sequence[str]) -> NDArray[np.float64]:
        """Co-moments of every pair, shape (rows, columns)."""
        across = [self._position(name) for name in columns]
        pairs = [[self.comoments[_at(i, j)] for j in across] for i in map(self._position, rows)]
        return np.array(pairs, dtype=np.float64).reshape(len(rows), len(columns))

    def covariance(self, a: str, b: str) -> float | None:
        """Sample covariance (divisor n - 1); None below two units."""
        comoment = self.comoment(a, b)
        return None if self.n < 2 else comoment / (self.n - 1)

    def variance(self, name: str) -> float | None:
        """Sample variance (divisor n - 1); None below two units; exactly 0.0 where the variable is constant."""
        return self.moments(name).var_y

    def _position(self, name: str) -> int:
        if name not in self.names:
            raise ValueError(f"there is no {name!r} among {self.names}")
        return self.names.index(name)

    def _is_possible(self) -> bool:
        """Whether every co-moment keeps the inequality of Cauchy and Schwarz, up to rounding."""
        spreads = [
            math.sqrt(self.comoments[_at(i, i)] / self.n) + ROUNDING * abs(mean) + SMALLEST_SPREAD
            for i, mean in enumerate(self.means)
        ]
        allowed = (
            (1 + CAUCHY_SCHWARZ_SLACK) * spread * spreads[j] for i, spread in enumerate(spreads) for j in range(i + 1)
        )
        return all(abs(comoment) / self.n <= bound for comoment, bound in zip(self.comoments, allowed, strict=True))


def _at(i: int, j: int) -> int:
    """Where the pair (i, j) lies in the packed lower triangle."""
    low, high = (i, j) if i < j else (j, i)
    return high * (high + 1) // 2 + low
