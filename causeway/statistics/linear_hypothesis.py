"""Are several linear combinations of independent estimates all zero? One test for contrasts, segments, interactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

# Beyond this condition number the combinations are not separate statements about the data any more.
WORST_CONDITION = 1e12


@dataclass(frozen=True, slots=True)
class LinearHypothesis:
    """Result of the test that every row of `rows @ estimates` is zero.

    wald: quadratic form, chi-square with `df` degrees of freedom if the variances were known.
    f, df, df_denominator, p_value: the same statistic with the variances' own uncertainty.
    p_value_wald: of the chi-square, for comparison; too small where the variances rest on few units.
    """

    wald: float
    f: float
    df: int
    df_denominator: float
    p_value: float
    p_value_wald: float


def linear_hypothesis(
    estimates: Sequence[float], variances: Sequence[float], dfs: Sequence[float], rows: ArrayLike
) -> LinearHypothesis | None:
    """Johansen's (1980) approximate-F Wald test of C m = 0 for independent m with unequal, estimated variances.

    T = (C m)' (C V C')^-1 (C m); with p rows, S = V C' (C V C')^-1 C and h_j = S_jj, A = sum_j h_j^2 / df_j and
    c = p + 2 A - 6 A / (p + 2): T / c is compared with F(p, p (p + 2) / (3 A)) (Johansen 1980, Biometrika 67, 85-92;
    Keselman, Wilcox & Lix 2003, Psychophysiology 40, 586-596). One row gives Welch's t test squared, the differences
    of means give Welch's (1951) analysis of variance, an interaction pattern the Welch-James test of the interaction.

    estimates, variances, dfs: shape (k,); a variance is that of the estimate, df its degrees of freedom (infinity for
    a known one). rows: shape (p, k).
    None where the combinations have no spread of their own to be measured with (C V C' is singular).
    Raises ValueError if shapes disagree, a variance is negative or a df is not positive.

    >>> test = linear_hypothesis([2.0, 5.0], [0.5, 0.5], [10, 10], [[1, -1]])
    >>> round(test.wald, 6), test.df, round(test.df_denominator, 6), round(test.p_value, 4)
    (9.0, 1, 20.0, 0.0071)
    """
    m, v, df = (np.asarray(each, dtype=np.float64) for each in (estimates, variances, dfs))
    c = np.atleast_2d(np.asarray(rows, dtype=np.float64))
    if not (m.ndim == 1 and m.shape == v.shape == df.shape == (c.shape[1],)):
        raise ValueError(f"one estimate, variance and df a column: {m.shape}, {v.shape}, {df.shape}, {c.shape}")
    if not (np.isfinite(m).all() and np.isfinite(v).all() and (v >= 0).all() and (df > 0).all()):
        raise ValueError("estimates must be finite, variances not negative, degrees of freedom positive")
    scale = float(np.max(np.where((c != 0).any(axis=0), v, 0.0), initial=0.0))
    if scale == 0:
        return None
    # In units of the largest standard error, so that no scale of the outcome under- or overflows.
    v = v / scale
    combined = c @ (m / np.sqrt(scale))
    spread = (c * v) @ c.T
    if not np.linalg.cond(spread) < WORST_CONDITION:
        return None
    wald = float(combined @ np.linalg.solve(spread, combined))
    share = v * np.einsum("pk,pk->k", c, np.linalg.solve(spread, c))
    a = float(np.sum(share * share / df))
    p = len(c)
    f = wald / (p + 2 * a - 6 * a / (p + 2))
    df_denominator = p * (p + 2) / (3 * a) if a > 0 else float("inf")
    # scipy's F has no infinite denominator.
    p_value = stats.f.sf(f, p, df_denominator) if a > 0 else stats.chi2.sf(wald, p)
    return LinearHypothesis(wald, f, p, df_denominator, float(p_value), float(stats.chi2.sf(wald, p)))
