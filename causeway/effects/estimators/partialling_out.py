"""What is left of a variable once the covariates have taken their share: least squares in two steps.

Frisch & Waugh 1933 (Econometrica 1, 387-401) and Lovell 1963: a coefficient in a long regression is that of the
residuals on the residuals. So covariates are handled once, by one QR decomposition, for every estimator that is linear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causeway.effects.influence import Array

# A column whose variance given the others is below this share of its own is a function of them.
COLLINEAR = 1e-10
# Below this share of its size, what a column varies around its mean is rounding.
CONSTANT = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Covariates:
    """A constant and the covariates, by an orthonormal basis of what they span.

    basis: (n, rank), rows times the roots of the weights. roots: (n,) square roots of the weights, which have mean one
    over the `units` of positive weight. dropped: positions in x of columns that are constant or follow from earlier
    ones.
    """

    basis: Array
    roots: Array
    units: int
    dropped: tuple[int, ...]

    @classmethod
    def from_arrays(cls, x: Array, weights: Array | None = None) -> Covariates:
        """From x, (n, p), and sampling weights, (n,). Raises ValueError for shapes that differ, numbers that are not
        finite, and weights that are negative or all zero.
        """
        x = np.asarray(x, dtype=np.float64)
        if x.ndim != 2:
            raise ValueError(f"x has one row per unit and one column per covariate, not shape {x.shape}")
        n = len(x)
        if weights is None:
            roots, units = np.ones(n), n
        else:
            weights = finite("weights", weights, n)
            units = int(np.count_nonzero(weights))
            if weights.min(initial=0.0) < 0 or units == 0:
                raise ValueError("weights must not be negative, nor all zero")
            roots = np.sqrt(weights * (units / weights.sum()))
        if not np.isfinite(x).all():
            raise ValueError("x has to be finite")
        constant = (roots / np.sqrt(max(1, units)))[:, None]
        alone = cls(constant, roots, units, ())
        span, kept = alone.span(x)
        dropped = tuple(j for j in range(x.shape[1]) if j not in set(kept))
        return cls(np.hstack([constant, span]), roots, units, dropped)

    @property
    def rank(self) -> int:
        """Columns that count, the constant among them."""
        return int(self.basis.shape[1])

    def residual(self, values: Array) -> Array:
        """`values`, (n,) or (n, m), times the roots of the weights, less their projection on the covariates; exactly
        zero where that is all rounding.
        """
        scaled = values * (self.roots if values.ndim == 1 else self.roots[:, None])
        constant = self.basis[:, :1]
        centred = scaled - constant @ (constant.T @ scaled)
        size = np.linalg.norm(centred, axis=0)
        left = centred
        # Twice is enough (Parlett 1998, The Symmetric Eigenvalue Problem, sec. 6.9).
        for _ in range(2):
            left = left - self.basis @ (self.basis.T @ left)
        varies = (size > CONSTANT * np.linalg.norm(scaled, axis=0)) & (
            np.linalg.norm(left, axis=0) > np.sqrt(COLLINEAR) * size
        )
        return np.asarray(left * varies)

    def span(self, columns: Array) -> tuple[Array, tuple[int, ...]]:
        """Orthonormal basis, (n, rank), of what `columns`, (n, m), add to the covariates, and the positions of those
        that do: each column neither constant, nor a function of the covariates and the columns before it.
        """
        left = self.residual(columns)
        size = np.linalg.norm(self.roots[:, None] * (columns - self._means(columns)), axis=0)
        kept = np.flatnonzero(left.any(axis=0))
        while len(kept):
            orthonormal, triangle = np.linalg.qr(left[:, kept] / size[kept])
            own = np.zeros(len(kept))
            own[: len(triangle)] = np.abs(np.diag(triangle))
            if own.min() > np.sqrt(COLLINEAR):
                return orthonormal, tuple(int(j) for j in kept)
            kept = kept[own > np.sqrt(COLLINEAR)]
        return np.zeros((len(columns), 0)), ()

    def _means(self, columns: Array) -> Array:
        return np.asarray(self.roots**2 @ columns / max(1, self.units))


def finite(name: str, values: Array, n: int) -> Array:
    """`values` as float64 of shape (n,) or (n, m). Raises ValueError for another length, and for numbers that are not
    finite: rows with missing values are left out, and counted, before an estimator sees them.
    """
    array = np.asarray(values, dtype=np.float64)
    if len(array) != n:
        raise ValueError(f"{name} has {len(array)} rows where x has {n}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has to be finite")
    return array
