"""Power of a comparison that is looked at more than once, by simulating its path against the method's own boundary."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causeway.design.baseline import Baseline
from causeway.design.comparison import Comparison
from causeway.design.power import DesignStatus, PowerAnswer, distances, sample_size

MOST_GROWTH = 2.0**30
PRECISION = 1e-5


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a running experiment.

    fraction: share of the planned units that are in, in (0, 1]. n: units in both arms together.
    std_error: of the difference at this look, in the units of the metric.
    """

    fraction: float
    n: float
    std_error: float


Boundary = Callable[[Look], float]
"""Critical value at a look, in standard errors: beyond it the difference counts as seen."""

Interval = Callable[[float, float, float], tuple[float, float]]
"""interval(effect, std_error, n) -> (low, high), as the always-valid methods give it."""


def boundary_of(interval: Interval) -> Boundary:
    """The boundary of a method known by its interval.

    The interval must be the effect plus and minus a half-width that does not depend on the effect, as a
    confidence sequence for a mean is.

    >>> fixed = boundary_of(lambda effect, std_error, n: (effect - 1.96 * std_error, effect + 1.96 * std_error))
    >>> fixed(Look(1.0, 100.0, 0.5))
    1.96
    """

    def critical_value(look: Look) -> float:
        return interval(0.0, look.std_error, look.n)[1] / look.std_error

    return critical_value


@dataclass(frozen=True, slots=True)
class SequentialDesign:
    """Looks and the boundary at each, with the seeded paths that all questions are answered with.

    boundary: the method's own critical value at a look, for alpha and sides of the comparison that is asked
    about. fractions: shares of the planned units at the looks, ascending and ending at 1.
    paths: simulated Brownian paths; the Monte-Carlo error of a power p is sqrt(p (1 - p) / paths).

    The same paths serve every effect and size, so that a larger effect never has less power by chance.

    >>> daily = SequentialDesign(lambda look: 2.413, [0.2, 0.4, 0.6, 0.8, 1.0])  # Pocock, five looks, 5 %
    >>> round(daily.crossing_share(drift=0.0, sides=2), 2)
    0.05
    """

    boundary: Boundary
    fractions: Sequence[float]
    paths: int = 20_000
    seed: int = 0
    _z: NDArray[np.float64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        steps = np.diff(np.array([0.0, *self.fractions]))
        if not len(self.fractions) or (steps <= 0).any() or not math.isclose(self.fractions[-1], 1.0):
            raise ValueError(f"the looks' fractions must rise from above 0 to 1: {list(self.fractions)}")
        rng = np.random.default_rng(self.seed)
        brownian = (rng.standard_normal((self.paths, steps.size)) * np.sqrt(steps)).cumsum(axis=1)
        object.__setattr__(self, "_z", brownian / np.sqrt(np.array(self.fractions)))

    def crossing_share(self, *, drift: float, sides: int, n: float = 1.0, std_error: float = 1.0) -> float:
        """Share of the paths that cross the boundary at some look.

        drift: distance from the null hypothesis in standard errors of the last look, in the wanted direction.
        sides: 1 counts crossings in the wanted direction, 2 those on either side. n, std_error: of the last
        look, for boundaries that depend on them.
        """
        root = np.sqrt(np.array(self.fractions))
        limits = np.array(
            [self.boundary(Look(f, f * n, std_error / math.sqrt(f))) for f in self.fractions], dtype=np.float64
        )
        at_looks = self._z + drift * root
        seen = at_looks > limits if sides == 1 else np.abs(at_looks) > limits
        return float(seen.any(axis=1).mean())

    def power(
        self, baseline: Baseline, comparison: Comparison, *, effect: float, n_treated: float, n_control: float
    ) -> PowerAnswer:
        """The chance to see a true absolute effect at some look, with so many units at the last one."""
        status = _obstacle(baseline, n_treated, n_control)
        chance = None if status != "ok" else self._chance(baseline, comparison, effect, n_treated, n_control)
        if status == "ok" and chance is None:
            status = "not_reachable"
        return self._answer(
            status, baseline, comparison, power=chance, effect=effect, n_treated=n_treated, n_control=n_control
        )

    def minimum_detectable_effect(
        self,
        baseline: Baseline,
        comparison: Comparison,
        *,
        n_treated: float,
        n_control: float,
        power: float = 0.8,
    ) -> PowerAnswer:
        """The smallest true effect, in the wanted direction, that is seen at some look with the chance `power`."""
        status, effect = _obstacle(baseline, n_treated, n_control), None
        if status == "ok":

            def effect_at(distance: float) -> float:
                return comparison.sign * (distance - comparison.margin)

            def enough(distance: float) -> bool:
                chance = self._chance(baseline, comparison, effect_at(distance), n_treated, n_control)
                return (chance or 0.0) >= power

            lowest, highest = distances(baseline, comparison, n_treated, n_control)
            plain = comparison.standard_error(baseline, 0.0, n_treated, n_control) or 0.0
            distance = _least(enough, 3 * plain, lowest, highest)
            effect = None if distance is None else effect_at(distance)
            status = "ok" if effect is not None else "not_reachable"
        reached = power if effect is not None else None
        return self._answer(
            status, baseline, comparison, power=reached, effect=effect, n_treated=n_treated, n_control=n_control
        )

    def sample_size(
        self, baseline: Baseline, comparison: Comparison, *, effect: float, power: float = 0.8
    ) -> PowerAnswer:
        """The fewest planned units with which a true effect is seen at some look with the chance `power`.

        `settings["inflation"]` is this number over that of a single look at the end.
        """
        single = sample_size(baseline, comparison, effect=effect, power=power)
        if single.status != "ok":
            return self._answer(
                single.status, baseline, comparison, power=None, effect=effect, n_treated=None, n_control=None
            )
        start = float(single.settings["exact_n_control"])

        def enough(n_control: float) -> bool:
            n_treated = comparison.allocation * n_control
            return (self._chance(baseline, comparison, effect, n_treated, n_control) or 0.0) >= power

        exact = _least(enough, start, start / MOST_GROWTH, MOST_GROWTH * start)
        if exact is None:
            return self._answer(
                "not_reachable", baseline, comparison, power=None, effect=effect, n_treated=None, n_control=None
            )
        n_treated, n_control = float(math.ceil(comparison.allocation * exact)), float(math.ceil(exact))
        answer = self.power(baseline, comparison, effect=effect, n_treated=n_treated, n_control=n_control)
        answer.settings["inflation"] = exact / start
        return answer

    def _chance(
        self, baseline: Baseline, comparison: Comparison, effect: float, n_treated: float, n_control: float
    ) -> float | None:
        std_error = comparison.standard_error(baseline, effect, n_treated, n_control)
        if std_error is None:
            return None
        drift = comparison.distance(effect) / std_error
        return self.crossing_share(drift=drift, sides=comparison.sides, n=n_treated + n_control, std_error=std_error)

    def _answer(
        self,
        status: DesignStatus,
        baseline: Baseline,
        comparison: Comparison,
        *,
        power: float | None,
        effect: float | None,
        n_treated: float | None,
        n_control: float | None,
    ) -> PowerAnswer:
        settings: dict[str, Any] = {
            **comparison.settings(),
            "method": "simulated paths",
            "looks": len(self.fractions),
            "paths": self.paths,
            "seed": self.seed,
        }
        if power is not None:
            settings["mc_error"] = math.sqrt(power * (1 - power) / self.paths)
        relative = None if effect is None else baseline.relative(effect)
        return PowerAnswer(status, power, effect, relative, n_treated, n_control, settings)


def _obstacle(baseline: Baseline, n_treated: float, n_control: float) -> DesignStatus:
    if baseline.variance is None or min(n_treated, n_control) < 2:
        return "too_few_units"
    return "zero_variance" if baseline.variance == 0 else "ok"


def _least(enough: Callable[[float], bool], guess: float, lowest: float, highest: float) -> float | None:
    """The least number in [lowest, highest] that is enough, to a relative 1e-5; None if none is."""
    low = high = min(max(guess, lowest), highest)
    while enough(low):
        if low <= lowest:
            return lowest
        low, high = max(low / 2, lowest), low
    while not enough(high):
        if high >= highest:
            return None
        low, high = high, min(2 * high, highest)
    while high - low > PRECISION * high:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
