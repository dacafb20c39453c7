"""Quantile treatment effects, of values per unit and of events within units."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from causeway.statistics.clusters import FEW_CLUSTERS
from causeway.statistics.comparison import EstimatedMean, check_alpha, compare_means, satterthwaite_df
from causeway.statistics.effect import Effect, Status
from causeway.statistics.mid_quantile import Crossing, Step, crossing, rank_at, steps_near

# A value with more than this share of an arm's values, or with as many as lie beyond the quantile, is a mass point
# (revenue of 0), not a grid (latency in milliseconds): between mass points a quantile has no meaning to a reader.
LARGEST_SHARE_OF_A_VALUE = 0.05
FEWEST_OF_A_MASS_POINT = 6


@dataclass(frozen=True, slots=True)
class ArmQuantile:
    """What one arm's data say about its q-quantile.

    q: level, between 0 and 1. n: number of values (events). units: units with at least one value, the
    clusters. steps: distinct values, ascending: those at the ranks of `ranks_needed` and their neighbours
    (more do no harm).
    unit_ss: sum over units of (weighted events below the quantile - q * events)**2, the weights being those
    of `location`; None at the unit level (one value a unit), where it follows from the steps.

    From Postgres, in three statements over a table `events(unit_id, value)` of the arm; one sort in each of
    1 and 3, where grouping by value would cost several times as much for values without ties:

        -- 1. count(*) as n, count(distinct unit_id) as units; then steps, with the levels (r - 0.5) / n of
        --    each rank r in ranks_needed(n, q)
        with wanted as (
            select percentile_disc(%(levels)s::float8[]) within group (order by value) as at from events
        ), neighbours as (
            select max(value) as before, min(value) filter (where value > at[width_bucket(value, at)]) as after
            from events, wanted group by width_bucket(value, at)
        ), near as (
            select array_agg(distinct value order by value) as at from (
                select unnest(at) from wanted union all select before from neighbours
                union all select after from neighbours) as each (value)
            where value is not null
        ), counted as (
            select width_bucket(value, at) as place, count(*) as size,
                count(*) filter (where value = at[width_bucket(value, at)]) as ties
            from events, near group by 1
        ), added as (
            select place, sum(size) over (order by place) - size as below, ties from counted
        )
        select at[place] as value, below, ties from added, near where place > 0 order by place
        -- 2. event level only: unit_ss, with low, high and weights of `location`
        select sum(residual * residual) from (
            select sum(case when value < %(low)s then 1 when value = %(low)s then %(weight_low)s
                when value = %(high)s then %(weight_high)s else 0 end - %(q)s) as residual
            from events group by unit_id) as per_unit
        -- 3. the statement of 1 again, for ranks_needed(n, q, sigma, alpha)

    Counts by value add up, so rounded values may be kept as a small table per day (`from_counts`); unit_ss does
    not, for it depends on where the quantile lies.

    Raises ValueError for an impossible level, count or sum.
    """

    q: float
    n: int
    units: int
    steps: tuple[Step, ...]
    unit_ss: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.q < 1:
            raise ValueError(f"the level of a quantile must lie between 0 and 1: {self.q}")
        if not 0 <= self.units <= self.n or (self.units == 0) != (self.n == 0):
            raise ValueError(f"{self.units} units cannot have {self.n} values")
        if self.unit_ss is not None and not 0 <= self.unit_ss < math.inf:
            raise ValueError(f"a sum of squares is negative or not finite: {self.unit_ss}")
        if list(self.steps) != sorted(self.steps, key=lambda step: step.value):
            raise ValueError(f"steps must ascend: {self.steps}")

    @classmethod
    def from_counts(cls, values: ArrayLike, counts: ArrayLike, q: float, *, alpha: float = 0.05) -> ArmQuantile:
        """Unit level, from distinct values in ascending order and the number of units at each, shape (distinct,)."""
        distinct, sizes = np.asarray(values, dtype=np.float64), np.asarray(counts, dtype=np.int64)
        distinct, sizes = distinct[sizes > 0], sizes[sizes > 0]
        n = int(sizes.sum())
        first = cls(q, n, n, steps_near(distinct, sizes, ranks_needed(n, q)))
        return cls(q, n, n, steps_near(distinct, sizes, ranks_needed(n, q, first.sigma, alpha)))

    @classmethod
    def from_arrays(
        cls, values: ArrayLike, q: float, *, units: ArrayLike | None = None, alpha: float = 0.05
    ) -> ArmQuantile:
        """From values, shape (events,): one a unit, or with the unit of each in `units` of the same shape.

        alpha: of the comparison to come, which decides which steps are kept.
        """
        column = np.asarray(values, dtype=np.float64)
        if column.ndim != 1 or not np.isfinite(column).all():
            raise ValueError(f"one finite value an event is wanted: shape {column.shape}")
        distinct, counts = np.unique(column, return_counts=True)
        if units is None:
            return cls.from_counts(distinct, counts, q, alpha=alpha)
        ids = np.asarray(units)
        if ids.shape != column.shape:
            raise ValueError(f"values and units must have the same shape: {column.shape} and {ids.shape}")
        names, unit = np.unique(ids, return_inverse=True)
        n, clusters = column.size, names.size
        first = cls(q, n, clusters, steps_near(distinct, counts, ranks_needed(n, q)))
        unit_ss = 0.0 if first.location is None else _unit_ss(column, unit, q, first.location)
        second = cls(q, n, clusters, first.steps, unit_ss)
        return cls(q, n, clusters, steps_near(distinct, counts, ranks_needed(n, q, second.sigma, alpha)), unit_ss)

    @property
    def location(self) -> Crossing | None:
        """Where the quantile lies; None without values, and beyond the middle of the outermost value."""
        return crossing(self.steps, self.n, self.q) if self.n else None

    @property
    def sigma(self) -> float | None:
        """Standard deviation sigma such that sigma / sqrt(n) is the error of the share of values below the quantile.

        That share is a ratio of two means over units, weighted events below and events; by the delta method
        its variance is K / (K - 1) * unit_ss / n**2 with K units (Deng, Knoblich & Lu 2018, section 4): the
        residuals of the ratio sum to zero, so their squares need no centring. At the unit level, without
        ties, sigma**2 is q (1 - q). None where there is no location, and below two units.

        Raises ValueError at the event level without `unit_ss`.
        """
        if self.unit_ss is None and self.units != self.n:
            raise ValueError(f"{self.units} units have {self.n} values: unit_ss is needed")
        location = self.location
        if location is None or self.units < 2:
            return None
        unit_ss = self.unit_ss
        if unit_ss is None:
            at_low, at_high = location.weights
            above = self.n - location.high.through
            counts = (location.low.below, location.low.ties, location.high.ties, above)
            unit_ss = sum(
                count * (weight - self.q) ** 2 for count, weight in zip(counts, (1, at_low, at_high, 0), strict=True)
            )
        return math.sqrt(self.units / (self.units - 1) * unit_ss / self.n)

    def interval(self, alpha: float) -> tuple[Crossing, Crossing] | None:
        """Where the quantiles of level q -+ z sigma / sqrt(n) lie; None where the sample does not reach so far."""
        sigma = self.sigma
        if sigma is None:
            return None
        below, above = (crossing(self.steps, self.n, level) for level in _levels(self.n, self.q, sigma, alpha))
        return None if below is None or above is None else (below, above)


def ranks_needed(n: int, q: float, sigma: float | None = None, alpha: float = 0.05) -> tuple[int, ...]:
    """Ranks, 1 to n, of the order statistics on whose steps the quantile and its interval lie.

    Without sigma only that of the quantile. Fetch the distinct value at each rank and its two neighbours.
    sigma: of the share of values below the quantile, `ArmQuantile.sigma`.

    >>> ranks_needed(1000, 0.95, sigma=(0.95 * 0.05) ** 0.5)
    (937, 950, 964)
    """
    if n == 0:
        return ()
    levels = (q,) if sigma is None else (q, *_levels(n, q, sigma, alpha))
    return tuple(sorted({rank_at(n, level) for level in levels}))


def quantile_effect(
    treated: ArmQuantile, control: ArmQuantile, *, correlation: float | None = None, alpha: float = 0.05
) -> Effect:
    """The q-quantile of the treated minus that of the control: of one value a unit, or of all events of all units.

    Quantiles are those of the mid-distribution (see `crossing`), so that rounding and ties are handled. The
    error of an arm's quantile comes from its outer interval, the quantiles of level q -+ z sigma / sqrt(n):
    half its width over z (Woodruff 1952; Price & Bonett 2002), with a sigma that knows that the events of a
    unit belong together (Deng, Knoblich & Lu 2018). Both arms are combined as independent, with
    Satterthwaite's degrees of freedom from units - 1.

    With fewer than about 25 independent values beyond the quantile (events over the design effect) the
    interval spans a wide stretch of a skewed tail, and is conservative: it covers 97 % where 95 % were wanted.

    It answers "how far did the p95 move", not "by how much did a unit change": units may change their order.
    At the event level a unit with many events weighs more.

    treated, control: of the same level q; the steps must reach as far as this alpha wants.
    correlation: of the two shares of values below the quantile, where units (clusters) have values in both arms:
    sum over units of r_t r_c / sqrt(unit_ss_t unit_ss_c), r being what unit_ss is the sum of squares of. Then the
    variance is v_t + v_c - 2 correlation sqrt(v_t v_c), with the degrees of freedom of the arm of fewer units.
    alpha: error rate of the two-sided interval. Raises ValueError unless it lies between 0 and 1, and where
    the levels differ.
    `mean` and `mean_control` of the result are the arms' quantiles; n and n_control count units.
    Statuses: no_units; too_few_units (an arm of one unit, or an interval that reaches beyond the sample: an
    extreme quantile wants more values); not_estimable (the quantile or its interval touches a mass point, a
    value with more than 5 % of the arm's values or more than lie beyond the quantile: there the quantile is
    that value in both arms, whatever the treatment does; compare the share of units at that value
    instead); zero_variance.

    >>> slow, fast = np.arange(200.0) + 10, np.arange(200.0)
    >>> found = quantile_effect(ArmQuantile.from_arrays(slow, 0.5), ArmQuantile.from_arrays(fast, 0.5))
    >>> found.effect, round(found.std_error, 3)
    (10.0, 9.987)
    """
    check_alpha(alpha)
    if treated.q != control.q:
        raise ValueError(f"quantiles of different levels: {treated.q} and {control.q}")
    if correlation is not None and not -1 <= correlation < 1:
        raise ValueError(f"a correlation lies between -1 and 1: {correlation}")
    why_not = _why_not(treated, control, alpha)
    if why_not is not None:
        status, reason = why_not
        settings = {"estimand": "quantile", "q": treated.q, "alpha": alpha, "reason": reason}
        return Effect(status, treated.units, control.units, settings=settings)

    v, v_control = (_variance(arm, alpha) for arm in (treated, control))
    covariance = (correlation or 0.0) * math.sqrt(v * v_control)
    dfs = treated.units - 1, control.units - 1
    spread = treated.q * (1 - treated.q)
    return compare_means(
        EstimatedMean(treated.units, _value(treated), v),
        EstimatedMean(control.units, _value(control), v_control),
        std_error=math.sqrt(v + v_control - 2 * covariance),
        covariance=covariance,
        df=satterthwaite_df((v, dfs[0]), (v_control, dfs[1])) if correlation is None else min(dfs),
        alpha=alpha,
        settings={
            "estimand": "quantile",
            "q": treated.q,
            "definition": "mid_distribution",
            "variance": "outer_interval_of_order_statistics",
            "level": "unit" if treated.unit_ss is None and control.unit_ss is None else "event",
            "events": treated.n,
            "events_control": control.n,
            "design_effect": (treated.sigma or 0.0) ** 2 / spread,
            "design_effect_control": (control.sigma or 0.0) ** 2 / spread,
        },
    )


def clustered_quantile_effect(
    values: tuple[ArrayLike, ArrayLike], clusters: tuple[ArrayLike, ArrayLike], q: float, *, alpha: float = 0.05
) -> Effect:
    """`quantile_effect` of one value a unit, where units of a cluster are alike and clusters may span the arms.

    values, clusters: of the units of the treated and of the control, each (units,). n and n_control count units;
    settings: clusters, clusters_control, clusters_in_both, few_clusters, correlation.
    """
    labels = [np.asarray(each) for each in clusters]
    arms = [ArmQuantile.from_arrays(y, q, units=each, alpha=alpha) for y, each in zip(values, labels, strict=True)]
    in_both = len(np.intersect1d(labels[0], labels[1]))
    correlation = correlation_of_arms((arms[0], arms[1]), values, clusters) if in_both else None
    effect = quantile_effect(*arms, correlation=correlation, alpha=alpha)
    return in_clusters(effect, (len(labels[0]), len(labels[1])), in_both, correlation)


def in_clusters(effect: Effect, units: tuple[int, int], in_both: int, correlation: float | None) -> Effect:
    """A quantile effect whose "units" were clusters, said of the units in them; in_both: clusters with both arms."""
    clusters, clusters_control = effect.n, effect.n_control
    settings = effect.settings | {
        "variance": "cluster_robust_outer_interval",
        "clusters": clusters,
        "clusters_control": clusters_control,
        "clusters_in_both": in_both,
        "few_clusters": clusters + clusters_control - in_both < FEW_CLUSTERS,
        "correlation": correlation,
    }
    if settings.get("events") == units[0] and settings.get("events_control") == units[1]:
        settings["level"] = "unit"
    return replace(effect, n=units[0], n_control=units[1], settings=settings)


def _critical_value(alpha: float) -> float:
    return -float(ndtri(alpha / 2))


def _levels(n: int, q: float, sigma: float, alpha: float) -> tuple[float, float]:
    reach = _critical_value(alpha) * sigma / math.sqrt(n)
    return q - reach, q + reach


def correlation_of_arms(
    arms: tuple[ArmQuantile, ArmQuantile],
    values: tuple[ArrayLike, ArrayLike],
    units: tuple[ArrayLike, ArrayLike],
) -> float:
    """The `correlation` of `quantile_effect`, from the values of each arm and the units (clusters) they are of."""
    names, index = np.unique(np.concatenate([np.asarray(each) for each in units]), return_inverse=True)
    places = np.split(index, [len(np.asarray(units[0]))])
    residuals = []
    for arm, column, place in zip(arms, values, places, strict=True):
        if arm.location is None:
            return 0.0
        weights = _weights(np.asarray(column, dtype=np.float64), arm.location)
        residuals.append(np.bincount(place, weights - arm.q, minlength=len(names)))
    size = math.sqrt(float(residuals[0] @ residuals[0]) * float(residuals[1] @ residuals[1]))
    # One that is 1 leaves no variance, which is never true of samples.
    return min(float(residuals[0] @ residuals[1]) / size, 1 - 1e-9) if size else 0.0


def _weights(values: NDArray[np.float64], location: Crossing) -> NDArray[np.float64]:
    """How far each value lies below the quantile: 1, 0, or in between where it is next to it."""
    at_low, at_high = location.weights
    low, high = location.low.value, location.high.value
    return np.where(values < low, 1.0, np.where(values == low, at_low, np.where(values == high, at_high, 0.0)))


def _unit_ss(values: NDArray[np.float64], unit: NDArray[np.int64], q: float, location: Crossing) -> float:
    residuals = np.bincount(unit, _weights(values, location) - q)
    return float(residuals @ residuals)


def _value(arm: ArmQuantile) -> float:
    assert arm.location is not None
    return arm.location.value


def _variance(arm: ArmQuantile, alpha: float) -> float:
    """Squared standard error of an arm's quantile: half the width of its interval over z."""
    interval = arm.interval(alpha)
    assert interval is not None
    return ((interval[1].value - interval[0].value) / (2 * _critical_value(alpha))) ** 2


def _why_not(treated: ArmQuantile, control: ArmQuantile, alpha: float) -> tuple[Status, str] | None:
    """The first reason against an estimate, if there is one."""
    arms = (treated, control)
    if min(arm.units for arm in arms) == 0:
        return "no_units", "an arm is empty"
    if min(arm.units for arm in arms) == 1:
        return "too_few_units", "an arm has one unit"
    for arm in arms:
        mass_point = _mass_point(arm, alpha)
        if mass_point is not None:
            share = mass_point.ties / arm.n
            return "not_estimable", f"the quantile lies at a mass point: {share:.1%} of an arm are {mass_point.value:g}"
    if any(arm.interval(alpha) is None for arm in arms):
        return "too_few_units", "the interval of the quantile reaches beyond the sample"
    if all(_variance(arm, alpha) == 0 for arm in arms):
        return "zero_variance", "the quantile does not vary between units"
    return None


def _mass_point(arm: ArmQuantile, alpha: float) -> Step | None:
    """The value, if there is one, that holds so many of an arm's values that a quantile there says nothing."""
    largest = max(min(LARGEST_SHARE_OF_A_VALUE, arm.q, 1 - arm.q) * arm.n, FEWEST_OF_A_MASS_POINT - 1)
    ranks = ranks_needed(arm.n, arm.q, arm.sigma, alpha)
    touched = [step for step in arm.steps if any(step.below < rank <= step.through for rank in ranks)]
    return max((step for step in touched if step.ties > largest), key=lambda step: step.ties, default=None)
