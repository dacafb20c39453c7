"""The effect of one unit more of a treatment on a scale, by ordinary least squares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causeway.effects.estimators.least_squares import EXACT_FIT
from causeway.effects.estimators.partialling_out import Covariates, finite
from causeway.effects.estimators.slope_clusters import small_sample_of_slope
from causeway.effects.influence import Array, Inference, Labels, Linearised, infer
from causeway.statistics.effect import Status


@dataclass(frozen=True, slots=True, eq=False)
class LinearEffect:
    """`effect`: outcome per unit of treatment, None unless `status` is "ok"; `reason` says why there is none.

    inference: interval and p-value of `effect`, None without one. variance: how each unit's contribution was made.
    std_error_classical: for equal variances, the textbook's; None with weights or clusters. dropped_x: positions in x
    of columns that were constant or followed from earlier ones. left_of_treatment: share of the treatment's
    variance that x leaves.
    """

    status: Status
    reason: str | None
    units: int
    dropped_x: tuple[int, ...]
    effect: Linearised | None = None
    inference: Inference | None = None
    variance: Literal["hc3", "hc1", "cluster_robust"] | None = None
    std_error_classical: float | None = None
    left_of_treatment: float | None = None


def linear_effect(
    outcome: Array,
    treatment: Array,
    x: Array,
    *,
    weights: Array | None = None,
    clusters: Labels | None = None,
    alpha: float = 0.05,
) -> LinearEffect:
    """Regress outcome, (n,), on treatment, (n,), a constant and x, (n, p).

    Where effects differ, or bend, this estimates an average of slopes weighted by how undecided the treatment was given
    x (Angrist & Krueger 1999, Handbook of Labor Economics 3A, eq. 34), not an average over everybody.

    Contributions are HC3's, a_i e_i / (1 - h_i), as in `treatment_coefficient` (HC1's where a unit has leverage one),
    with n - k degrees of freedom. With clusters they are a_i e_i, summed within clusters, with the factor and degrees
    of freedom of `small_sample_of_slope`. Sampling weights make all of it weighted least squares.

    Statuses: too_few_units (no degree of freedom, fewer than two clusters), not_estimable (the treatment is constant or
    a function of x; clusters without a degree of freedom), zero_variance (the outcome is constant or fitted exactly).
    Raises ValueError for shapes that differ and numbers that are not finite.
    """
    covariates = Covariates.from_arrays(x, weights)
    n, units, regressors = len(covariates.roots), covariates.units, covariates.rank + 1

    def without(status: Status, reason: str) -> LinearEffect:
        return LinearEffect(status, reason, units, covariates.dropped)

    y, t = (
        covariates.residual(finite(name, values, n))
        for name, values in (("outcome", outcome), ("treatment", treatment))
    )
    left = units - regressors
    if left < 1:
        return without("too_few_units", f"{units} units leave no degree of freedom for {regressors} coefficients")
    information = float(t @ t)
    if information == 0:
        return without("not_estimable", "the treatment is constant, or a function of the covariates")
    if not y.any():
        return without("zero_variance", "the outcome is constant, or a function of the covariates")
    value = float(t @ y) / information
    residuals = y - value * t
    found, variance = linearised_slope(value, t, residuals, covariates, clusters)
    inference = infer(found, None, clusters=clusters, scale=per_unit(covariates, outcome, treatment), alpha=alpha)
    if inference.status != "ok":
        return without(inference.status, reason_without_interval(inference))
    plain = weights is None and clusters is None
    return LinearEffect(
        "ok",
        None,
        units,
        covariates.dropped,
        found,
        inference,
        variance,
        math.sqrt(float(residuals @ residuals) / left / information) if plain else None,
        information / (units * _spread(covariates, treatment) ** 2),
    )


def linearised_slope(
    value: float, treatment: Array, residuals: Array, covariates: Covariates, clusters: Labels | None
) -> tuple[Linearised, Literal["hc3", "hc1", "cluster_robust"]]:
    """A coefficient of `treatment`, (n,), given the covariates: HC3 where possible, cluster sums where asked."""
    information = float(treatment @ treatment)
    slope = treatment / information
    basis = np.column_stack([covariates.basis, treatment / math.sqrt(information)])
    left = covariates.units - basis.shape[1]
    plain = slope * residuals
    if clusters is not None:
        of_clusters = small_sample_of_slope(slope, basis, clusters, covariates.roots)
        return Linearised(value, plain, left, of_clusters), "cluster_robust"
    leverage = np.einsum("ij,ij->i", basis, basis)
    if leverage.max() < EXACT_FIT:
        return Linearised(value, plain / (1 - leverage), left), "hc3"
    return Linearised(value, plain * math.sqrt(covariates.units / left), left), "hc1"


def per_unit(covariates: Covariates, outcome: Array, treatment: Array) -> float:
    """Spread of the outcome by that of the treatment: what size a coefficient may have."""
    return _spread(covariates, outcome) / _spread(covariates, treatment)


def _spread(covariates: Covariates, values: Array) -> float:
    weights = covariates.roots**2 / covariates.units
    centred = np.asarray(values, dtype=np.float64) - float(weights @ values)
    return math.sqrt(float(weights @ centred**2))


def reason_without_interval(inference: Inference) -> str:
    """Why `infer` gave none, in words."""
    return {
        "too_few_units": "there are fewer than two clusters",
        "not_estimable": "the clusters leave less than one degree of freedom",
        "zero_variance": "the outcome is fitted exactly: there is no spread to judge the effect by",
    }[inference.status]
