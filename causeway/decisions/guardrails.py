"""Metrics that must not get worse: whether harm is excluded, shown, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from causeway.decisions.headline import Headline
from causeway.statistics.effect import Effect

Direction = Literal["increase", "decrease"]
GuardrailState = Literal["cleared", "undecided", "harmed", "unmeasured"]


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A metric that must not get worse.

    direction: where better lies. margin: the relative loss that is still tolerable, 0.02 being two per cent; None: no
    loss is, and what is not significantly worse is let pass.
    """

    direction: Direction = "increase"
    margin: float | None = None

    def __post_init__(self) -> None:
        if self.margin is not None and not 0 < self.margin < 1:
            raise ValueError(f"a margin lies between 0 and 1: {self}")


def judge_guardrail(metric: str, guardrail: Guardrail, headline: Headline | None) -> tuple[GuardrailState, str]:
    """How a guardrail stands, with a sentence.

    With a margin: cleared where the whole relative interval lies on the good side of it (a one-sided test of
    non-inferiority at half of the two-sided error rate), harmed where the whole of it lies beyond, undecided between.
    Without: harmed where the whole interval lies on the bad side of zero, else cleared. Guardrails are not corrected
    for their number: overlooking harm is the dearer error.
    """
    if headline is None:
        return "unmeasured", f"the guardrail {metric} could not be measured."
    effect = headline.effect
    if effect.status == "zero_variance" and effect.mean is not None and effect.mean == effect.mean_control:
        return "cleared", f"the guardrail {metric} is the same for every unit."
    if not headline.is_ok:
        return "unmeasured", f"the guardrail {metric} could not be measured ({effect.status})."
    if guardrail.margin is None:
        return _against_zero(metric, guardrail.direction, effect)
    return _against_margin(metric, guardrail.direction, guardrail.margin, effect)


def _against_zero(metric: str, direction: Direction, effect: Effect) -> tuple[GuardrailState, str]:
    _, best = _towards_better(effect.ci_low, effect.ci_high, 1 if direction == "increase" else -1)
    shown = f"{effect.effect:+.4g} ({effect.ci_low:.4g} to {effect.ci_high:.4g})"
    if best < 0:
        return "harmed", f"the guardrail {metric} is significantly worse: {shown}."
    return "cleared", f"the guardrail {metric} is not significantly worse: {shown}."


def _against_margin(metric: str, direction: Direction, margin: float, effect: Effect) -> tuple[GuardrailState, str]:
    if effect.relative_ci_low is None or effect.relative_ci_high is None or effect.relative_effect is None:
        return "unmeasured", f"the guardrail {metric} has no relative effect that its margin could be held against."
    # Of a negative control mean, a relative effect has the opposite sign.
    sign = (1 if direction == "increase" else -1) * (-1 if (effect.mean_control or 0) < 0 else 1)
    worst, best = _towards_better(effect.relative_ci_low, effect.relative_ci_high, sign)
    shown = f"{effect.relative_effect:+.3g} ({effect.relative_ci_low:.3g} to {effect.relative_ci_high:.3g})"
    tolerated = f"a relative loss of {margin:g} is tolerated"
    if worst > -margin:
        return "cleared", f"the guardrail {metric} is not inferior: {shown}, {tolerated}."
    if best < -margin:
        return "harmed", f"the guardrail {metric} is worse by more than its margin: {shown}, {tolerated}."
    return "undecided", f"the guardrail {metric} does not exclude a loss beyond its margin: {shown}, {tolerated}."


def _towards_better(low: float | None, high: float | None, sign: int) -> tuple[float, float]:
    """The ends of an interval counted so that more is better, the worse one first."""
    assert low is not None and high is not None
    return (low, high) if sign > 0 else (-high, -low)
