"""Power, smallest effect and sample size of a comparison of two means, by the noncentral t distribution."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from scipy import optimize, special

from causeway.design.baseline import Baseline
from causeway.design.comparison import Comparison
from causeway.design.noncentral_t import upper_tail

DesignStatus = Literal["ok", "too_few_units", "zero_variance", "not_reachable"]

# Beyond this many units nothing is planned: the question has no practical answer.
MOST_UNITS = 1e15


@dataclass(frozen=True, slots=True)
class PowerAnswer:
    """A design with its power: two of units, effect and power were given, the third was found.

    status: "ok", or why there is no answer; then what was asked for is None.
    effect: absolute, treated minus control; relative_effect: as a share of the baseline mean, None at mean 0.
    n_treated, n_control: units of the variant and of the control, whole numbers where they were asked for.
    settings: what the comparison assumed and by which method it was answered; JSON values only.
    """

    status: DesignStatus
    power: float | None
    effect: float | None
    relative_effect: float | None
    n_treated: float | None
    n_control: float | None
    settings: dict[str, Any] = field(default_factory=dict)


def power(
    baseline: Baseline, comparison: Comparison, *, effect: float, n_treated: float, n_control: float
) -> PowerAnswer:
    """The chance to see a true absolute effect with so many units.

    Welch's t statistic is taken as noncentral t with his degrees of freedom and noncentrality distance /
    standard error (Cohen 1988, chapter 2; exact for equal arms with normal outcomes). Two-sided tests count
    both tails.

    >>> answer = power(Baseline(10.0, 4.0), Comparison(), effect=0.5, n_treated=250, n_control=250)
    >>> answer.status, round(answer.power, 4), answer.relative_effect
    ('ok', 0.7967, 0.05)
    """
    status = _obstacle_of_arms(baseline, comparison, n_treated, n_control)
    chance = None if status != "ok" else _chance(baseline, comparison, effect, n_treated, n_control)
    if status == "ok" and chance is None:
        status = "not_reachable"
    return _answer(status, baseline, comparison, power=chance, effect=effect, n_treated=n_treated, n_control=n_control)


def minimum_detectable_effect(
    baseline: Baseline, comparison: Comparison, *, n_treated: float, n_control: float, power: float = 0.8
) -> PowerAnswer:
    """The smallest true effect, in the wanted direction, that is seen with the chance `power`.

    With a margin it is the smallest true effect at which no harm is proved: negative for a wanted increase
    where even a small loss would pass.

    >>> answer = minimum_detectable_effect(Baseline(10.0, 4.0), Comparison(), n_treated=500, n_control=500)
    >>> round(answer.effect, 4), round(answer.relative_effect, 4)
    (0.3547, 0.0355)
    """
    _check_power(power, comparison)
    status = _obstacle_of_arms(baseline, comparison, n_treated, n_control)
    effect = None
    if status == "ok":
        effect = _smallest_effect(baseline, comparison, n_treated, n_control, power)
        status = "ok" if effect is not None else "not_reachable"
    reached = power if status == "ok" else None
    return _answer(status, baseline, comparison, power=reached, effect=effect, n_treated=n_treated, n_control=n_control)


def sample_size(baseline: Baseline, comparison: Comparison, *, effect: float, power: float = 0.8) -> PowerAnswer:
    """The fewest units with which a true absolute effect is seen with the chance `power`.

    Both arms are rounded up, and `power` is that of the rounded design; `settings["exact_n_control"]` is the
    number before rounding. Status not_reachable where the effect lies on the wrong side of the null
    hypothesis, moves a proportion out of [0, 1], or would need more than 10**15 units.

    >>> answer = sample_size(Baseline.of_proportion(0.1), Comparison(), effect=0.01)
    >>> answer.n_treated, answer.n_control
    (14749.0, 14749.0)
    """
    _check_power(power, comparison)
    status = _obstacle(baseline)
    if status != "ok":
        return _answer(status, baseline, comparison, power=None, effect=effect, n_treated=None, n_control=None)

    def missing(n_control: float) -> float:
        chance = _chance(baseline, comparison, effect, comparison.allocation * n_control, n_control)
        return power - (chance or 0.0)

    exact, distance = None, comparison.distance(effect)
    if distance > 0:
        of_one = comparison.standard_error(baseline, effect, comparison.allocation, 1.0) or 0.0
        guess = (_quantiles(comparison, power) * of_one / distance) ** 2
        exact = _root(missing, guess, comparison.smallest_control(), MOST_UNITS)
    if exact is None:
        return _answer("not_reachable", baseline, comparison, power=None, effect=effect, n_treated=None, n_control=None)
    n_treated, n_control = (float(math.ceil(n * (1 - 1e-12))) for n in (comparison.allocation * exact, exact))
    reached = _chance(baseline, comparison, effect, n_treated, n_control)
    answer = _answer("ok", baseline, comparison, power=reached, effect=effect, n_treated=n_treated, n_control=n_control)
    answer.settings["exact_n_control"] = exact
    return answer


def distances(baseline: Baseline, comparison: Comparison, n_treated: float, n_control: float) -> tuple[float, float]:
    """Between which distances from the null hypothesis a smallest effect is looked for, both above 0."""
    plain = comparison.standard_error(baseline, 0.0, n_treated, n_control) or 0.0
    if not baseline.proportion:
        return plain / 1e6, plain * MOST_UNITS
    # A proportion of exactly 0 or 1 has no variance of its own, which ends the search a hair before it.
    above, below = (1 - baseline.mean, baseline.mean) if comparison.sign > 0 else (baseline.mean, 1 - baseline.mean)
    nearly = 1 - 1e-12
    return max(plain / 1e6, comparison.margin - below * nearly), comparison.margin + above * nearly


def _chance(
    baseline: Baseline, comparison: Comparison, effect: float, n_treated: float, n_control: float
) -> float | None:
    std_error = comparison.standard_error(baseline, effect, n_treated, n_control)
    if std_error is None:
        return None
    df = comparison.degrees_of_freedom(baseline, effect, n_treated, n_control)
    critical_value = -float(special.stdtrit(df, comparison.alpha / comparison.sides))
    noncentrality = comparison.distance(effect) / std_error
    chance = upper_tail(critical_value, df, noncentrality)
    if comparison.sides == 2:
        chance += upper_tail(critical_value, df, -noncentrality)
    return min(chance, 1.0)


def _smallest_effect(
    baseline: Baseline, comparison: Comparison, n_treated: float, n_control: float, power: float
) -> float | None:
    """The root of power over the distance from the null hypothesis, in which the power grows."""

    def effect_at(distance: float) -> float:
        return comparison.sign * (distance - comparison.margin)

    def missing(distance: float) -> float:
        return power - (_chance(baseline, comparison, effect_at(distance), n_treated, n_control) or 0.0)

    lowest, highest = distances(baseline, comparison, n_treated, n_control)
    plain = comparison.standard_error(baseline, 0.0, n_treated, n_control) or 0.0
    distance = _root(missing, _quantiles(comparison, power) * plain, lowest, highest)
    return None if distance is None else effect_at(distance)


def _root(missing: Callable[[float], float], guess: float, lowest: float, highest: float) -> float | None:
    """Where `missing`, which falls, becomes 0; `lowest` if it is never above 0, None if it stays above."""
    if lowest > highest:
        return None
    low = high = min(max(guess, lowest), highest)
    while missing(low) <= 0:
        if low <= lowest:
            return lowest
        low, high = max(low / 2, lowest), low
    while missing(high) > 0:
        if high >= highest:
            return None
        low, high = high, min(2 * high, highest)
    return float(optimize.brentq(missing, low, high, xtol=1e-13 * low, rtol=1e-13))


def _quantiles(comparison: Comparison, power: float) -> float:
    """How many standard errors a true effect has to be away from the null hypothesis, in large samples."""
    return float(special.ndtri(power) - special.ndtri(comparison.alpha / comparison.sides))


def _obstacle(baseline: Baseline) -> DesignStatus:
    if baseline.variance is None:
        return "too_few_units"
    return "zero_variance" if baseline.variance == 0 else "ok"


def _obstacle_of_arms(baseline: Baseline, comparison: Comparison, n_treated: float, n_control: float) -> DesignStatus:
    size = comparison.clusters.mean_size if comparison.clusters else 1.0
    return "too_few_units" if min(n_treated, n_control) < 2 * size else _obstacle(baseline)


def _check_power(power: float, comparison: Comparison) -> None:
    if not comparison.alpha < power < 1:
        raise ValueError(f"power must lie between alpha and 1: {power}")


def _answer(
    status: DesignStatus,
    baseline: Baseline,
    comparison: Comparison,
    *,
    power: float | None,
    effect: float | None,
    n_treated: float | None,
    n_control: float | None,
) -> PowerAnswer:
    relative = None if effect is None else baseline.relative(effect)
    settings = {**comparison.settings(), "method": "noncentral t"}
    return PowerAnswer(status, power, effect, relative, n_treated, n_control, settings)
