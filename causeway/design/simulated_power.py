"""Power where no formula holds: draw from the history, put the effect in, and ask the method itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from causeway.design.lifts import Inject
from causeway.design.monte_carlo import RunShare
from causeway.design.power import MOST_UNITS
from causeway.design.replay import Estimate
from causeway.statistics.effect import Effect

Detects = Callable[[Effect], bool]
"""Whether an answer counts as the effect being seen."""

SimulatedStatus = Literal["ok", "not_reachable"]

# Powers outside tell little about where the wanted one is reached.
INFORMATIVE = (0.15, 0.97)
HALVINGS = 7


def excludes_zero(answer: Effect) -> bool:
    """The interval lies on one side of 0: a two-sided test at the method's own alpha."""
    return answer.ci_low is not None and answer.ci_high is not None and (answer.ci_low > 0 or answer.ci_high < 0)


def no_worse_than(margin: float, *, direction: Literal["increase", "decrease"] = "increase") -> Detects:
    """The interval excludes a loss of `margin` or more (absolute): the test of a guardrail.

    >>> no_worse_than(0.5)(Effect("ok", 9, 9, effect=0.0, std_error=0.2, ci_low=-0.4, ci_high=0.4, p_value=1.0))
    True
    """

    def detects(answer: Effect) -> bool:
        if answer.ci_low is None or answer.ci_high is None:
            return False
        return answer.ci_low > -margin if direction == "increase" else answer.ci_high < margin

    return detects


@dataclass(frozen=True, slots=True)
class SimulatedPower:
    """The power at one lift and one size. undefined: runs without an answer, which count as not seen."""

    power: RunShare
    undefined: int
    lift: float
    n_treated: int
    n_control: int


@dataclass(frozen=True, slots=True)
class Reached:
    """The lift, or the number of units, at which the wanted power is reached.

    status: "not_reachable" where it is not, within the range that was searched; then there are no numbers.
    value: a lift (as the injection counts it) or units of the control; low, high: 95 % interval of the
    Monte-Carlo error. powers: every power that was simulated on the way, ascending.
    """

    status: SimulatedStatus
    value: float | None
    low: float | None
    high: float | None
    powers: tuple[SimulatedPower, ...]
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """A history, a method and a way to put an effect in.

    history: one row a unit, shape (n,) or (n, columns), drawn from with repetition.
    estimate: the method, with its own alpha. inject: see `causeway.design.lifts`. detects: what counts as seen.
    runs: simulated experiments per power; seed: run i draws the same units at every lift, which makes powers
    comparable.

    >>> from causeway.design.lifts import multiply
    >>> from causeway.statistics import Moments, difference_in_means
    >>> def welch(treated, control):
    ...     return difference_in_means(Moments.from_arrays(treated), Moments.from_arrays(control))
    >>> history = np.random.default_rng(1).gamma(4.0, 1.0, 2_000)  # mean 4, standard deviation 2
    >>> found = Simulation(history, welch, multiply, runs=300).minimum_detectable_lift(n_treated=400, n_control=400)
    >>> round(found.value, 1)  # by the formula 2.8 * 2 / 4 * sqrt(2 / 400) = 0.099
    0.1
    """

    history: ArrayLike
    estimate: Estimate
    inject: Inject
    detects: Detects = excludes_zero
    runs: int = 500
    seed: int = 0

    def power(self, *, lift: float, n_treated: int, n_control: int) -> SimulatedPower:
        """The share of simulated experiments in which the lift is seen."""
        rows = self._rows()
        if self.runs < 1 or min(n_treated, n_control) < 1:
            raise ValueError(f"at least one run and one unit per arm are wanted: {self.runs}, {n_treated}, {n_control}")
        hits = undefined = 0
        for run in range(self.runs):
            for_treated, for_control, for_lift = np.random.default_rng([self.seed, run]).spawn(3)
            treated = rows[for_treated.integers(0, len(rows), n_treated)]
            control = rows[for_control.integers(0, len(rows), n_control)]
            answer = self.estimate(self.inject(treated, lift, for_lift), control)
            undefined += answer.status != "ok"
            hits += self.detects(answer)
        return SimulatedPower(RunShare(hits, self.runs), undefined, lift, n_treated, n_control)

    def minimum_detectable_lift(
        self,
        *,
        n_treated: int,
        n_control: int,
        power: float = 0.8,
        start: float = 0.1,
        largest: float = 100.0,
    ) -> Reached:
        """The lift, of the sign of `start`, that is seen with the chance `power`.

        start: a first guess. largest: the search ends beyond this size, or where the injection has no answer.
        """

        def at(size: float) -> SimulatedPower:
            return self.power(lift=math.copysign(size, start), n_treated=n_treated, n_control=n_control)

        found = _search(at, abs(start), largest, power, exponent=1.0)
        return self._reached(found, power, math.copysign(1.0, start), {"n_treated": n_treated, "n_control": n_control})

    def sample_size(
        self, *, lift: float, power: float = 0.8, allocation: float = 1.0, start: int = 100, largest: int = 1_000_000
    ) -> Reached:
        """The units of the control at which a lift is seen with the chance `power`; the treated are allocation
        times as many."""

        def at(n_control: float) -> SimulatedPower:
            n = math.ceil(n_control)
            return self.power(lift=lift, n_treated=max(1, math.ceil(allocation * n)), n_control=n)

        found = _search(at, float(start), min(float(largest), MOST_UNITS), power, exponent=0.5)
        return self._reached(found, power, 1.0, {"lift": lift, "allocation": allocation})

    def _rows(self) -> NDArray[np.float64]:
        rows = np.asarray(self.history, dtype=np.float64)
        if rows.ndim not in (1, 2) or len(rows) < 2 or not np.isfinite(rows).all():
            raise ValueError(f"a history has at least two units and no missing value: shape {rows.shape}")
        return rows

    def _reached(self, found: _Found, power: float, sign: float, asked: dict[str, Any]) -> Reached:
        settings = {**asked, "power": power, "runs": self.runs, "seed": self.seed, "method": "resampled history"}
        powers = tuple(found.powers[size] for size in sorted(found.powers))
        if found.value is None or found.low is None or found.high is None:
            return Reached("not_reachable", None, None, None, powers, settings)
        low, high = sorted((sign * found.low, sign * found.high))
        return Reached("ok", sign * found.value, low, high, powers, settings)


@dataclass(frozen=True, slots=True)
class _Found:
    powers: dict[float, SimulatedPower]
    value: float | None = None
    low: float | None = None
    high: float | None = None


def _search(
    at: Callable[[float], SimulatedPower],
    start: float,
    largest: float,
    wanted: float,
    *,
    exponent: float,
) -> _Found:
    """Where a power that grows with the size reaches the wanted one.

    The size is doubled or halved until it brackets the wanted power, and the bracket halved until its ends can
    no longer be told apart by their Monte-Carlo error: beyond that a comparison would only follow the noise.
    The answer is then read off the line that fits the probit of all informative powers on size**exponent (1
    for an effect, 1/2 for a number of units: the power of a mean is then a line), so that no single noisy power
    decides. Its interval is the error of one power over the slope: the runs are shared, so the powers are wrong
    together.
    """
    powers: dict[float, SimulatedPower] = {}

    def share(size: float) -> float:
        if size not in powers:
            powers[size] = at(size)
        return powers[size].power.share

    high = min(start, largest)
    while share(high) < wanted:
        if high >= largest:
            return _Found(powers)
        high = min(2 * high, largest)
    low = high / 2
    while share(low) >= wanted and low > start * 2.0**-30:
        low, high = low / 2, low
    for _ in range(HALVINGS):
        if share(high) - share(low) <= 2 * powers[high].power.mc_error:
            break
        middle = (low + high) / 2
        low, high = (low, middle) if share(middle) >= wanted else (middle, high)
    return _read_off(powers, (low, high), wanted, exponent)


def _read_off(
    powers: dict[float, SimulatedPower], bracket: tuple[float, float], wanted: float, exponent: float
) -> _Found:
    near = [size for size, p in powers.items() if INFORMATIVE[0] <= p.power.share <= INFORMATIVE[1]] or list(bracket)
    if len(near) < 2:
        near = sorted({*near, *bracket})
    x = np.array([size**exponent for size in near])
    runs = powers[near[0]].power.runs
    shares = np.clip([powers[size].power.share for size in near], 0.5 / runs, 1 - 0.5 / runs)
    z = special.ndtri(shares)
    weights = np.exp(-z * z) / (shares * (1 - shares))
    centre = np.average(x, weights=weights)
    slope = float((weights * (x - centre)) @ z / ((weights * (x - centre)) @ (x - centre)))
    level = float(np.average(z, weights=weights))
    if not slope > 0:
        return _Found(powers)
    goal = float(special.ndtri(wanted))
    error = math.sqrt(wanted * (1 - wanted) / runs) * math.sqrt(2 * math.pi) * math.exp(goal * goal / 2)
    places = [centre + (goal - level + step * error) / slope for step in (0.0, -1.96, 1.96)]
    value, low, high = (max(place, 0.0) ** (1 / exponent) for place in places)
    return _Found(powers, float(value), float(low), float(high))
