"""Times to an event whose restricted mean is known, cut off by the end of the experiment and by leaving."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, ndtr


@dataclass(frozen=True)
class DurationModel:
    """Days to the event: never for the share `never`, else Weibull with `scale` days and `shape`.

    Exposure is uniform over `enrolment` days before the day of analysis, shifted by `followed` days that
    everybody has: a unit exposed x days ago is censored at x. Besides, units leave at the rate `leaving` a day.
    """

    scale: float = 10.0
    shape: float = 0.8
    never: float = 0.3
    enrolment: float = 28.0
    followed: float = 0.0
    leaving: float = 0.0

    def draw(self, rng: np.random.Generator, units: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Days to the event or to censoring, and whether it was the event; shape (units,)."""
        days = self.scale * rng.weibull(self.shape, units)
        days[rng.random(units) < self.never] = math.inf
        censoring = self.followed + self.enrolment * rng.random(units)
        if self.leaving > 0:
            censoring = np.minimum(censoring, rng.exponential(1 / self.leaving, units))
        return np.minimum(days, censoring), days <= censoring

    def draw_whole_days(
        self, rng: np.random.Generator, shape: tuple[int, ...], factor: float = 1.0
    ) -> NDArray[np.float64]:
        """Days to the event, rounded up to whole ones, infinite for never; without any censoring.

        factor: on the days, before they are rounded.
        """
        days = np.ceil(factor * self.scale * rng.weibull(self.shape, shape))
        days[rng.random(shape) < self.never] = math.inf
        return days

    def whole_days_of(self, activity: NDArray[np.float64], factor: float = 1.0) -> NDArray[np.float64]:
        """As `draw_whole_days` of units with these standard normal activities: the higher, the later."""
        share = ndtr(activity) / (1 - self.never)
        days = np.full(activity.shape, math.inf)
        soon = share < 1
        days[soon] = np.ceil(factor * self.scale * (-np.log1p(-share[soon])) ** (1 / self.shape))
        return days

    def restricted_mean_in_whole_days(self, horizon: int, factor: float = 1.0) -> float:
        """Expected days without the event within the horizon, of `draw_whole_days`: the sum of S(0 .. h - 1)."""
        return math.fsum(1 - self.event_probability(day / factor) for day in range(horizon))

    def event_probability(self, horizon: float) -> float:
        """Probability of the event by the horizon (days)."""
        return (1 - self.never) * -math.expm1(-((horizon / self.scale) ** self.shape))

    def restricted_mean(self, horizon: float) -> float:
        """Expected days without the event within the horizon.

        The integral of exp(-(t / scale)**shape) from 0 to h is scale * Gamma(1 + 1 / shape) * P(1 / shape,
        (h / scale)**shape), with P the regularised lower incomplete gamma function.
        """
        whole = self.scale * math.gamma(1 + 1 / self.shape)
        part = whole * float(gammainc(1 / self.shape, (horizon / self.scale) ** self.shape))
        return self.never * horizon + (1 - self.never) * part
