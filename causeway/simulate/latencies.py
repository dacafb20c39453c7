"""Latencies whose quantiles are known: skewed, many a unit, alike within a unit, and rounded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq


@dataclass(frozen=True)
class LatencyModel:
    """log latency = log(median) + b + e, with b ~ N(0, between**2) of the unit and e ~ N(0, within**2) of the event.

    A unit has 1 + Poisson(m) events with log m = log(more_events) + activity * b, so with activity above 0
    slow units are also the busy ones. more_events 0 gives one value a unit.
    median: in milliseconds, of an unweighted unit's event.
    """

    median: float = 300.0
    between: float = 0.0
    within: float = 1.0
    more_events: float = 0.0
    activity: float = 0.0

    def draw(
        self, rng: np.random.Generator, units: int, slowness: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Latencies in milliseconds and the unit, 0 to units - 1, of each; shape (events,).

        slowness: b / between of each unit, standard normal, shape (units,); drawn if it is not given.
        """
        b = self.between * (rng.standard_normal(units) if slowness is None else slowness)
        events = 1 + rng.poisson(self.more_events * np.exp(self.activity * b))
        unit = np.repeat(np.arange(units), events)
        noise = self.within * rng.standard_normal(unit.size)
        return self.median * np.exp(b[unit] + noise), unit

    def share_below(self, latency: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """Expected share of events below a latency.

        Weighting units by exp(activity * b) tilts N(0, between**2) to N(activity * between**2, between**2).
        """
        tilt = self.activity * self.between**2
        first, others = 1.0, self.more_events * math.exp(self.activity * tilt / 2)
        scale = math.hypot(self.between, self.within)
        with np.errstate(divide="ignore"):
            z = np.log(np.asarray(latency, dtype=np.float64) / self.median)
        shares = first * stats.norm.cdf(z / scale) + others * stats.norm.cdf((z - tilt) / scale)
        return np.asarray(shares / (first + others))

    def quantile(self, q: float) -> float:
        """Latency that the share q of all events stays below, in milliseconds."""
        reach = 40 * math.hypot(self.between, self.within) + abs(self.activity) * self.between**2
        found = brentq(lambda z: float(self.share_below(self.median * math.exp(z))) - q, -reach, reach, xtol=1e-13)
        return self.median * math.exp(float(found))

    def rounded(self, grid: float, largest: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values and probabilities of an event's latency rounded to multiples of `grid`, cut at `largest`."""
        values = np.arange(0.0, largest + grid / 2, grid)
        edges = self.share_below(np.append(0.0, values[:-1] + grid / 2))
        return values, np.diff(np.append(edges, 1.0))


def mid_quantile(values: NDArray[np.float64], probabilities: NDArray[np.float64], q: float) -> float:
    """The q-quantile of a discrete distribution by its mid-distribution function; values ascend."""
    middles = np.cumsum(probabilities) - probabilities / 2
    return float(np.interp(q, middles, values))
