"""Time to an event within a window: did the treatment bring it nearer, or keep it away?

The headline of a metric of type time_to_event is the difference of restricted mean survival times: by how much
time, within the window, a treated unit stays longer without the event. For a good event (the first purchase) an
improvement is negative, for a bad one (churn) it is positive. It needs no proportional hazards, it has the unit
of time, and units that are not yet observed for the whole window count for as long as they were.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causeway.statistics.cluster_influence import ClusterInfluence, with_clusters
from causeway.statistics.comparison import EstimatedMean, check_alpha, compare_means, satterthwaite_df
from causeway.statistics.effect import Effect, Status
from causeway.statistics.life_table import (
    LifeTable,
    SurvivalEstimate,
    log_rank_p_value,
    observed_until,
    survival_estimate,
)


def restricted_mean_effect(treated: LifeTable, control: LifeTable, *, horizon: float, alpha: float = 0.05) -> Effect:
    """Restricted mean survival time within the horizon, treated minus control (Royston & Parmar 2013).

    The area between the two Kaplan-Meier curves from 0 to the horizon. Censoring must be independent of the
    event: an experiment that is still running, which censors by the day of exposure, is such a case.

    treated, control: life tables of the arms. horizon: the window, in the tables' unit of time.
    alpha: error rate of the two-sided interval. Raises ValueError unless it lies between 0 and 1, and for a
    horizon that is not positive and finite.
    `mean` and `mean_control` are the restricted means; the interval is a t interval with Satterthwaite's
    degrees of freedom from units - 1, so that without censoring the result is `difference_in_means` of
    min(time to event, horizon).
    Statuses: no_units; too_few_units (an arm of one unit); not_estimable (nobody of an arm has been followed
    to the horizon: settings.observed_until is the longest one possible); zero_variance (no event in either
    arm).
    settings: events and units at risk at the horizon by arm, event probabilities by the horizon, and the
    log-rank test's p-value on the same events (information: it tests another hypothesis, equal hazards).

    >>> early, late = (LifeTable.from_arrays(days, [True] * 4) for days in ([1, 2, 3, 4], [2, 4, 6, 9]))
    >>> found = restricted_mean_effect(late, early, horizon=7)
    >>> found.effect, round(found.std_error, 3)
    (2.25, 1.283)
    """
    estimates = _estimates(treated, control, horizon, alpha, "restricted_mean_survival_time")
    if isinstance(estimates, Effect):
        return estimates
    ours, theirs, settings = estimates
    return _compare(
        EstimatedMean(treated.units, ours.restricted_mean, ours.restricted_mean_variance),
        EstimatedMean(control.units, theirs.restricted_mean, theirs.restricted_mean_variance),
        alpha,
        settings,
    )


def restricted_mean_influence(durations: ArrayLike, observed: ArrayLike, horizon: float) -> NDArray[np.float64]:
    """What each unit of an arm contributes to the error of its restricted mean, shape (n,).

    The martingale form: with the area A(t) under Kaplan-Meier from t to the horizon and Y(t) at risk, a unit that has
    the event at t contributes -A(t) / (Y(t) - d(t)) if others remain, and each unit A(t) d(t) / (Y(t) (Y(t) - d(t)))
    for every event time t up to its own exit (Andersen, Borgan, Gill & Keiding 1993, section IV.3, in discrete time).
    They sum to zero, and without censoring they are (min(duration, horizon) - restricted mean) / n. Summed by cluster
    and squared they give the variance if units are alike within clusters.

    >>> restricted_mean_influence([1.0, 2.0, 3.0, 9.0], [True] * 4, horizon=4).tolist()
    [-0.375, -0.125, 0.125, 0.375]
    """
    exits, is_event = np.asarray(durations, dtype=np.float64), np.asarray(observed, dtype=bool)
    times = np.unique(exits[is_event & (exits <= horizon)])
    if times.size == 0:
        return np.zeros(exits.shape)
    place = np.searchsorted(times, exits)
    happened = is_event & (exits <= horizon)
    events = np.bincount(place[happened], minlength=times.size).astype(np.float64)
    at_risk = len(exits) - np.searchsorted(np.sort(exits), times).astype(np.float64)
    survival = np.cumprod((at_risk - events) / at_risk)
    areas = survival * np.diff(np.append(times, horizon))
    areas_from = np.cumsum(areas[::-1])[::-1]
    remaining = at_risk - events
    per_event = np.divide(areas_from, remaining, out=np.zeros(times.size), where=remaining > 0)
    compensator = np.concatenate([[0.0], np.cumsum(per_event * events / at_risk)])
    reached = compensator[np.searchsorted(times, exits, side="right")]
    return reached - np.where(happened, per_event[np.minimum(place, times.size - 1)], 0.0)


Exits = tuple[ArrayLike, ArrayLike, ArrayLike]
"""Durations, whether the event was observed at their end, and clusters of an arm's units, each (n,)."""


def clustered_restricted_mean_effect(treated: Exits, control: Exits, *, horizon: float, alpha: float = 0.05) -> Effect:
    """`restricted_mean_effect` where units of a cluster are alike and clusters may span the arms: `with_clusters`."""
    arms = [tuple(np.asarray(column) for column in arm) for arm in (treated, control)]
    tables = [LifeTable.from_arrays(durations, observed) for durations, observed, _ in arms]
    effect = restricted_mean_effect(*tables, horizon=horizon, alpha=alpha)
    influences = [restricted_mean_influence(durations, observed, horizon) for durations, observed, _ in arms]
    n, n_control = (len(arm[0]) for arm in arms)
    found = ClusterInfluence.from_arrays(
        np.concatenate([arm[2] for arm in arms]),
        np.repeat([True, False], [n, n_control]),
        np.concatenate([influences[0], np.zeros(n_control)]),
        np.concatenate([np.zeros(n), influences[1]]),
    )
    return with_clusters(effect, found, alpha=alpha)


def event_probability_effect(treated: LifeTable, control: LifeTable, *, horizon: float, alpha: float = 0.05) -> Effect:
    """Probability of the event by the horizon, treated minus control: one less Kaplan-Meier survival.

    Variance of Greenwood (1926). Arguments, statuses and settings as in `restricted_mean_effect`; without
    censoring it is `difference_in_means` of "the event came by the horizon".
    zero_variance also where every unit of both arms has had the event.

    >>> early, late = (LifeTable.from_arrays(days, [True] * 4) for days in ([1, 2, 3, 4], [2, 4, 6, 9]))
    >>> event_probability_effect(late, early, horizon=3).effect
    -0.5
    """
    estimates = _estimates(treated, control, horizon, alpha, "event_probability")
    if isinstance(estimates, Effect):
        return estimates
    ours, theirs, settings = estimates
    return _compare(
        EstimatedMean(treated.units, ours.event_probability, ours.event_probability_variance),
        EstimatedMean(control.units, theirs.event_probability, theirs.event_probability_variance),
        alpha,
        settings,
    )


def _estimates(
    treated: LifeTable, control: LifeTable, horizon: float, alpha: float, estimand: str
) -> tuple[SurvivalEstimate, SurvivalEstimate, dict[str, Any]] | Effect:
    """Both arms' estimates and what was done, or why there are none."""
    check_alpha(alpha)
    if not 0 < horizon < math.inf:
        raise ValueError(f"a horizon must be positive and finite: {horizon}")
    settings: dict[str, Any] = {"estimand": estimand, "horizon": horizon}
    smallest = min(treated.units, control.units)
    if smallest < 2:
        status: Status = "no_units" if smallest == 0 else "too_few_units"
        return _undefined(status, treated, control, settings | {"alpha": alpha})
    ours, theirs = survival_estimate(treated, horizon), survival_estimate(control, horizon)
    if ours is None or theirs is None:
        # An arm without any censoring would have an estimate, so the smaller of the two is finite.
        longest = min(observed_until(treated), observed_until(control))
        reason = f"followed until {longest:g}, not to the horizon"
        settings |= {"alpha": alpha, "observed_until": longest, "reason": reason}
        return _undefined("not_estimable", treated, control, settings)
    return (
        ours,
        theirs,
        settings
        | {
            "variance": "greenwood",
            "events": ours.events,
            "events_control": theirs.events,
            "at_risk_at_horizon": ours.at_risk,
            "at_risk_at_horizon_control": theirs.at_risk,
            "event_probability": ours.event_probability,
            "event_probability_control": theirs.event_probability,
            "log_rank_p_value": log_rank_p_value(treated, control, horizon=horizon),
        },
    )


def _compare(treated: EstimatedMean, control: EstimatedMean, alpha: float, settings: dict[str, Any]) -> Effect:
    variance = treated.variance + control.variance
    if variance == 0:
        both = {"alpha": alpha, "reason": "no variation between units"}
        return Effect("zero_variance", treated.n, control.n, treated.value, control.value, settings=settings | both)
    return compare_means(
        treated,
        control,
        std_error=math.sqrt(variance),
        df=satterthwaite_df((treated.variance, treated.n - 1), (control.variance, control.n - 1)),
        alpha=alpha,
        settings=settings,
    )


def _undefined(status: Status, treated: LifeTable, control: LifeTable, settings: dict[str, Any]) -> Effect:
    return Effect(status, treated.units, control.units, settings=settings)
