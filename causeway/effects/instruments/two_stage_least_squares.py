"""The effect of a treatment through what instruments move of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causeway.effects.estimators.linear_effect import linearised_slope, per_unit, reason_without_interval
from causeway.effects.estimators.partialling_out import Covariates, finite
from causeway.effects.influence import Array, Inference, Labels, Linearised, infer
from causeway.effects.instruments.confidence_set import ConfidenceSet
from causeway.effects.instruments.first_stage import FirstStage, first_stage
from causeway.effects.instruments.reduced_form import ReducedForm, reduced_form
from causeway.effects.instruments.specification import SpecificationTest, endogeneity, overidentification
from causeway.effects.instruments.weak_instruments import anderson_rubin_set
from causeway.statistics.effect import Status


@dataclass(frozen=True, slots=True, eq=False)
class TwoStageLeastSquares:
    """`effect`: outcome per unit of treatment, None unless `status` is "ok"; `reason` says why there is none.

    inference: the usual interval, right for strong instruments only. robust_set: Anderson & Rubin's, right for any; its
    p-value, too. std_error_classical: for equal variances, the textbook's; None with weights or clusters.
    least_squares: what regression without instruments answers. dropped_x, dropped_instruments: positions of columns
    that were constant or followed from the covariates or earlier columns.
    """

    status: Status
    reason: str | None
    units: int
    dropped_x: tuple[int, ...]
    dropped_instruments: tuple[int, ...]
    effect: Linearised | None = None
    inference: Inference | None = None
    variance: Literal["hc3", "hc1", "cluster_robust"] | None = None
    std_error_classical: float | None = None
    std_error_hc1: float | None = None
    least_squares: float | None = None
    first_stage: FirstStage | None = None
    robust_set: ConfidenceSet | None = None
    overidentification: SpecificationTest | None = None
    endogeneity: SpecificationTest | None = None


def two_stage_least_squares(
    outcome: Array,
    treatment: Array,
    instruments: Array,
    x: Array,
    *,
    weights: Array | None = None,
    clusters: Labels | None = None,
    alpha: float = 0.05,
) -> TwoStageLeastSquares:
    """Two-stage least squares of outcome, (n,), on treatment, (n,), two-valued or on a scale, instruments, (n, q), and
    covariates x, (n, p), in both stages.

    Where effects differ this averages the effects on those whom the instruments move, weighted by how much (Imbens &
    Angrist 1994, Econometrica 62, 467-475; Angrist & Imbens 1995), if no instrument moves anybody the other way and,
    given covariates, if those enter as the instruments depend on them (Blandhol et al. 2022, NBER w29709).

    With the first stage's fit f of the treatment t, both given x, unit i contributes f_i e_i / f'f / (1 - h_i), with e
    = y - effect t and h the leverages of the second stage, and n - k degrees of freedom (White 1982, Econometrica 50,
    483-499; the factor is HC3's: an instrument that is the treatment gives `linear_effect`). HC1's sqrt(n / (n - k)),
    other software's, is too small where instruments are skewed. With clusters, factor and degrees of freedom are those
    of `small_sample_of_slope` for f. Sampling weights weigh both stages.

    Statuses: too_few_units (no degree of freedom, fewer than two clusters), not_estimable (the treatment or every
    instrument is constant or a function of x; instruments that do not move the treatment at all; clusters without a
    degree of freedom), zero_variance (the outcome is constant or fitted exactly).
    Raises ValueError for shapes that differ and numbers that are not finite.
    """
    covariates = Covariates.from_arrays(x, weights)
    n, units = len(covariates.roots), covariates.units
    y, t = (
        covariates.residual(finite(name, values, n))
        for name, values in (("outcome", outcome), ("treatment", treatment))
    )
    columns = finite("instruments", instruments, n)
    if columns.ndim != 2:
        raise ValueError(f"instruments have one row per unit and one column each, not shape {columns.shape}")
    z, kept = covariates.span(columns)
    dropped = tuple(j for j in range(columns.shape[1]) if j not in kept)
    regressors = covariates.rank + z.shape[1]
    fitted = z @ (z.T @ t)

    def without(status: Status, reason: str) -> TwoStageLeastSquares:
        return TwoStageLeastSquares(status, reason, units, covariates.dropped, dropped)

    refused = _refusal(y, t, z, units=units, regressors=regressors)
    if refused is not None:
        return without(*refused)
    information = float(fitted @ fitted)
    value = float(fitted @ y) / information
    residuals = y - value * t
    found, variance = linearised_slope(value, fitted, residuals, covariates, clusters)
    inference = infer(found, None, clusters=clusters, scale=per_unit(covariates, outcome, treatment), alpha=alpha)
    if inference.status != "ok" or inference.std_error is None:
        return without(inference.status, reason_without_interval(inference))
    reduced = reduced_form(y, t, z, covariates, clusters)
    plain = weights is None and clusters is None
    total = float(t @ t)
    return TwoStageLeastSquares(
        "ok",
        None,
        units,
        covariates.dropped,
        dropped,
        found,
        inference,
        variance,
        math.sqrt(float(residuals @ residuals) / found.df / information) if plain and found.df else None,
        math.sqrt(float(np.sum((fitted * residuals) ** 2)) * units / found.df) / information if found.df else None,
        float(t @ y) / total,
        first_stage(reduced, total=total, left=units - regressors, classical=plain),
        _robust_set(reduced, found, inference.std_error, alpha),
        overidentification(y, t, z, found.effect, clusters),
        endogeneity(y, t, fitted, units=units, regressors=covariates.rank + 2, clusters=clusters),
    )


def _refusal(y: Array, t: Array, z: Array, *, units: int, regressors: int) -> tuple[Status, str] | None:
    """Why the data do not allow an estimate, if they do not."""
    rounding = np.finfo(float).eps * math.sqrt(z.size) * float(np.linalg.norm(t))
    if units - regressors < 1:
        return "too_few_units", f"{units} units leave no degree of freedom for {regressors} coefficients"
    if not t.any():
        return "not_estimable", "the treatment is constant, or a function of the covariates"
    if z.shape[1] == 0:
        return "not_estimable", "no instrument varies given the covariates"
    if float(np.linalg.norm(z.T @ t)) <= rounding:
        return "not_estimable", "the instruments do not move the treatment at all"
    if not y.any():
        return "zero_variance", "the outcome is constant, or a function of the covariates"
    return None


def _robust_set(reduced: ReducedForm, found: Linearised, std_error: float, alpha: float) -> ConfidenceSet:
    return anderson_rubin_set(reduced, centre=found.effect, scale=std_error, of_clusters=found.of_clusters, alpha=alpha)
