"""Life tables: when units had the event, or were last seen without it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


@dataclass(frozen=True, slots=True)
class LifeTable:
    """Exits from the risk of the event, by time since exposure: of one arm, additive over disjoint units.

    times: distinct times in ascending order, in any unit (days, say), at least 0; the end of the interval
    where time is counted in intervals. events, censored: units that had the event then, and units last seen
    then without it. An event precedes a censoring at the same time. Units at risk follow: all that exit at
    that time or later.

    From Postgres, over one row per unit, with the outcome window as the latest time:

        select least(coalesce(event_day, seen_day), %(horizon)s) as time,
            count(*) filter (where event_day <= %(horizon)s) as events,
            count(*) filter (where event_day is null or event_day > %(horizon)s) as censored
        from unit_times group by 1 order by 1

    Raises ValueError where times do not ascend, are negative or not finite, where a count is negative, a time
    has no exit, or the lengths differ.

    >>> LifeTable((1.0, 2.0), (1, 0), (0, 1)) + LifeTable((1.0,), (1,), (0,))
    LifeTable(times=(1.0, 2.0), events=(2, 0), censored=(0, 1))
    """

    times: tuple[float, ...]
    events: tuple[int, ...]
    censored: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.times) == len(self.events) == len(self.censored):
            raise ValueError(f"times, events and censored differ in length: {self}")
        if not all(math.isfinite(time) and time >= 0 for time in self.times):
            raise ValueError(f"a time is negative or not finite: {self}")
        if any(later <= earlier for earlier, later in zip(self.times, self.times[1:], strict=False)):
            raise ValueError(f"times must ascend: {self}")
        if any(min(exits) < 0 or sum(exits) == 0 for exits in zip(self.events, self.censored, strict=True)):
            raise ValueError(f"a count is negative, or a time has no exit: {self}")

    @classmethod
    def empty(cls) -> LifeTable:
        """The table of no unit at all: the neutral element of `+`."""
        return cls((), (), ())

    @classmethod
    def from_arrays(cls, durations: ArrayLike, observed: ArrayLike) -> LifeTable:
        """From time to exit, shape (n,), and whether that was the event (else a censoring), shape (n,)."""
        exits, is_event = np.asarray(durations, dtype=np.float64), np.asarray(observed, dtype=np.bool_)
        if exits.ndim != 1 or exits.shape != is_event.shape:
            raise ValueError(f"durations and observed must be of one shape (n,): {exits.shape} and {is_event.shape}")
        times, place, leaving = np.unique(exits, return_inverse=True, return_counts=True)
        events = np.bincount(place, is_event, minlength=times.size).astype(np.int64)
        return cls(tuple(times.tolist()), tuple(events.tolist()), tuple((leaving - events).tolist()))

    def __add__(self, other: LifeTable) -> LifeTable:
        """The table of two disjoint sets of units together."""
        exits: dict[float, tuple[int, int]] = {}
        for table in (self, other):
            for time, events, censored in zip(table.times, table.events, table.censored, strict=True):
                before = exits.get(time, (0, 0))
                exits[time] = (before[0] + events, before[1] + censored)
        rows = sorted(exits.items())
        return LifeTable(
            tuple(time for time, _ in rows), tuple(each[0] for _, each in rows), tuple(each[1] for _, each in rows)
        )

    @property
    def units(self) -> int:
        """Number of units."""
        return sum(self.events) + sum(self.censored)

    def at_risk(self, times: NDArray[np.float64]) -> NDArray[np.int64]:
        """Units that exit at each of the times or later, shape of times."""
        leaving = np.array(self.events, dtype=np.int64) + np.array(self.censored, dtype=np.int64)
        gone = np.concatenate(([0], np.cumsum(leaving)))
        return np.asarray(self.units - gone[np.searchsorted(np.array(self.times), times)])


@dataclass(frozen=True, slots=True)
class SurvivalEstimate:
    """What one arm's table says up to a horizon.

    event_probability: of an event by the horizon. restricted_mean: expected time without the event within the
    horizon, in the unit of time. *_variance: of these two estimates. events: up to the horizon.
    at_risk: units still at risk at the horizon.
    """

    event_probability: float
    event_probability_variance: float
    restricted_mean: float
    restricted_mean_variance: float
    events: int
    at_risk: int


def observed_until(table: LifeTable) -> float:
    """The longest horizon the table supports: its last time, or any where every unit has had the event.

    Kaplan-Meier drops to zero where the last unit at risk has the event, and some software reads that as
    "nobody is left for all time to come"; after earlier censorings it says little more than who came last.
    """
    if not table.times:
        return 0.0
    return table.times[-1] if any(table.censored) else math.inf


def survival_estimate(table: LifeTable, horizon: float) -> SurvivalEstimate | None:
    """Kaplan-Meier estimates up to a horizon, with the variances of Greenwood (1926).

    S(t) is the product of 1 - d / n over event times up to t (Kaplan & Meier 1958), with d events of n units
    at risk. Var S = S**2 sum g with g = d / (n (n - d)). The restricted mean is the area under S from 0 to the
    horizon; its variance is the sum of A**2 g, A being the area from the event time to the horizon (Klein &
    Moeschberger 2003, eq. 4.5.3; Royston & Parmar 2013). Both variances carry the factor N / (N - 1), so that
    without censoring they are exactly the sample variance of a mean over units (divisor N - 1).

    None where the table does not reach the horizon (see `observed_until`), and below two units.

    >>> estimate = survival_estimate(LifeTable((1.0, 2.0, 3.0), (1, 1, 0), (0, 1, 1)), horizon=3.0)
    >>> estimate.event_probability, estimate.restricted_mean
    (0.5, 2.25)
    """
    units = table.units
    if units < 2 or horizon > observed_until(table):
        return None
    times, events = np.array(table.times), np.array(table.events)
    happens = (events > 0) & (times <= horizon)
    times, events = times[happens], events[happens]
    at_risk = table.at_risk(times)
    survival = np.cumprod((at_risk - events) / at_risk)
    # A step down to zero leaves no area, and no variance, behind it.
    remaining = at_risk - events
    hazard_variance = np.divide(events, at_risk * remaining, out=np.zeros(times.size), where=remaining > 0)
    areas = survival * np.diff(np.append(times, horizon))
    areas_from = np.cumsum(areas[::-1])[::-1]
    at_end = float(survival[-1]) if times.size else 1.0
    correction = units / (units - 1)
    return SurvivalEstimate(
        event_probability=1 - at_end,
        event_probability_variance=correction * at_end**2 * float(hazard_variance.sum()),
        restricted_mean=float(times[0] + areas.sum()) if times.size else horizon,
        restricted_mean_variance=correction * float((areas_from**2 * hazard_variance).sum()),
        events=int(events.sum()),
        at_risk=int(table.at_risk(np.array([horizon]))[0]),
    )


def log_rank_p_value(treated: LifeTable, control: LifeTable, *, horizon: float = math.inf) -> float | None:
    """Two-sided p-value of the log-rank test of equal hazards, on events up to the horizon.

    Observed less expected events of the treated, over the sum of hypergeometric variances (Mantel 1966);
    squared, it is compared with chi-square of one degree of freedom. None where no event can tell: none
    happened while both arms were at risk.
    """
    event_times = sorted(
        {time for arm in (treated, control) for time, d in zip(arm.times, arm.events, strict=True) if d}
    )
    times = np.array([time for time in event_times if time <= horizon])
    if times.size == 0:
        return None
    n_treated, n_control = (arm.at_risk(times).astype(np.float64) for arm in (treated, control))
    d_treated, d_control = (_events_at(arm, times) for arm in (treated, control))
    n, d = n_treated + n_control, d_treated + d_control
    variance = float((d * (n_treated / n) * (n_control / n) * (n - d) / np.maximum(n - 1, 1)).sum())
    if variance == 0:
        return None
    surplus = float((d_treated - d * n_treated / n).sum())
    return float(stats.chi2.sf(surplus**2 / variance, 1))


def _events_at(table: LifeTable, times: NDArray[np.float64]) -> NDArray[np.float64]:
    by_time = dict(zip(table.times, table.events, strict=True))
    return np.array([by_time.get(time, 0) for time in times.tolist()], dtype=np.float64)
