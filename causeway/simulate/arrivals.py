"""When things happen: seasonal Poisson arrivals, drawn for all units at once and with known expectations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

Days = NDArray[np.float64]
"""Points in time as days since the start of the world."""


@dataclass(frozen=True)
class Season:
    """How busy each day is: `cumulative[d]` is the intensity before day d, with a mean of 1 per day."""

    cumulative: NDArray[np.float64]

    @classmethod
    def of_year(cls, start: date, days: int, *, amplitude: float, peak_day: float, weekend: float) -> Season:
        """A yearly cosine with its top at `peak_day` (days since start), times a factor for weekends."""
        day = np.arange(days)
        yearly: NDArray[np.float64] = 1 + amplitude * np.cos(2 * np.pi * (day + 0.5 - peak_day) / 365.25)
        intensity = yearly * np.where((day + start.weekday()) % 7 >= 5, weekend, 1.0)
        return cls(np.concatenate([[0.0], np.cumsum(intensity / intensity.mean())]))

    @property
    def days(self) -> float:
        """Length of the horizon."""
        return float(len(self.cumulative) - 1)

    def mass(self, begin: Days, end: Days) -> NDArray[np.float64]:
        """Intensity between two points in time: the number of average days that lie between them."""
        return self._mass_before(end) - self._mass_before(begin)

    def draw(self, rng: np.random.Generator, begin: Days, end: Days) -> Days:
        """One point in time for each interval [begin, end), with density proportional to the intensity."""
        low = self._mass_before(begin)
        mass = low + rng.random(len(low)) * (self._mass_before(end) - low)
        # Interpolating forth and back may undershoot `begin` by rounding; no outcome precedes its assignment.
        return np.maximum(np.interp(mass, self.cumulative, np.arange(len(self.cumulative))), begin)

    def _mass_before(self, at: Days) -> NDArray[np.float64]:
        return np.interp(at, np.arange(len(self.cumulative)), self.cumulative)


@dataclass(frozen=True)
class Arrivals:
    """Events of a process: `unit` is the position of the unit, `day` when it happened; equal lengths."""

    unit: NDArray[np.intp]
    day: Days

    def __add__(self, other: Arrivals) -> Arrivals:
        """Superpose two processes: the sum of independent Poisson processes is one with the summed rate."""
        return Arrivals(np.concatenate([self.unit, other.unit]), np.concatenate([self.day, other.day]))


def arrive(
    counts: np.random.Generator,
    times: np.random.Generator,
    season: Season,
    rate: NDArray[np.float64],
    begin: Days | float = 0.0,
) -> Arrivals:
    """Draw a Poisson process per unit, from `begin` to the end of the season.

    rate: expected events per average day, shape (n,). The expected count of unit i between a and b (both
    after `begin`) is rate[i] * season.mass(a, b).
    """
    begins = np.broadcast_to(np.asarray(begin, dtype=np.float64), rate.shape)
    ends = np.full(rate.shape, season.days)
    number = counts.poisson(rate * season.mass(begins, ends))
    unit = np.repeat(np.arange(len(rate)), number)
    return Arrivals(unit, season.draw(times, begins[unit], ends[unit]))
