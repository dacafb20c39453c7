"""Are the two groups comparable at all? Balance of the confounders and overlap of the propensities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from causeway.twins.learners import Array, one_thread

LOWEST_PROPENSITY = 0.01


@dataclass(frozen=True, slots=True)
class Balance:
    """Standardised mean difference of one confounder column, treated minus control; None where it does not
    vary.
    """

    covariate: str
    smd: float | None


@dataclass(frozen=True, slots=True)
class Overlap:
    """Propensity quantiles (0, 1, 50, 99, 100 %) of each group, and the share of units without a
    counterpart.
    """

    share_outside: float
    treated_quantiles: tuple[float, ...]
    control_quantiles: tuple[float, ...]


def balance(x: Array, columns: Sequence[str], treated: npt.NDArray[np.bool_]) -> tuple[Balance, ...]:
    """Standardised mean difference of each column of x (units, columns): d = (m1 - m0) / sqrt((s1^2 + s0^2)
    / 2).

    Austin 2009 ("Balance diagnostics...", Statist. Med. 28, 3083-3107, sec. 3.1). |d| above 0.1 is commonly
    called imbalance. Both groups need two units.
    """
    results = []
    for position, column in enumerate(columns):
        ones, zeros = x[treated, position], x[~treated, position]
        spread = float(np.sqrt((np.var(ones, ddof=1) + np.var(zeros, ddof=1)) / 2))
        smd = float((ones.mean() - zeros.mean()) / spread) if spread > 0 else None
        results.append(Balance(column, smd))
    return tuple(results)


def overlap(x: Array, treated: npt.NDArray[np.bool_]) -> Overlap:
    """Overlap from a logistic regression of treatment on the standardised columns of x (units, columns).

    A unit is outside when its propensity is below 0.01 or above 0.99 both as it is and after weighting the
    groups to equal size. The first alone is the usual rule (Crump, Hotz, Imbens & Mitnik 2009, Biometrika
    96, 187-199, trim at fixed propensities); it would call every study of a rare treatment hopeless, though
    at one treated unit in two hundred everybody may have the same propensity. Without columns everybody has
    it: nobody is outside.
    """
    share = float(treated.mean())
    if x.shape[1] == 0:
        propensity = np.full(len(treated), share)
    else:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        # A light penalty: without one, separable groups, which are the point here, would have no finite fit.
        model = make_pipeline(StandardScaler(), LogisticRegression(C=100.0, max_iter=1000))
        with one_thread():
            propensity = np.asarray(model.fit(x, treated).predict_proba(x)[:, 1], dtype=np.float64)
    for_one, for_zero = propensity / share, (1 - propensity) / (1 - share)
    equal_groups = for_one / (for_one + for_zero)
    outside = _beyond(propensity) & _beyond(equal_groups)
    return Overlap(
        share_outside=float(outside.mean()),
        treated_quantiles=_quantiles(propensity[treated]),
        control_quantiles=_quantiles(propensity[~treated]),
    )


def _beyond(propensity: Array) -> npt.NDArray[np.bool_]:
    return (propensity < LOWEST_PROPENSITY) | (propensity > 1 - LOWEST_PROPENSITY)


def _quantiles(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(values, (0.0, 0.01, 0.5, 0.99, 1.0)))
