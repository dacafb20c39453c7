"""The effect on those whom the instrument moves, for a two-valued instrument and a two-valued treatment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from causeway.effects.estimators.partialling_out import CONSTANT, finite
from causeway.effects.estimators.slope_clusters import cluster_sums
from causeway.effects.influence import Array, Flags, Inference, Labels, Linearised, infer
from causeway.effects.instruments.confidence_set import ConfidenceSet, ratio_set
from causeway.effects.instruments.first_stage import STRONG_ALONE
from causeway.effects.nuisances import Nuisances
from causeway.statistics.effect import Status

Noncompliance = Literal["two_sided", "nobody_without_encouragement", "nobody_against_it", "full_compliance"]


@dataclass(frozen=True, slots=True, eq=False)
class LocalAverageEffect:
    """`effect`: mean effect among compliers, in units of the outcome, None unless `status` is "ok"; `reason` says why.

    inference: by the delta method, right where the instrument is strong. robust_set: right for any instrument. prefer:
    which of the two to show. on_outcome, on_treatment: mean effects of the instrument on outcome and treatment; the
    latter is the share of compliers with its interval, negative where the instrument works the other way.
    first_stage_f: (share / standard error)**2. noncompliance: who takes what the instrument does not say. in_words:
    whom the effect is of. propensity_range: smallest and largest of P(Z = 1 | x).
    """

    status: Status
    reason: str | None
    units: int
    noncompliance: Noncompliance | None = None
    in_words: str | None = None
    effect: Linearised | None = None
    inference: Inference | None = None
    robust_set: ConfidenceSet | None = None
    prefer: Literal["inference", "robust_set"] | None = None
    on_outcome: Inference | None = None
    on_outcome_effect: float | None = None
    compliers: Inference | None = None
    share_of_compliers: float | None = None
    first_stage_f: float | None = None
    propensity_range: tuple[float, float] | None = None


def local_average_effect(
    outcome: Array,
    treated: Flags,
    instrument: Flags,
    *,
    on_outcome: Nuisances,
    on_treatment: Nuisances,
    weights: Array | None = None,
    clusters: Labels | None = None,
    alpha: float = 0.05,
) -> LocalAverageEffect:
    """Ratio of two doubly robust effects: of the instrument on the outcome, and of the instrument on the treatment.

    outcome: (n,). treated, instrument: (n,) two-valued. on_outcome: propensity P(Z = 1 | x), and E[Y | Z, x] without
    and with the instrument. on_treatment: the same of the treatment; its propensity is not used. Sampling weights,
    (n,), weigh both means.

    Identifies E[Y(1) - Y(0) | compliers] if, given x, the instrument is as good as random, acts through the treatment
    only, and moves nobody the other way (Imbens & Angrist 1994; with covariates Frolich 2007, J. Econometrics 139,
    35-75; doubly robust Tan 2006, J. Am. Stat. Assoc. 101, 1607-1618, and Chernozhukov et al. 2018, Econometrics J. 21,
    C1-C68, eq. 5.4). With scores s_i of both effects, unit i contributes w_i (s_yi - effect s_ti) / (sum w share) (the
    delta method), and the robust set is Fieller's of the two means, which is Anderson & Rubin's: exact where the share
    of compliers is near zero, and then it may be unbounded. Clusters count in arms of the instrument, as in `infer`.

    Statuses: too_few_units (fewer than two units, or clusters, with one value of the instrument), not_estimable (a
    propensity of zero or one; the instrument moves nobody; clusters without a degree of freedom), zero_variance.
    Raises ValueError for shapes that differ and numbers that are not finite.
    """
    n = len(outcome)
    y, t = finite("outcome", outcome, n), finite("treated", np.asarray(treated, dtype=np.float64), n)
    z = np.asarray(instrument, dtype=bool)
    if len(z) != n:
        raise ValueError(f"instrument has {len(z)} rows where outcome has {n}")
    w = np.ones(n) if weights is None else finite("weights", weights, n)
    if w.min(initial=0.0) < 0 or not w.sum() > 0:
        raise ValueError("weights must not be negative, nor all zero")
    units, w = int(np.count_nonzero(w)), w / w.sum()
    counted = w > 0
    propensity = on_outcome.propensity
    reach = (float(propensity[counted].min()), float(propensity[counted].max()))
    spread = float(np.sqrt(w @ (y - w @ y) ** 2))
    refused = _refusal(z[counted], reach, constant=spread <= CONSTANT * float(np.abs(y[counted]).max()))
    if refused is not None:
        return LocalAverageEffect(*refused, units, propensity_range=reach)
    s_y = instrument_scores(y, z, propensity, on_outcome)
    s_t = instrument_scores(t, z, propensity, on_treatment)
    numerator, share = float(w @ s_y), float(w @ s_t)
    noncompliance = _noncompliance(t[counted] > 0, z[counted])
    reduced = Linearised(numerator, w * (s_y - numerator))
    first = Linearised(share, w * (s_t - share))

    def without(status: Status, reason: str) -> LocalAverageEffect:
        return LocalAverageEffect(status, reason, units, noncompliance, propensity_range=reach)

    of_outcome = infer(reduced, z, clusters=clusters, scale=spread, alpha=alpha)
    of_treatment = infer(first, z, clusters=clusters, alpha=alpha)
    if of_outcome.status != "ok":
        return without(of_outcome.status, _why(of_outcome))
    everybody = of_treatment.status == "zero_variance" and abs(share) > 0.5
    if abs(share) <= np.finfo(float).eps * n or (of_treatment.status != "ok" and not everybody):
        return without("not_estimable", "the instrument moves nobody")
    found = Linearised(numerator / share, w * (s_y - numerator / share * s_t) / share)
    inference = infer(found, z, clusters=clusters, scale=spread, alpha=alpha)
    if inference.status != "ok":
        return without(inference.status, _why(inference))
    f = math.inf if of_treatment.std_error is None else (share / of_treatment.std_error) ** 2
    return LocalAverageEffect(
        "ok",
        None,
        units,
        noncompliance,
        _in_words(noncompliance, share),
        found,
        inference,
        _robust_set(reduced, first, of_outcome, clusters, alpha),
        "robust_set" if f < STRONG_ALONE else "inference",
        of_outcome,
        numerator,
        of_treatment,
        share,
        f if math.isfinite(f) else None,
        reach,
    )


def wald_effect(
    outcome: Array,
    treated: Flags,
    instrument: Flags,
    *,
    weights: Array | None = None,
    clusters: Labels | None = None,
    alpha: float = 0.05,
) -> LocalAverageEffect:
    """`local_average_effect` without covariates: difference in mean outcome by difference in share treated (Wald 1940),
    for an instrument that was drawn by lot. The point is that of two-stage least squares.
    """
    n = len(outcome)
    z = np.asarray(instrument, dtype=bool)
    w = np.ones(n) if weights is None else finite("weights", weights, n)
    share = float(w[z].sum() / w.sum()) if w.sum() > 0 else 0.0

    def of_means(values: Array) -> Nuisances:
        means = [float(w[arm] @ values[arm] / w[arm].sum()) if w[arm].sum() > 0 else 0.0 for arm in (~z, z)]
        return Nuisances(np.zeros(n, np.int64), np.full(n, share), np.full(n, means[0]), np.full(n, means[1]))

    return local_average_effect(
        outcome,
        treated,
        instrument,
        on_outcome=of_means(np.asarray(outcome, dtype=np.float64)),
        on_treatment=of_means(np.asarray(treated, dtype=np.float64)),
        weights=weights,
        clusters=clusters,
        alpha=alpha,
    )


def instrument_scores(values: Array, instrument: Flags, propensity: Array, nuisances: Nuisances) -> Array:
    """Doubly robust scores, (n,), whose mean is the instrument's effect on `values` (Robins, Rotnitzky & Zhao 1994)."""
    low, high = nuisances.outcome_control, nuisances.outcome_treated
    return np.asarray(
        high - low + np.where(instrument, (values - high) / propensity, -(values - low) / (1 - propensity))
    )


def _refusal(instrument: Flags, reach: tuple[float, float], *, constant: bool) -> tuple[Status, str] | None:
    """Why the data do not allow an estimate, if they do not."""
    if min(int(np.sum(instrument)), int(np.sum(~instrument))) < 2:
        return "too_few_units", "fewer than two units have one value of the instrument"
    if not 0 < reach[0] <= reach[1] < 1:
        return "not_estimable", "for some units the instrument is certain: its propensity is zero or one"
    return ("zero_variance", "the outcome is constant") if constant else None


def _noncompliance(treated: Flags, instrument: Flags) -> Noncompliance:
    without, against = not treated[~instrument].any(), bool(treated[instrument].all())
    if without and against:
        return "full_compliance"
    if without:
        return "nobody_without_encouragement"
    return "nobody_against_it" if against else "two_sided"


def _in_words(noncompliance: Noncompliance, share: float) -> str:
    if noncompliance == "full_compliance":
        return "everybody did as the instrument says: the effect is that of the treatment on everybody"
    of_whom = f"the {abs(share):.1%} whom the instrument moves"
    if noncompliance == "nobody_without_encouragement":
        return f"{of_whom}; nobody is treated without it, so these are like the treated (the ATT, Bloom 1984)"
    if noncompliance == "nobody_against_it":
        return f"{of_whom}; with it everybody is treated, so these are like the untreated (the ATC)"
    direction = "" if share > 0 else ", away from the treatment: it works the other way round"
    return f"{of_whom}{direction}; of those who always or never take the treatment it says nothing"


def _robust_set(
    reduced: Linearised, first: Linearised, inference: Inference, clusters: Labels | None, alpha: float
) -> ConfidenceSet:
    """Fieller's, with the small-sample factor and degrees of freedom that `infer` gave the reduced form."""
    of_outcome, of_treatment = reduced.contributions, first.contributions
    if clusters is not None:
        of_outcome, of_treatment = cluster_sums(np.column_stack([of_outcome, of_treatment]), clusters).T
    variance = float(of_outcome @ of_outcome)
    factor = (inference.std_error or 0.0) ** 2 / variance
    distribution = stats.norm if inference.df is None else stats.t(inference.df)
    return ratio_set(
        reduced.effect,
        first.effect,
        (factor * variance, factor * float(of_outcome @ of_treatment), factor * float(of_treatment @ of_treatment)),
        critical_value=float(distribution.isf(alpha / 2)),
        alpha=alpha,
        p_value=inference.p_value,
    )


def _why(inference: Inference) -> str:
    return {
        "too_few_units": "fewer than two clusters have one value of the instrument",
        "not_estimable": "the clusters leave less than one degree of freedom",
        "zero_variance": "the outcome is fitted exactly: there is no spread to judge the effect by",
    }[inference.status]
