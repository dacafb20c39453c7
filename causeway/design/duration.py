"""How long an experiment has to run: how many units a past like this one brings, day by day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

DurationStatus = Literal["ok", "not_reached", "too_short_history"]

WEEK = 7
CONFIDENCE = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class ActivityHistory:
    """Units that were seen per day, by how long each had not been seen before.

    first_day: the day of row 0. counts: shape (days, gaps), whole numbers; counts[d, 0] units were seen on day
    d for the first time in the history, counts[d, g] were last seen g days before.

    An experiment that begins on day s enrols on day s + k whoever is seen then and was not seen in the k days
    before: column 0 and all gaps above k. So a unit that comes daily is enrolled on the first day and never
    again, and the curve of a product with loyal users flattens as it does in truth.

    Raises ValueError for another shape, negative counts, or gaps that reach back before the first day.
    """

    first_day: date
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        counts = np.asarray(self.counts)
        if counts.ndim != 2 or not counts.size or (counts < 0).any():
            raise ValueError(f"counts per day and gap are wanted, none below 0: shape {counts.shape}")
        day, gap = np.nonzero(counts)
        if (gap > day).any():
            raise ValueError("a gap reaches back before the first day of the history")

    @classmethod
    def of_new_units(cls, first_day: date, new_units: ArrayLike) -> ActivityHistory:
        """A history that knows only how many units came for the first time, and nothing of returns."""
        return cls(first_day, np.asarray(new_units, dtype=np.int64).reshape(-1, 1))

    @classmethod
    def of_visits(cls, first_day: date, unit: ArrayLike, day: ArrayLike, *, days: int) -> ActivityHistory:
        """From visits: the unit (any whole number) and the day, counted from 0 for `first_day`, of each.

        >>> ActivityHistory.of_visits(date(2024, 1, 1), [1, 1, 2], [0, 2, 2], days=3).counts.tolist()
        [[1, 0, 0], [0, 0, 0], [1, 0, 1]]
        """
        pairs = np.unique(np.column_stack([np.asarray(unit), np.asarray(day)]).astype(np.int64), axis=0)
        units, when = pairs[:, 0], pairs[:, 1]
        if len(when) and (when.min() < 0 or when.max() >= days):
            raise ValueError(f"a visit lies outside the {days} days of the history")
        gap = np.diff(when, prepend=0)
        gap[np.diff(units, prepend=units[:1] - 1) != 0] = 0
        counts = np.zeros((days, days), dtype=np.int64)
        np.add.at(counts, (when, gap), 1)
        return cls(first_day, counts)

    @property
    def days(self) -> int:
        """Length of the history in days."""
        return len(self.counts)

    def enrolled(self, experiment_day: int) -> NDArray[np.int64]:
        """Units that each day of the history would have enrolled, had it been that day of an experiment.

        Shape (days,). Day 0 is the first day of the experiment. Days with less history behind them than
        `experiment_day` cannot know all returns, and count some units too many.
        """
        returning = self.counts[:, experiment_day + 1 :].sum(axis=1) if experiment_day + 1 < len(self.counts[0]) else 0
        return np.asarray(self.counts[:, 0] + returning, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class EnrolmentCurve:
    """Units enrolled by the end of each day of an experiment.

    first_day: of the experiment. paths: shape (draws, days), cumulative units in each simulated future.
    known_days: days up to which the returns of the history are known; afterwards the curve is too high, because
    units that were seen before the history began are taken for new ones. settings: how it was made.
    """

    first_day: date
    paths: NDArray[np.float64]
    known_days: int
    settings: dict[str, Any] = field(default_factory=dict)

    def units(self, day: int, *, confidence: float = CONFIDENCE) -> tuple[float, float, float]:
        """Median units after `day` days (1 is the first), with the interval that holds `confidence` of futures."""
        tail = (1 - confidence) / 2
        low, middle, high = np.quantile(self.paths[:, day - 1], [tail, 0.5, 1 - tail])
        return float(middle), float(low), float(high)


@dataclass(frozen=True, slots=True)
class Duration:
    """Days until a number of units is enrolled and has been watched for long enough.

    status: "not_reached" where the median future does not get there within the horizon; then `days` is None, as
    is a bound that lies beyond the horizon. last_day: calendar day on which it ends. settings: what it assumed.
    """

    status: DurationStatus
    days: int | None
    days_low: int | None
    days_high: int | None
    last_day: date | None
    settings: dict[str, Any] = field(default_factory=dict)


def enrolment_curve(
    history: ActivityHistory,
    *,
    first_day: date,
    horizon: int = 90,
    coverage: float = 1.0,
    draws: int = 500,
    seed: int = 0,
) -> EnrolmentCurve:
    """Simulate `draws` futures of `horizon` days from past weeks.

    Every future week is a past week drawn at random, its days on their own weekdays, so that weekly seasonality
    and what the days of a week have in common are kept (a block bootstrap: Künsch 1989). For day k of the
    experiment only past days with k days of history behind them are drawn from, as long as there are any; the
    others know too few returns. What no past week shows, such as a trend or a holiday, no future has.

    first_day: of the experiment; it need not follow the history. coverage: share of the units that enter.
    Raises ValueError if a number is out of range or the history is shorter than a week.

    >>> steady = ActivityHistory.of_new_units(date(2024, 1, 1), [10] * 28)
    >>> enrolment_curve(steady, first_day=date(2024, 3, 1), horizon=14, draws=9).units(14)
    (140.0, 140.0, 140.0)
    """
    if history.days < WEEK or horizon < 1 or draws < 1 or not 0 < coverage <= 1:
        raise ValueError(f"a history of a week, a horizon, draws and a coverage in (0, 1] are wanted: {history.days}")
    rng = np.random.default_rng(seed)
    offset = (first_day - history.first_day).days % WEEK
    # Whole past weeks that begin on the weekday of the experiment.
    starts = np.arange(offset, history.days - WEEK + 1, WEEK)
    if not len(starts):  # a week and a bit, cut at the wrong weekday: its days are taken as a circle
        starts = np.array([offset])
    per_day = np.empty((draws, horizon))
    known_days = 0
    for week in range(-(-horizon // WEEK)):
        first, last = week * WEEK, min(horizon, (week + 1) * WEEK)
        fit = starts[starts >= first]
        known_days = last if len(fit) and known_days == first else known_days
        # Without a week that knows all returns, the last one knows most of them.
        chosen = rng.choice(fit if len(fit) else starts[-1:], draws)
        for day in range(first, last):
            place = chosen + day - first
            place = np.where(place < history.days, place, place - WEEK)
            per_day[:, day] = history.enrolled(day)[place]
    paths = coverage * per_day.cumsum(axis=1)
    settings = {"past_weeks": len(starts), "coverage": coverage, "draws": draws, "seed": seed, "horizon": horizon}
    knows_returns = history.counts.shape[1] > 1
    return EnrolmentCurve(first_day, paths, known_days if knows_returns else horizon, settings)


def days_until(curve: EnrolmentCurve, units: float, *, watch_days: int = 0, confidence: float = CONFIDENCE) -> Duration:
    """Days until `units` units are enrolled and the last of them was watched for `watch_days`.

    units: in all variants together. watch_days: the window of the metric, such as 14 for retention after two
    weeks. The interval holds `confidence` of the simulated futures.

    >>> steady = ActivityHistory.of_new_units(date(2024, 1, 1), [10] * 28)
    >>> curve = enrolment_curve(steady, first_day=date(2024, 3, 1), horizon=14, draws=9)
    >>> days_until(curve, 95, watch_days=7).days, days_until(curve, 1_000).status
    (17, 'not_reached')
    """
    reached = curve.paths >= units
    days = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)
    tail = (1 - confidence) / 2
    low, middle, high = np.quantile(days, [tail, 0.5, 1 - tail], method="inverted_cdf")
    settings = {**curve.settings, "units": units, "watch_days": watch_days, "confidence": confidence}
    found = [int(day) + watch_days if np.isfinite(day) else None for day in (middle, low, high)]
    if found[0] is None:
        return Duration("not_reached", None, found[1], found[2], None, settings)
    settings["returns_known"] = found[0] - watch_days <= curve.known_days
    return Duration("ok", found[0], found[1], found[2], curve.first_day + timedelta(days=found[0] - 1), settings)


@dataclass(frozen=True, slots=True)
class ReachableEffect:
    """What can be seen after so many days. units: enrolled and watched long enough; None where nobody was.

    effect: smallest effect at the median number of units; effect_low and effect_high at the most and the
    fewest units of the interval. None where there is no answer yet.
    """

    day: int
    units: float | None
    effect: float | None
    effect_low: float | None
    effect_high: float | None


def reachable_effects(
    curve: EnrolmentCurve,
    smallest: Callable[[float], float | None],
    *,
    watch_days: int = 0,
    days: range | None = None,
    confidence: float = CONFIDENCE,
) -> tuple[ReachableEffect, ...]:
    """The smallest effect that can be seen after each number of days.

    smallest: from the units of all variants together to the smallest effect, absolute or relative as it likes.
    days: which days to answer for; each of the horizon, and of the watch after it, if None.
    """
    horizon = curve.paths.shape[1]
    answers = []
    for day in days or range(1, horizon + watch_days + 1):
        enrolled = min(day - watch_days, horizon)
        if enrolled < 1:
            answers.append(ReachableEffect(day, None, None, None, None))
            continue
        units, fewest, most = curve.units(enrolled, confidence=confidence)
        answers.append(ReachableEffect(day, units, smallest(units), smallest(most), smallest(fewest)))
    return tuple(answers)
