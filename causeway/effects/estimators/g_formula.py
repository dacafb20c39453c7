"""Standardisation (the parametric g-formula): one outcome regression, asked about everybody under both treatments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from causeway.effects.estimators.aipw import Average
from causeway.effects.influence import Array, Flags, Linearised
from causeway.effects.learners import Squares
from causeway.effects.triangle import runs, triangle

# What a column has left, of length one, when the columns before it are taken away: rounding.
DEPENDENT = 1e-7
# A unit with a leverage above this is fitted exactly: its residual says nothing.
EXACT_FIT = 1 - 1e-8


def g_formula(
    outcome: Array,
    treated: Flags,
    x: Array,
    *,
    target: Average = "ATE",
    weights: Array | None = None,
) -> Linearised:
    """Average over `target` of E[Y | T = 1, x] - E[Y | T = 0, x] by least squares (Hernan & Robins 2020, What If,
    ch. 13; Robins 1986).

    The outcome is regressed on the treatment, the columns of x (n, p), their squares, and the treatment times the
    columns. A column that quadratics of earlier ones determine is no covariate of its own. Contributions hold for
    unequal variances (HC3 of MacKinnon & White 1985) and count that the average is over a sample.
    """
    n = len(outcome)
    w = np.ones(n) if weights is None else weights / weights.mean()
    t = treated.astype(np.float64)
    of = {"ATE": np.ones(n), "ATT": t, "ATC": 1 - t}[target] * w
    design = _Design.of(t, x, w, of)

    def with_outcome(run: slice) -> Array:
        return np.column_stack([design.rows(run), outcome[run] * np.sqrt(w[run])])

    whole = triangle(n, with_outcome)
    kept = _independent(whole[:, :-1])
    # The last column is what an orthonormal basis of the kept columns has in common with the outcome.
    whole = np.asarray(np.linalg.qr(whole[:, [*kept, whole.shape[1] - 1]], mode="r"))
    length = np.linalg.norm(whole[:, :-1], axis=0)
    inverse = np.linalg.inv(whole[: len(kept), :-1] / length)
    coefficients = inverse @ whole[: len(kept), -1] / length
    slopes = design.slopes(coefficients, kept)
    residual, leverage, row, differs = (np.empty(n) for _ in range(4))
    for run in runs(n):
        rows = design.rows(run)[:, kept]
        basis = (rows / length) @ inverse
        residual[run] = outcome[run] * np.sqrt(w[run]) - rows @ coefficients
        leverage[run] = np.einsum("ij,ij->i", basis, basis)
        row[run] = basis @ inverse[1] / length[1]
        differs[run] = of[run] * (design.centred(run) @ slopes)
    if leverage.max() < EXACT_FIT:
        contributions = row * residual / (1 - leverage)
    else:
        contributions = row * residual * np.sqrt(n / max(1.0, n - len(kept)))
    return Linearised(float(coefficients[1]), contributions + differs / of.sum())


@dataclass(frozen=True, slots=True, eq=False)
class _Design:
    """A constant, the treatment, columns and squares, and the treatment times `own` columns; by runs of rows."""

    t: Array
    x: Array
    root: Array
    squares: Squares | None
    centre: Array

    @classmethod
    def of(cls, t: Array, x: Array, w: Array, of: Array) -> _Design:
        """Centred at those asked about, so that the treatment's own coefficient is the average effect."""
        if x.shape[1] == 0:
            return cls(t, x, np.sqrt(w), None, np.zeros(0))
        whole = cls(t, x, np.sqrt(w), squares := Squares.of(x), np.zeros(len(squares.own)))
        sums = sum((of[run] @ whole.centred(run) for run in runs(len(t))), start=whole.centre)
        return replace(whole, centre=sums / of.sum())

    def centred(self, run: slice) -> Array:
        """The columns that the effect may vary with."""
        if self.squares is None:
            return np.empty((len(self.t[run]), 0))
        return np.asarray(self.squares.columns(self.x[run])[:, self.squares.own] - self.centre)

    def rows(self, run: slice) -> Array:
        t = self.t[run, np.newaxis]
        basis = self.x[run] if self.squares is None else self.squares(self.x[run])
        whole = np.column_stack([np.ones(len(t)), t, basis, t * self.centred(run)])
        whole *= self.root[run, np.newaxis]
        return whole

    def slopes(self, coefficients: Array, kept: Sequence[int]) -> Array:
        """How the effect varies with each column of `centred`, by the coefficients of the columns that were kept."""
        width = len(self.centre)
        first = 2 if self.squares is None else 2 + width + len(self.squares.curved)
        found = np.zeros(width)
        for position, column in enumerate(kept):
            if column >= first:
                found[column - first] = coefficients[position]
        return found


def _independent(triangle_of: Array) -> list[int]:
    """Positions of the columns that the columns before them do not determine, by the R of their decomposition."""
    length = np.linalg.norm(triangle_of, axis=0)
    remaining = np.abs(np.diag(triangle_of))
    return [at for at in range(len(remaining)) if remaining[at] > DEPENDENT * length[at]]
