"""An effect at one of a few planned looks, by alpha spending."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from scipy import optimize

from causeway.statistics.alpha_spending import Spending
from causeway.statistics.burn_in import DEFAULT_BURN_IN, BurnIn
from causeway.statistics.critical_value import Alternative, sides_of, with_critical_value
from causeway.statistics.effect import Effect
from causeway.statistics.group_sequential_bounds import (
    LARGEST_BOUND,
    crossing_probabilities,
    efficacy_bounds,
    futility_bounds,
    planned_drift,
)

Stop = Literal["efficacy", "futility", "end"]
OBRIEN_FLEMING = Spending("obrien_fleming")
LEAST_P_VALUE, LARGEST_ALPHA = 1e-12, 0.999
"""Between these a repeated p-value is found; outside it is 1e-12 or 1."""


@dataclass(frozen=True, slots=True)
class Futility:
    """Non-binding stops for futility: beta, how it is spent, and the planned information fractions, up to 1.

    The plan fixes the effect for which power is 1 - beta; see `planned_drift`.
    """

    planned: tuple[float, ...]
    beta: float = 0.2
    spending: Spending = OBRIEN_FLEMING


@dataclass(frozen=True, slots=True)
class GroupSequentialDesign:
    """What is fixed before the first look. Raises ValueError for an unusable alpha or alternative.

    alpha: over all looks; of both sides together where two-sided. futility: one-sided designs only.
    """

    alpha: float = 0.05
    spending: Spending = OBRIEN_FLEMING
    alternative: Alternative = "two-sided"
    futility: Futility | None = None

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1: {self.alpha}")
        if sides_of(self.alternative) == 2 and self.futility is not None:
            raise ValueError("futility has a side: choose the alternative greater or less")

    def bounds(self, fractions: Sequence[float], *, final: bool = False) -> tuple[float, ...]:
        """Efficacy bounds for z at these looks; see `efficacy_bounds`."""
        sides = sides_of(self.alternative)
        return efficacy_bounds(tuple(fractions), alpha=self.alpha, spending=self.spending, sides=sides, final=final)


def group_sequential(
    effect: Effect,
    *,
    design: GroupSequentialDesign,
    fractions: Sequence[float],
    final: bool = False,
    null: float = 0.0,
    burn_in: BurnIn = DEFAULT_BURN_IN,
) -> Effect:
    """The effect at the last of these looks with its repeated confidence interval and p-value.

    Interval: effect +- bound * std_error (Jennison & Turnbull 1989); with probability 1 - alpha the truth is in
    the intervals of all looks, whether the rule to stop is obeyed or not. p_value: the repeated one, the least
    alpha at which this look would have crossed its bound; below alpha exactly where the interval excludes
    `null`. The relative effect has Fieller's interval with the same bound.

    effect: at this look, of any asymptotically normal method; an undefined one is given back as it is.
    fractions: information of all looks so far as a share of the planned one, this look last: units over
    planned units, or std_error**-2 over its planned value. Extra looks, uneven steps and more than 1 are
    allowed; a step below 0.001 is not. Looks must not be chosen by the effects seen.
    final: this is the end though it falls short of 1: what is left of alpha is spent.
    null: the effect that is tested. One-sided, ci_low and ci_high are each a one-sided bound at alpha.
    burn_in: status too_few_units before; the look's alpha counts as spent.

    settings: `stop` is "efficacy", "futility" (not binding), "end" (no efficacy, and no look left) or None.
    `stage_wise_p_value` is the p-value of a trial that ends with this look, by the stage-wise order (Tsiatis,
    Rosner & Mehta 1984); None unless it does. `alpha_spent` counts up to this look. `after_the_end`: alpha was
    used up before, and only z above 8 could count.

    Raises ValueError for unusable fractions.

    >>> look = Effect("ok", 5000, 5000, 10.5, 10.0, 0.5, 0.1, 0.304, 0.696, 6e-7)
    >>> half = group_sequential(look, design=GroupSequentialDesign(), fractions=[0.25, 0.5])
    >>> round(half.ci_low, 3), round(half.ci_high, 3), half.settings["stop"]
    (0.204, 0.796, 'efficacy')
    """
    if not math.isfinite(null):
        raise ValueError(f"null must be a number: {null}")
    looks = tuple(float(each) for each in fractions)
    bound = design.bounds(looks, final=final)[-1]
    after_the_end = len(looks) > 1 and looks[-2] >= 1
    settings: dict[str, Any] = {
        "sequential": "group_sequential",
        "alpha": design.alpha,
        "alternative": design.alternative,
        "null": null,
        "spending": {"family": design.spending.family, "parameter": design.spending.parameter},
        "fractions": list(looks),
        "alpha_spent": design.alpha if final else _spent(design, looks[-1]),
        "after_the_end": after_the_end,
    }
    if not burn_in.ready(effect):
        return burn_in.undefined(effect, settings)
    assert effect.effect is not None and effect.std_error is not None
    z = (effect.effect - null) / effect.std_error
    evidence = {"two-sided": abs(z), "greater": z, "less": -z}[design.alternative]
    futility = None if after_the_end else _futility_bound(design, looks)
    stop: Stop | None = None
    if evidence >= bound:
        stop = "efficacy"
    elif final or looks[-1] >= 1:
        stop = "end"
    elif futility is not None and evidence < futility:
        stop = "futility"
    ended = stop in {"efficacy", "end"} and not after_the_end
    settings |= {
        "stop": stop,
        "futility_bound": futility,
        "stage_wise_p_value": stage_wise_p_value(evidence, design=design, fractions=looks) if ended else None,
    }
    p_value = repeated_p_value(evidence, design=design, fractions=looks, final=final)
    return with_critical_value(effect, bound, p_value=p_value, settings=settings)


def repeated_p_value(
    evidence: float, *, design: GroupSequentialDesign, fractions: Sequence[float], final: bool = False
) -> float:
    """The least alpha at which a design like this one would have crossed its bound at the last of these looks.

    (Jennison & Turnbull 2000, section 9.4.) evidence: z on the side tested, |z| if two-sided. Valid at every
    look, so also their minimum is. 1 at a look after the end, where no alpha would do.

    >>> round(repeated_p_value(1.9685, design=GroupSequentialDesign(), fractions=[0.5, 1.0]), 3)
    0.05
    """
    sides = sides_of(design.alternative)

    def excess(log_alpha: float) -> float:
        # The cache is for the designs in use, not for the steps of a search.
        bounds = efficacy_bounds.__wrapped__(
            tuple(fractions), alpha=math.exp(log_alpha), spending=design.spending, sides=sides, final=final
        )
        return float(bounds[-1]) - evidence

    least, largest = math.log(LEAST_P_VALUE), math.log(LARGEST_ALPHA)
    if evidence >= LARGEST_BOUND or excess(least) <= 0:
        return LEAST_P_VALUE
    if excess(largest) >= 0:
        return 1.0
    return math.exp(optimize.brentq(excess, least, largest, xtol=1e-10, rtol=1e-12))


def stage_wise_p_value(evidence: float, *, design: GroupSequentialDesign, fractions: Sequence[float]) -> float:
    """P-value of a trial that ends with the last of these looks, in the stage-wise order.

    The probability, without an effect, to have crossed a bound at an earlier look or to see more evidence at
    this one (Fairbanks & Madsen 1982; Tsiatis, Rosner & Mehta 1984). Uniform without an effect, if the trial
    ends where its design says; too small at a look where it goes on.

    evidence: z on the side tested, |z| if two-sided.

    >>> round(stage_wise_p_value(1.9685, design=GroupSequentialDesign(), fractions=[0.5, 1.0]), 3)
    0.05
    """
    earlier = design.bounds(fractions)[:-1]
    upper = [*earlier, evidence]
    sides = sides_of(design.alternative)
    lower = [-each for each in upper] if sides == 2 else None
    up, _ = crossing_probabilities(fractions, upper, lower)
    return float(min(1.0, sides * up.sum()))


@lru_cache(maxsize=256)
def _drift(design: GroupSequentialDesign, futility: Futility) -> float:
    upper = design.bounds(futility.planned)
    return planned_drift(futility.planned, upper, beta=futility.beta, spending=futility.spending)


def _futility_bound(design: GroupSequentialDesign, looks: tuple[float, ...]) -> float | None:
    futility = design.futility
    if futility is None:
        return None
    drift = _drift(design, futility)
    bounds = futility_bounds(looks, design.bounds(looks), beta=futility.beta, spending=futility.spending, drift=drift)
    return bounds[-1]


def _spent(design: GroupSequentialDesign, fraction: float) -> float:
    sides = sides_of(design.alternative)
    return sides * design.spending.spent(fraction, design.alpha / sides)
