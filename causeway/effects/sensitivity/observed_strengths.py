"""How strong the observed covariates are as confounders: what an unobserved one may be compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causeway.effects.influence import Array, Flags
from causeway.effects.sensitivity.linear_bias import linear_benchmark
from causeway.effects.sensitivity.strength import Strength
from causeway.effects.triangle import triangle


def observed_strengths(
    outcome: Array, treated: Flags, x: Array, columns: Sequence[str], *, weights: Array | None = None, most: int = 5
) -> tuple[tuple[str, Strength], ...]:
    """The `most` strongest columns of x (n, p), linearly independent ones, by name, the strongest first.

    A column's partial R2 with the treatment is given the other columns, with the outcome given those and the treatment;
    both are t**2 / (t**2 + df) of a linear regression (Cinelli & Hazlett 2020, JRSS-B 82, sec. 4.4). Its strength is
    that of a confounder as strong as it is. A column that explains nearly all of the treatment has none.
    """
    n, p = x.shape
    if p == 0 or n <= p + 3:
        return ()
    root = np.ones(n) if weights is None else np.sqrt(weights / weights.mean())

    def rows(run: slice) -> Array:
        part = root[run]
        return np.column_stack([part, x[run] * part[:, np.newaxis], treated[run] * part, outcome[run] * part])

    # A constant, the columns, the treatment, the outcome; the last one of each slice is explained by those before.
    whole = triangle(n, rows)
    of_treatment = _partial_r2(whole[:, : p + 2])[1:]
    of_outcome = _partial_r2(whole)[1 : p + 1]
    found = []
    for name, treatment, of_y in zip(columns, of_treatment, of_outcome, strict=True):
        if treatment < 0.5 and of_y < 0.5:
            found.append(
                (name, linear_benchmark(treatment=treatment, outcome=of_y, times_treatment=1.0, times_outcome=1.0))
            )
    found.sort(key=lambda pair: (-pair[1].confounding, pair[0]))
    return tuple(found[:most])


def _partial_r2(triangle_of: Array) -> list[float]:
    """Of each column but the last with the last, given the others, by the R of their decomposition."""
    k = triangle_of.shape[1] - 1
    inverse = np.linalg.pinv(triangle_of[:k, :k])
    y = triangle_of[:, k]
    coefficients = inverse @ y[:k]
    residual = y - triangle_of[:, :k] @ coefficients
    left = float(residual @ residual)
    # What each column alone takes away from the sum of squares.
    taken = coefficients**2 / np.maximum((inverse**2).sum(axis=1), np.finfo(float).tiny)
    return [float(part / (part + left)) if part + left > 0 else 0.0 for part in taken]
