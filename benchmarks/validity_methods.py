"""What is asked of whom in `validity`: types of metrics, methods, which go together, and one way to draw and judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from causeway.simulate.daily_looks import (
    DailyLooks,
    exits_by_day,
    looks_at_adjusted_means,
    looks_at_event_quantiles,
    looks_at_means,
    looks_at_quantiles,
    looks_at_restricted_means,
)
from causeway.simulate.durations import DurationModel
from causeway.simulate.metric_types import (
    METRICS_OF_UNITS,
    QUANTILE,
    SHARES,
    event_latencies,
    event_latency_effect,
    scores,
    strata,
)
from causeway.simulate.metric_worlds import Runs, moments_by_stratum, moments_of_runs, with_covariates
from causeway.statistics.clusters import ClusteredArm, cluster_effect
from causeway.statistics.clusters_across_arms import COLUMNS, ClustersAcrossArms, effect_across_clusters
from causeway.statistics.cuped import cuped
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Effect
from causeway.statistics.life_table import LifeTable
from causeway.statistics.post_stratification import post_stratified_difference
from causeway.statistics.quantile import (
    ArmQuantile,
    clustered_quantile_effect,
    correlation_of_arms,
    quantile_effect,
)
from causeway.statistics.ratio import difference_in_ratios
from causeway.statistics.regression_adjustment import adjusted_effect
from causeway.statistics.time_to_event import clustered_restricted_mean_effect, restricted_mean_effect

DAYS = 60
UNITS = 1_200
"""Of each arm: twenty a day."""
CLUSTERS = 40
ALIKE = 0.1
"""Of each arm; and what two units of a cluster have in common of their activity."""
HORIZON = 14
DURATIONS = DurationModel(scale=10.0, shape=0.8, never=0.3)
SOONER = 0.8
"""Factor on the days to the event of the treated, where there is an effect."""
FEW_UNITS, FAR_QUANTILE = 200, 0.95
Z = float(stats.norm.isf(0.025))

EVENTS, TIMES, UNIT_QUANTILE = "quantile (event)", "time_to_event", "quantile (unit)"
METRICS = (*METRICS_OF_UNITS, EVENTS, TIMES)
PLAIN, CUPED, ADJUSTED, STRATIFIED = "difference, fixed horizon", "cuped", "adjusted", "post_stratified"
CLUSTERED, ACROSS = "clusters randomised", "clusters in both arms"
ALWAYS_VALID, GROUP_SEQUENTIAL, PEEKING = "always_valid", "group_sequential", "fixed horizon, peeked at daily"
OF_CUPED = " of cuped"
METHODS = (
    PLAIN,
    CUPED,
    ADJUSTED,
    STRATIFIED,
    CLUSTERED,
    ACROSS,
    ALWAYS_VALID,
    ALWAYS_VALID + OF_CUPED,
    GROUP_SEQUENTIAL,
    GROUP_SEQUENTIAL + OF_CUPED,
    PEEKING,
)

_NO_MEAN = "a quantile is no mean: no regression on sums predicts it"
_NO_WEIGHTED_SUM = "a quantile of all units is no weighted sum of the strata's quantiles"
_AT_RISK = "what is averaged is a curve of the units still at risk, of which no co-moments are kept"
_OF_QUANTILES = {
    **dict.fromkeys((CUPED, ADJUSTED, ALWAYS_VALID + OF_CUPED, GROUP_SEQUENTIAL + OF_CUPED), _NO_MEAN),
    STRATIFIED: _NO_WEIGHTED_SUM,
}
_OF_TIMES = dict.fromkeys((CUPED, ADJUSTED, STRATIFIED, ALWAYS_VALID + OF_CUPED, GROUP_SEQUENTIAL + OF_CUPED), _AT_RISK)
_OF_RATIOS = {
    ADJUSTED: "a twin predicts one value a unit; cuped takes the past of numerator and denominator",
    STRATIFIED: "a ratio of all units is no sum of the strata's ratios weighted by units",
}
UNDEFINED: Mapping[tuple[str, str], str] = {
    **{(metric, method): why for metric in (UNIT_QUANTILE, EVENTS) for method, why in _OF_QUANTILES.items()},
    **{(TIMES, method): why for method, why in _OF_TIMES.items()},
    **{("ratio", method): why for method, why in _OF_RATIOS.items()},
}


@dataclass(frozen=True)
class Trials:
    """Many runs of one trial. lifted: whether there is an effect, which is `truth` (0 if not).

    treated, control: variables of shape (runs, UNITS), units in the order in which they came, with "stratum" and
    "score"; of events their values and units by run; of times "days" to the event.
    clustered: the same of units in clusters, arms apart and arms mixed.
    """

    metric: str
    lifted: bool
    truth: float
    treated: Any
    control: Any
    clustered: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


def cluster_of_units() -> NDArray[np.int64]:
    """The cluster of each unit of an arm, ascending: sizes from a handful to a hundred, the same in every run."""
    weights = np.random.default_rng(0).lognormal(0.0, 0.6, CLUSTERS)
    ends = np.round(np.cumsum(weights) / weights.sum() * UNITS)
    return np.searchsorted(ends, np.arange(UNITS), side="right").astype(np.int64)


_CLUSTER = cluster_of_units()


def trials(metric: str, rng: np.random.Generator, runs: int, *, lifted: bool) -> Trials:
    """Draw them; the same effect whatever the units have in common."""
    shape = (runs, UNITS)
    if metric == TIMES:
        treated, control = (DURATIONS.draw_whole_days(rng, shape, factor) for factor in (SOONER if lifted else 1, 1))
        truth = DURATIONS.restricted_mean_in_whole_days(HORIZON, SOONER) if lifted else 0.0
        truth -= DURATIONS.restricted_mean_in_whole_days(HORIZON) if lifted else 0.0
        factors = (SOONER if lifted else 1.0, 1.0)
        clustered = {
            method: tuple(DURATIONS.whole_days_of(each, of_arm) for each, of_arm in zip(arms, factors, strict=True))
            for method, arms in _alike_arms(rng, runs).items()
        }
        return Trials(metric, lifted, truth, treated, control, clustered)
    if metric == EVENTS:
        lift = 0.1 if lifted else 0.0

        def events(arms: Sequence[NDArray[np.float64]]) -> tuple[Any, Any]:
            treated, control = (
                event_latencies(rng, activity, of_arm) for activity, of_arm in zip(arms, (lift, 0.0), strict=True)
            )
            return treated, control

        treated, control = events([rng.standard_normal(shape) for _ in range(2)])
        clustered = {method: events(arms) for method, arms in _alike_arms(rng, runs).items()}
        return Trials(metric, lifted, event_latency_effect(lift), treated, control, clustered)
    model = METRICS_OF_UNITS[metric]
    lift = model.lift if lifted else 0.0

    def arm(activity: NDArray[np.float64], of_arm: float) -> Runs:
        drawn = {**model.draw(rng, activity, of_arm)}
        return {**drawn, "stratum": strata(rng, activity), "score": scores(rng, activity)}

    treated, control = (arm(rng.standard_normal(shape), of_arm) for of_arm in (lift, 0.0))
    clustered = {
        method: tuple(arm(each, of_arm) for each, of_arm in zip(arms, (lift, 0.0), strict=True))
        for method, arms in _alike_arms(rng, runs).items()
    }
    return Trials(metric, lifted, model.effect(lift), treated, control, clustered)


def _alike_arms(rng: np.random.Generator, runs: int) -> dict[str, list[NDArray[np.float64]]]:
    """Activities of both arms, whose clusters are others or the same."""
    apart = [rng.standard_normal((runs, CLUSTERS)) for _ in range(2)]
    return {
        CLUSTERED: [_alike(rng, each) for each in apart],
        ACROSS: [_alike(rng, apart[0]) for _ in range(2)],
    }


def _alike(rng: np.random.Generator, of_cluster: NDArray[np.float64]) -> NDArray[np.float64]:
    """Activities, standard normal, of units of which those of one cluster share a part."""
    own = rng.standard_normal((len(of_cluster), UNITS))
    return np.sqrt(ALIKE) * of_cluster[:, _CLUSTER] + np.sqrt(1 - ALIKE) * own


def small_tail(rng: np.random.Generator, runs: int, *, lifted: bool) -> tuple[list[Effect], float]:
    """Effects on the p95 of two hundred units an arm, and the true one: ten values lie beyond each quantile."""
    lift = 0.3 if lifted else 0.0
    arms = [
        [
            ArmQuantile.from_arrays(y, FAR_QUANTILE)
            for y in (1 + of_arm) * np.exp(rng.standard_normal((runs, FEW_UNITS)))
        ]
        for of_arm in (lift, 0.0)
    ]
    truth = lift * float(np.exp(stats.norm.ppf(FAR_QUANTILE)))
    return [quantile_effect(*pair) for pair in zip(*arms, strict=True)], truth


def fixed_effects(drawn: Trials) -> Iterator[tuple[str, list[Effect]]]:
    """Effects of every run by each method that looks once, by the functions that the pipeline calls."""
    if drawn.metric == TIMES:
        yield PLAIN, _restricted_means(drawn)
        for method, arms in drawn.clustered.items():
            yield method, _clustered_restricted_means(*arms, apart=method == CLUSTERED)
    elif drawn.metric == EVENTS:
        yield PLAIN, _event_quantiles(drawn.treated, drawn.control)
        yield CLUSTERED, _event_quantiles(*drawn.clustered[CLUSTERED], of_cluster=True)
        yield ACROSS, _event_quantiles_across(*drawn.clustered[ACROSS])
    elif drawn.metric == UNIT_QUANTILE:
        yield PLAIN, _unit_quantiles(drawn.treated, drawn.control)
        for method, arms in drawn.clustered.items():
            yield method, _clustered_unit_quantiles(*arms, apart=method == CLUSTERED)
    else:
        yield from _of_means(drawn)


def _of_means(drawn: Trials) -> Iterator[tuple[str, list[Effect]]]:
    treated, control = drawn.treated, drawn.control
    ratio = drawn.metric == "ratio"
    names = [name for name in treated if name != "stratum"]
    arms = list(zip(*(moments_of_runs({name: arm[name] for name in names}) for arm in (treated, control)), strict=True))
    if ratio:
        yield PLAIN, [difference_in_ratios(t, c) for t, c in arms]
        past = ["before", "denominator_before"]
        yield CUPED, [cuped(t, c, past, denominator="denominator") for t, c in arms]
    else:
        yield PLAIN, [difference_in_means(t.moments("outcome"), c.moments("outcome")) for t, c in arms]
        yield CUPED, [cuped(t, c, ["before", "score"]) for t, c in arms]
        scored = [(t.moments("outcome", "score"), c.moments("outcome", "score")) for t, c in arms]
        yield ADJUSTED, [adjusted_effect(t, c) for t, c in scored]
        strata_of_both = [moments_by_stratum(arm["stratum"], arm["outcome"], len(SHARES)) for arm in (treated, control)]
        yield STRATIFIED, [post_stratified_difference(t, c) for t, c in zip(*strata_of_both, strict=True)]
    sums = [moments_of_runs(_cluster_sums(arm)) for arm in drawn.clustered[CLUSTERED]]
    yield (
        CLUSTERED,
        [cluster_effect(ClusteredArm(UNITS, t), ClusteredArm(UNITS, c)) for t, c in zip(*sums, strict=True)],
    )
    both = [_cluster_sums(arm) for arm in drawn.clustered[ACROSS]]
    together = dict(zip(COLUMNS, (values for sums in both for values in sums.values()), strict=True))
    yield (
        ACROSS,
        [
            effect_across_clusters(ClustersAcrossArms(UNITS, UNITS, CLUSTERS, CLUSTERS, each))
            for each in moments_of_runs(together)
        ],
    )


def _cluster_sums(arm: Runs) -> Runs:
    """Sums of outcome and denominator (of a mean the number of units) by cluster, shape (runs, CLUSTERS)."""
    starts = np.searchsorted(_CLUSTER, np.arange(CLUSTERS))
    outcome = arm["outcome"]
    sizes = arm.get("denominator", np.ones_like(outcome))
    return {
        name: np.add.reduceat(values, starts, axis=1) for name, values in zip(COLUMNS, (outcome, sizes), strict=False)
    }


def _unit_quantiles(treated: Runs, control: Runs) -> list[Effect]:
    return [
        quantile_effect(*(ArmQuantile.from_arrays(y, QUANTILE) for y in pair))
        for pair in zip(treated["outcome"], control["outcome"], strict=True)
    ]


def _clusters_of_arms(*, apart: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return _CLUSTER, _CLUSTER + (CLUSTERS if apart else 0)


def _clustered_unit_quantiles(treated: Runs, control: Runs, *, apart: bool) -> list[Effect]:
    return [
        clustered_quantile_effect(pair, _clusters_of_arms(apart=apart), QUANTILE)
        for pair in zip(treated["outcome"], control["outcome"], strict=True)
    ]


def _event_quantiles_across(treated: Sequence[Any], control: Sequence[Any]) -> list[Effect]:
    found = []
    for pair in zip(treated, control, strict=True):
        values, clusters = tuple(y for y, _ in pair), tuple(_CLUSTER[unit] for _, unit in pair)
        arms = [ArmQuantile.from_arrays(y, QUANTILE, units=of) for y, of in zip(values, clusters, strict=True)]
        correlation = correlation_of_arms((arms[0], arms[1]), (values[0], values[1]), (clusters[0], clusters[1]))
        found.append(quantile_effect(arms[0], arms[1], correlation=correlation))
    return found


def _event_quantiles(treated: Sequence[Any], control: Sequence[Any], *, of_cluster: bool = False) -> list[Effect]:
    return [
        quantile_effect(
            *(ArmQuantile.from_arrays(y, QUANTILE, units=_CLUSTER[unit] if of_cluster else unit) for y, unit in pair)
        )
        for pair in zip(treated, control, strict=True)
    ]


def _restricted_means(drawn: Trials) -> list[Effect]:
    """On the last day, when many units have not been seen for the whole window."""
    times = tuple(float(day) for day in range(1, HORIZON + 1))
    arms = []
    for days in (drawn.treated, drawn.control):
        exits = (each[:, -1].tolist() for each in exits_by_day(days, UNITS // DAYS, HORIZON))
        arms.append([LifeTable(times, tuple(events), tuple(censored)) for events, censored in zip(*exits, strict=True)])
    return [restricted_mean_effect(t, c, horizon=HORIZON) for t, c in zip(*arms, strict=True)]


def _clustered_restricted_means(
    treated: NDArray[np.float64], control: NDArray[np.float64], *, apart: bool
) -> list[Effect]:
    """On the last day as well; units were exposed at the start of a day, in their order."""
    followed = DAYS - np.arange(UNITS) // (UNITS // DAYS)
    clusters = _clusters_of_arms(apart=apart)
    return [
        clustered_restricted_mean_effect(
            *((np.minimum(days, followed), days <= followed, of) for days, of in zip(pair, clusters, strict=True)),
            horizon=HORIZON,
        )
        for pair in zip(treated, control, strict=True)
    ]


def looks_of(drawn: Trials) -> Iterator[tuple[str, DailyLooks]]:
    """The daily looks of the plain difference ("") and, where that is defined, of cuped."""
    if drawn.metric == TIMES:
        yield "", looks_at_restricted_means(drawn.treated, drawn.control, DAYS, HORIZON)
    elif drawn.metric == EVENTS:
        yield (
            "",
            looks_at_event_quantiles(
                drawn.treated, drawn.control, q=QUANTILE, units=UNITS, days=DAYS, critical_value=Z
            ),
        )
    elif drawn.metric == UNIT_QUANTILE:
        arms = (arm["outcome"] for arm in (drawn.treated, drawn.control))
        yield "", looks_at_quantiles(*arms, q=QUANTILE, days=DAYS, critical_value=Z)
    else:
        yield "", looks_at_means(drawn.treated, drawn.control, DAYS)
        yield OF_CUPED, looks_at_adjusted_means(drawn.treated, drawn.control, "before", DAYS)


def variance_factors(rng: np.random.Generator, runs: int, rho: float, units: int = 400) -> tuple[float, float]:
    """Variance over runs of CUPED's effect over that of the plain one, and its Monte-Carlo error.

    Both are nearly normal with correlation sqrt(1 - rho**2), so that the logarithm of the factor has the standard
    deviation 2 rho / sqrt(runs).
    """
    effects: list[tuple[float, float]] = []
    while len(effects) < runs:
        world = with_covariates(rng, min(200, runs - len(effects)), (units, units), rho=rho, effect=0.2)
        for treated, control in world.arms():
            found = cuped(treated, control, ["x1", "x2"])
            effects.append((found.effect or 0.0, found.settings["effect_unadjusted"]))
    adjusted, plain = np.array(effects).var(axis=0, ddof=1)
    factor = float(adjusted / plain)
    return factor, factor * 2 * rho / float(np.sqrt(runs))
