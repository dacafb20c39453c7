"""What a segment has against what it could have: the gap, what it is worth, and what closing it returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from causeway.actions.units import Array, ScoredUnits, variance_of_sum
from causeway.statistics.effect import Status
from causeway.statistics.relative_effect import fieller_interval

Verdict = Literal["credible", "caution", "withheld"]
RoiStatus = Literal["ok", "no_cost", "cost_not_separated_from_zero"]

FEWEST_IN_ARM = 10
"""Units treated, and not treated, below which a segment has no effect of its own."""
FEWEST_CLUSTERS = 5
SOME_EXTRAPOLATED, MOSTLY_EXTRAPOLATED = 0.1, 0.5
"""Shares of units outside what was observed, above which a segment is a caution, and withheld."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a segment allows and costs.

    capacity: most units that can be treated; fixed_cost: of treating anybody there at all, in money; minimum_share,
    maximum_share: of those not treated today.
    """

    capacity: int | None = None
    fixed_cost: float = 0.0
    minimum_share: float = 0.0
    maximum_share: float = 1.0

    def most(self, n_to_treat: int) -> int:
        """Most of ``n_to_treat`` units that may be treated."""
        most = math.floor(self.maximum_share * n_to_treat + 1e-9)
        return most if self.capacity is None else min(most, self.capacity)

    def fewest(self, n_to_treat: int) -> int:
        """Fewest of them that must be."""
        return math.ceil(self.minimum_share * n_to_treat - 1e-9)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its standard error and 95 % interval (or at the alpha that was asked for)."""

    value: float
    std_error: float
    ci_low: float
    ci_high: float

    def times(self, factor: float, plus: float = 0.0) -> Estimate:
        """factor * this + plus, both known without error."""
        ends = sorted((factor * self.ci_low + plus, factor * self.ci_high + plus))
        return Estimate(factor * self.value + plus, abs(factor) * self.std_error, ends[0], ends[1])


@dataclass(frozen=True, slots=True)
class SegmentGap:
    """One segment. Every Estimate, and roi, is None unless `status` is "ok".

    n, n_treated, n_to_treat: units, those treated today, and those not. actual: mean outcome today, as observed.
    effect: on one unit not treated today. simultaneous_low, _high: its interval, for all segments at once.
    everyone, nobody: mean outcome if all, if none of these units were treated. units_reachable: most units that the
    terms and the budget of this segment alone allow. reachable: mean outcome with these; gap: reachable less actual,
    in units of the outcome; gap_value: worth of the gap over all units; cost: what closing it takes, fixed cost
    included; net_value: gap_value less cost; roi: net_value / cost, with limits. Money is in the unit of value.
    """

    segment: str
    n: int
    n_treated: int
    n_to_treat: int
    extrapolated_share: float
    verdict: Verdict
    status: Status
    reasons: tuple[str, ...] = ()
    actual: float | None = None
    effect: Estimate | None = None
    simultaneous_low: float | None = None
    simultaneous_high: float | None = None
    everyone: Estimate | None = None
    nobody: Estimate | None = None
    units_reachable: int | None = None
    reachable: Estimate | None = None
    gap: Estimate | None = None
    gap_value: Estimate | None = None
    cost_per_unit: float | None = None
    cost: float | None = None
    net_value: Estimate | None = None
    roi: tuple[float, float, float] | None = None
    roi_status: RoiStatus | None = None
    df: float | None = None


def segment_gaps(
    units: ScoredUnits,
    segments: Sequence[str],
    terms: Sequence[Terms],
    *,
    value: float,
    budget: float | None = None,
    study_verdict: Verdict = "credible",
    alpha: float = 0.05,
) -> tuple[SegmentGap, ...]:
    """The gap of each segment, in the order of ``segments``; terms: one each. value: worth of one unit of the outcome.

    Intervals say what is not known of the effect on these very units; what they are like today is observed. The effect
    on those not treated is doubly robust (`ScoredUnits.on_untreated`), by the delta method for its ratio to their
    number; Student's t with units, or clusters, less one degrees of freedom. Simultaneous intervals are Sidak's, exact
    for the independent segments (Sidak 1967). ROI has the interval of Fieller (1954) where the cost varies.

    A "withheld" study gives no number. Statuses: withheld; too_few_units (an arm below FEWEST_IN_ARM, or fewer than
    FEWEST_CLUSTERS clusters); no_units (nobody is left to treat); not_estimable (mostly extrapolated); zero_variance.
    """
    drawn = [units.among(units.segment == index) for index in range(len(segments))]
    counted = [_counted(own, name, study_verdict) for own, name in zip(drawn, segments, strict=True)]
    k = max(1, sum(each.status == "ok" for each in counted))
    found = []
    for own, plain, term in zip(drawn, counted, terms, strict=True):
        estimated = plain
        if plain.status == "ok":
            estimated = _estimated(own, plain, term, value=value, budget=budget, alpha=alpha, family=k)
            estimated = _judged(estimated, study_verdict)
        found.append(estimated)
    return tuple(found)


def _counted(own: ScoredUnits, name: str, study_verdict: Verdict) -> SegmentGap:
    """The segment's counts, with a status that says whether there can be numbers."""
    n, n_treated = len(own.score), int(own.treated.sum())
    extrapolated = float(own.extrapolated.mean()) if n else 0.0
    clusters = None if own.clusters is None else len(np.unique(own.clusters))
    status, reason = _why_not(n_treated, n - n_treated, extrapolated, clusters)
    if study_verdict == "withheld":
        status, reason = "withheld", "the study is withheld"
    return SegmentGap(
        segment=name,
        n=n,
        n_treated=n_treated,
        n_to_treat=n - n_treated,
        extrapolated_share=extrapolated,
        verdict="credible" if status == "ok" else "withheld",
        status=status,
        reasons=(reason,) if reason else (),
    )


def _why_not(n_treated: int, n_to_treat: int, extrapolated: float, clusters: int | None) -> tuple[Status, str]:
    if n_to_treat == 0:
        return "no_units", "everybody is treated already"
    if min(n_treated, n_to_treat) < FEWEST_IN_ARM:
        return "too_few_units", f"{n_treated} treated and {n_to_treat} not treated; {FEWEST_IN_ARM} each are needed"
    if clusters is not None and clusters < FEWEST_CLUSTERS:
        return "too_few_units", f"{clusters} clusters; {FEWEST_CLUSTERS} are needed"
    if extrapolated > MOSTLY_EXTRAPOLATED:
        return "not_estimable", f"{extrapolated:.0%} of the units lie outside what was observed"
    return "ok", ""


def _estimated(
    own: ScoredUnits, plain: SegmentGap, terms: Terms, *, value: float, budget: float | None, alpha: float, family: int
) -> SegmentGap:
    untreated = ~own.treated
    effect, errors, df = _ratio(own.on_untreated, untreated, own, alpha)
    on_treated, _, _ = _ratio(own.on_treated, own.treated, own, alpha)
    if effect.std_error <= 1e-10 * max(float(np.std(own.outcome)), abs(effect.value), 1e-300):
        return _without_numbers(plain, "zero_variance", "the effect does not vary between units")
    cost_per_unit, cost_errors = _mean_among(own.cost, untreated)
    if plain.n == 0 or df <= 0:
        return _without_numbers(plain, "too_few_units", "no degrees of freedom")
    actual = float(own.outcome.mean())
    reachable = _affordable(plain.n_to_treat, terms, cost_per_unit, budget)
    half = float(stats.t.isf((1 - (1 - alpha) ** (1 / family)) / 2, df)) * effect.std_error
    gap_value = effect.times(value * reachable)
    cost = cost_per_unit * reachable + (terms.fixed_cost if reachable else 0.0)
    roi, roi_status = _roi(
        gap_value.value,
        cost,
        value_errors=value * reachable * errors,
        cost_errors=reachable * cost_errors,
        clusters=own.clusters,
        critical=float(stats.t.isf(alpha / 2, df)),
    )
    return SegmentGap(
        segment=plain.segment,
        n=plain.n,
        n_treated=plain.n_treated,
        n_to_treat=plain.n_to_treat,
        extrapolated_share=plain.extrapolated_share,
        verdict=plain.verdict,
        status="ok",
        actual=actual,
        effect=effect,
        simultaneous_low=effect.value - half,
        simultaneous_high=effect.value + half,
        everyone=effect.times(plain.n_to_treat / plain.n, actual),
        nobody=on_treated.times(-plain.n_treated / plain.n, actual),
        units_reachable=reachable,
        reachable=effect.times(reachable / plain.n, actual),
        gap=effect.times(reachable / plain.n),
        gap_value=gap_value,
        cost_per_unit=cost_per_unit,
        cost=cost,
        net_value=gap_value.times(1.0, -cost),
        roi=roi,
        roi_status=roi_status,
        df=df,
    )


def _ratio(contributions: Array, counted: np.ndarray, own: ScoredUnits, alpha: float) -> tuple[Estimate, Array, float]:
    """Sum of contributions by number counted, the errors of its units, (n,), and degrees of freedom."""
    size = float(counted.sum())
    estimate = float(contributions.sum()) / size
    errors = (contributions - estimate * counted) / size
    variance, df = variance_of_sum(errors, own.clusters)
    std_error = math.sqrt(variance)
    half = float(stats.t.isf(alpha / 2, df)) * std_error if df > 0 else math.inf
    return Estimate(estimate, std_error, estimate - half, estimate + half), errors, df


def _mean_among(values: Array, counted: np.ndarray) -> tuple[float, Array]:
    size = float(counted.sum())
    mean = float(values[counted].sum()) / size
    return mean, np.where(counted, values - mean, 0.0) / size


def _affordable(n_to_treat: int, terms: Terms, cost_per_unit: float, budget: float | None) -> int:
    most = terms.most(n_to_treat)
    if budget is None:
        return most
    left = budget - terms.fixed_cost
    if left < 0:
        return 0
    return most if cost_per_unit <= 0 else min(most, math.floor(left / cost_per_unit + 1e-9))


def _roi(
    worth: float, cost: float, *, value_errors: Array, cost_errors: Array, clusters: np.ndarray | None, critical: float
) -> tuple[tuple[float, float, float] | None, RoiStatus]:
    if cost <= 0:
        return None, "no_cost"
    variance, _ = variance_of_sum(value_errors, clusters)
    of_cost, _ = variance_of_sum(cost_errors, clusters)
    of_both, _ = variance_of_sum(value_errors + cost_errors, clusters)
    found = fieller_interval(
        worth,
        cost,
        variance=variance,
        variance_denominator=of_cost,
        covariance=(of_both - variance - of_cost) / 2,
        critical_value=critical,
    )
    if found is None:
        return None, "cost_not_separated_from_zero"
    ratio, low, high = found
    return (ratio - 1, low - 1, high - 1), "ok"


def _without_numbers(plain: SegmentGap, status: Status, reason: str) -> SegmentGap:
    return SegmentGap(
        segment=plain.segment,
        n=plain.n,
        n_treated=plain.n_treated,
        n_to_treat=plain.n_to_treat,
        extrapolated_share=plain.extrapolated_share,
        verdict="withheld",
        status=status,
        reasons=(*plain.reasons, reason),
    )


def _judged(found: SegmentGap, study_verdict: Verdict) -> SegmentGap:
    """The same with its verdict."""
    if found.status != "ok" or found.simultaneous_low is None or found.simultaneous_high is None:
        return found
    reasons = []
    if study_verdict == "caution":
        reasons.append("the study is a caution")
    if found.simultaneous_low <= 0 <= found.simultaneous_high:
        reasons.append("no effect lies within the interval that holds for all segments at once")
    if found.extrapolated_share > SOME_EXTRAPOLATED:
        reasons.append(f"{found.extrapolated_share:.0%} of the units lie outside what was observed")
    numbers = {name: getattr(found, name) for name in found.__slots__}
    return SegmentGap(**numbers | {"verdict": "caution" if reasons else "credible", "reasons": tuple(reasons)})
