"""Standardisation (the parametric g-formula): one outcome regression, asked about everybody under both treatments."""

from __future__ import annotations

import numpy as np

from causeway.effects.estimators.aipw import Average
from causeway.effects.influence import Array, Flags, Linearised
from causeway.effects.learners import Squares

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
    w = np.ones(len(outcome)) if weights is None else weights / weights.mean()
    t = treated.astype(np.float64)
    basis, own = _basis(x)
    of = {"ATE": np.ones(len(t)), "ATT": t, "ATC": 1 - t}[target] * w
    # Centred at those asked about, so that the treatment's own coefficient is the average effect.
    centred = own - np.average(own, axis=0, weights=of) if own.shape[1] else own
    design = np.column_stack([np.ones(len(t)), t, basis, t[:, np.newaxis] * centred])
    root = np.sqrt(w)
    design, kept = _independent(design * root[:, np.newaxis])
    y = outcome * root
    q, r = np.linalg.qr(design)
    residual = y - q @ (q.T @ y)
    inverse = np.linalg.inv(r)
    coefficients = inverse @ (q.T @ y)
    leverage = np.einsum("ij,ij->i", q, q)
    row = q @ inverse[1]
    if leverage.max() < EXACT_FIT:
        contributions = row * residual / (1 - leverage)
    else:
        n, rank = len(y), design.shape[1]
        contributions = row * residual * np.sqrt(n / max(1.0, n - rank))
    first = 2 + basis.shape[1]
    slopes = np.zeros(own.shape[1])
    for position, column in enumerate(kept):
        if column >= first:
            slopes[column - first] = coefficients[position]
    contributions = contributions + of * (centred @ slopes) / of.sum()
    return Linearised(float(coefficients[1]), contributions)


def _basis(x: Array) -> tuple[Array, Array]:
    """Columns and squares; and the columns that the effect may vary with."""
    if x.shape[1] == 0:
        return x, x
    squares = Squares.of(x)
    return squares(x), squares.columns(x)[:, squares.own]


def _independent(design: Array) -> tuple[Array, list[int]]:
    """Without the columns that the columns before them determine; and the positions of those that stay."""
    length = np.linalg.norm(design, axis=0)
    scaled = design / np.where(length > 0, length, 1.0)
    remaining = np.abs(np.diag(np.linalg.qr(scaled, mode="r")))
    kept = [position for position in range(design.shape[1]) if remaining[position] > DEPENDENT]
    return design[:, kept], kept
