"""What every method sees at the end of each day, of many runs at once: effect and standard error without a loop.

The formulas are those of `causeway.statistics`, written for arrays of shape (runs, looks); tests hold each to the
function whose place it takes. Units arrive in equal numbers a day and stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causeway.simulate.metric_worlds import Runs
from causeway.statistics.burn_in import DEFAULT_BURN_IN
from causeway.statistics.ratio import WEAK

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class DailyLooks:
    """n: units of each arm at each look, shape (looks,); effect, std_error: shape (runs, looks).

    seen: where a sequential method gives an answer, shape (runs, looks): past the burn-in, with a variance, and with
    a denominator that is not weak.
    """

    n: NDArray[np.int64]
    effect: Numbers
    std_error: Numbers
    seen: NDArray[np.bool_]

    def z(self, truth: float) -> Numbers:
        """Standardised error of the estimate; 0 at a look that nobody sees."""
        safe = np.where(self.seen, self.std_error, 1.0)
        return np.where(self.seen, (self.effect - truth) / safe, 0.0)


class _Sums:
    """Means and co-moments of the units so far, shape (runs, looks), of an arm's variables."""

    def __init__(self, arm: Runs, n: NDArray[np.int64]) -> None:
        self.n, self.step = n, int(n[0])
        # About a point near the mean, so that nothing is lost to a large one.
        self.centre = {name: float(values.mean()) for name, values in arm.items()}
        self.values = {name: values - self.centre[name] for name, values in arm.items()}
        self.sums = {name: self._so_far(values) for name, values in self.values.items()}

    def mean(self, name: str) -> Numbers:
        return self.centre[name] + self.sums[name] / self.n

    def comoment(self, a: str, b: str) -> Numbers:
        return self._so_far(self.values[a] * self.values[b]) - self.sums[a] * self.sums[b] / self.n

    def _so_far(self, values: Numbers) -> Numbers:
        return np.cumsum(values.reshape(len(values), -1, self.step).sum(axis=2), axis=1)


def _looks(n: NDArray[np.int64], effect: Numbers, variance: Numbers, usable: NDArray[np.bool_] | bool) -> DailyLooks:
    ready = np.array([DEFAULT_BURN_IN.over(int(each), int(each)) for each in n])
    std_error = np.sqrt(np.maximum(variance, 0.0))
    return DailyLooks(n, effect, std_error, ready & (std_error > 0) & usable)


def units_so_far(units: int, days: int) -> NDArray[np.int64]:
    """Units at the end of each day. ValueError unless every day brings as many."""
    if units % days:
        raise ValueError(f"{units} units do not come in equal numbers over {days} days")
    return np.arange(1, days + 1) * (units // days)


def looks_at_means(treated: Runs, control: Runs, days: int) -> DailyLooks:
    """As `difference_in_means`; where there is a "denominator", as `difference_in_ratios`."""
    n = units_so_far(treated["outcome"].shape[1], days)
    arms = [_Outcome.of(arm, n) for arm in (treated, control)]
    return _looks(
        n, arms[0].mean - arms[1].mean, (arms[0].m2 + arms[1].m2) / (n - 1) / n, arms[0].strong & arms[1].strong
    )


def looks_at_adjusted_means(treated: Runs, control: Runs, covariate: str, days: int) -> DailyLooks:
    """As `cuped` with one covariate, of means or of ratios, and so as `adjusted_effect`."""
    n = units_so_far(treated["outcome"].shape[1], days)
    arms = [_Outcome.of(arm, n, covariate) for arm in (treated, control)]
    x, m2_x = [arm.sums.mean(covariate) for arm in arms], [arm.sums.comoment(covariate, covariate) for arm in arms]
    usable = (np.minimum(*m2_x) > 0) & arms[0].strong & arms[1].strong
    safe = [np.where(usable, each, 1.0) for each in m2_x]
    slopes = [arm.with_covariate / m2 for arm, m2 in zip(arms, safe, strict=True)]
    middle = (x[0] + x[1]) / 2
    spread = (m2_x[0] + m2_x[1] + n / 2 * (x[0] - x[1]) ** 2) / (2 * n - 1)
    variance = (slopes[0] - slopes[1]) ** 2 * spread / (2 * n)
    means = []
    for arm, slope, mean_x, m2 in zip(arms, slopes, x, safe, strict=True):
        means.append(arm.mean + slope * (middle - mean_x))
        rss = arm.m2 - slope * arm.with_covariate
        variance = variance + rss / (n - 2) * (1 / n + (middle - mean_x) ** 2 / m2)
    return _looks(n, means[0] - means[1], variance, usable)


@dataclass(frozen=True)
class _Outcome:
    """An arm's outcome, of a ratio linearised as in `causeway.statistics.ratio`; all of shape (runs, looks).

    mean, m2: mean and sum of squares. with_covariate: sum of its products with the covariate.
    strong: where the denominator may be trusted.
    """

    sums: _Sums
    mean: Numbers
    m2: Numbers
    with_covariate: Numbers
    strong: NDArray[np.bool_]

    @classmethod
    def of(cls, arm: Runs, n: NDArray[np.int64], covariate: str | None = None) -> _Outcome:
        names = ["outcome", *(["denominator"] if "denominator" in arm else []), *([covariate] if covariate else [])]
        sums = _Sums({name: arm[name] for name in names}, n)
        mean, m2 = sums.mean("outcome"), sums.comoment("outcome", "outcome")
        with_covariate = sums.comoment("outcome", covariate) if covariate else np.zeros_like(m2)
        if "denominator" not in arm:
            return cls(sums, mean, m2, with_covariate, np.ones(m2.shape, dtype=bool))
        size, size_m2 = sums.mean("denominator"), sums.comoment("denominator", "denominator")
        ratio = mean / size
        m2 = (m2 + ratio**2 * size_m2 - 2 * ratio * sums.comoment("outcome", "denominator")) / size**2
        if covariate:
            with_covariate = (with_covariate - ratio * sums.comoment("denominator", covariate)) / size
        return cls(sums, ratio, m2, with_covariate, size_m2 / (n - 1) / n <= (WEAK * size) ** 2)


def looks_at_quantiles(treated: Numbers, control: Numbers, *, q: float, days: int, critical_value: float) -> DailyLooks:
    """As `quantile_effect` of one value a unit without ties; treated, control: shape (runs, units).

    critical_value: of the two-sided interval, 1.96 at 95 %.
    """
    n = units_so_far(treated.shape[1], days)
    runs = len(treated)
    values, variances = np.zeros((2, runs, days)), np.zeros((2, runs, days))
    usable = np.zeros(days, dtype=bool)
    for look, units in enumerate(n.tolist()):
        levels = _outer_levels(units, q, _sigma_without_ties(units, q), critical_value)
        usable[look] = _inside(units, levels)
        if not usable[look]:
            continue
        for arm, values_of_arm in enumerate((treated, control)):
            ordered = np.sort(values_of_arm[:, :units], axis=1)
            low, at, high = (_hazen(ordered, units * level) for level in (levels[0], q, levels[1]))
            values[arm, :, look], variances[arm, :, look] = at, ((high - low) / (2 * critical_value)) ** 2
    return _looks(n, values[0] - values[1], variances[0] + variances[1], usable)


def looks_at_event_quantiles(
    treated: Sequence[tuple[Numbers, NDArray[np.int64]]],
    control: Sequence[tuple[Numbers, NDArray[np.int64]]],
    *,
    q: float,
    units: int,
    days: int,
    critical_value: float,
) -> DailyLooks:
    """As `quantile_effect` of all events without ties; treated, control: values and units of each run's events."""
    n = units_so_far(units, days)
    values, variances = np.zeros((2, len(treated), days)), np.full((2, len(treated), days), np.nan)
    for arm, runs in enumerate((treated, control)):
        for run, (latencies, unit) in enumerate(runs):
            order = np.argsort(latencies)
            ordered, owner, events = latencies[order], unit[order], np.bincount(unit, minlength=units)
            for look, reached in enumerate(n.tolist()):
                here = owner < reached
                found = _event_quantile(ordered[here], owner[here], events[:reached], q, critical_value)
                if found is not None:
                    values[arm, run, look], variances[arm, run, look] = found
    variance = variances.sum(axis=0)
    usable = np.isfinite(variance)
    return _looks(n, values[0] - values[1], np.where(usable, variance, 0.0), usable)


def _event_quantile(
    ordered: Numbers, owner: NDArray[np.int64], events: NDArray[np.int64], q: float, critical_value: float
) -> tuple[float, float] | None:
    """Quantile of all events and its variance, by units; None where its interval leaves the sample."""
    size = len(ordered)
    position = size * q - 0.5
    low = int(position)
    if low + 1 >= size:
        return None
    share = position - low
    below = np.bincount(owner[:low], minlength=len(events)).astype(np.float64)
    below[owner[low]] += (1 + share) / 2
    below[owner[low + 1]] += share / 2
    residuals = below - q * events
    sigma = float(np.sqrt(len(events) / (len(events) - 1) * (residuals @ residuals) / size))
    levels = _outer_levels(size, q, sigma, critical_value)
    if not _inside(size, levels):
        return None
    first, at, last = (float(_hazen(ordered, size * level)) for level in (levels[0], q, levels[1]))
    return at, ((last - first) / (2 * critical_value)) ** 2


def _sigma_without_ties(n: int, q: float) -> float:
    position = n * q - 0.5
    low = int(position)
    share = position - low
    at_low, at_high = (1 + share) / 2, share / 2
    squares = low * (1 - q) ** 2 + (at_low - q) ** 2 + (at_high - q) ** 2 + (n - low - 2) * q**2
    return float(np.sqrt(n / (n - 1) * squares / n))


def _outer_levels(n: int, q: float, sigma: float, critical_value: float) -> tuple[float, float]:
    reach = critical_value * sigma / np.sqrt(n)
    return q - reach, q + reach


def _inside(n: int, levels: tuple[float, float]) -> bool:
    return n * levels[0] >= 0.5 and n * levels[1] < n - 0.5


def _hazen(ordered: Numbers, position: float) -> Numbers:
    """Between the middles of neighbouring order statistics along the last axis."""
    low = int(position - 0.5)
    share = position - 0.5 - low
    return np.asarray((1 - share) * ordered[..., low] + share * ordered[..., low + 1])


def exits_by_day(days_to_event: Numbers, per_day: int, horizon: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Events and censored units at 1 to horizon days since exposure, as known at each look, (runs, looks, horizon).

    days_to_event: whole days, shape (runs, units), units in order of exposure, `per_day` of them at the start of each
    day. Those without the event are last seen at the end of the look's day, or leave the window at the horizon.
    """
    runs, units = days_to_event.shape
    days = units // per_day
    by_day = days_to_event.reshape(runs, days, per_day)
    # Of those exposed on a day, how many have the event on each day since: shape (runs, exposed, horizon).
    fresh = np.stack([(by_day == day).sum(axis=2) for day in range(1, horizon + 1)], axis=2)
    events, censored = np.zeros((2, runs, days, horizon), dtype=np.int64)
    without = per_day - np.cumsum(fresh, axis=2)
    for look in range(days):
        for day in range(1, horizon + 1):
            if day <= look + 1:
                # Exposed early enough to have been seen on that day.
                events[:, look, day - 1] = fresh[:, : look + 2 - day, day - 1].sum(axis=1)
                last = slice(0, look + 2 - day) if day == horizon else slice(look + 1 - day, look + 2 - day)
                censored[:, look, day - 1] = without[:, last, day - 1].sum(axis=1)
    return events, censored


def looks_at_restricted_means(treated: Numbers, control: Numbers, days: int, horizon: int) -> DailyLooks:
    """As `restricted_mean_effect`; treated, control: whole days to the event, shape (runs, units)."""
    n = units_so_far(treated.shape[1], days)
    followed = np.arange(1, days + 1) >= horizon
    means, variances = [], []
    for arm in (treated, control):
        events, censored = exits_by_day(arm, int(n[0]), horizon)
        leaving = events + censored
        at_risk = n[:, None] - np.cumsum(leaving, axis=2) + leaving
        left = at_risk - events
        survival = np.cumprod(np.where(at_risk > 0, left / np.maximum(at_risk, 1), 1.0), axis=2)
        # Survival holds from each day to the next: 1 on the first day, and the last one leads out of the window.
        lived = np.concatenate([np.ones_like(survival[:, :, :1]), survival[:, :, :-1]], axis=2)
        ahead = np.cumsum(lived[:, :, ::-1], axis=2)[:, :, ::-1]
        area_from = np.concatenate([ahead[:, :, 1:], np.zeros_like(ahead[:, :, :1])], axis=2)
        hazard_variance = np.where(left > 0, events / np.maximum(at_risk * left, 1), 0.0)
        means.append(lived.sum(axis=2))
        variances.append(n / (n - 1) * (area_from**2 * hazard_variance).sum(axis=2))
    return _looks(n, means[0] - means[1], variances[0] + variances[1], followed)
