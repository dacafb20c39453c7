"""From estimates and gates to one word: ship, stop, continue or withheld."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from causeway.statistics.effect import Effect
from causeway.statistics.gates import Gate
from causeway.statistics.multiple_testing import holm

Direction = Literal["increase", "decrease"]
Verdict = Literal["ship", "stop", "continue"]


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """What was declared before the trial.

    metric: key of the primary metric; direction: where better lies. alpha: two-sided error rate.
    min_relative_effect: the smallest improvement worth shipping, as a share of the control mean (0.02 is 2
    %).
    guardrails: metrics that must not get worse, each with the direction in which better lies.

    Raises ValueError for an alpha outside (0, 1) or a negative min_relative_effect.
    """

    metric: str
    direction: Direction = "increase"
    alpha: float = 0.05
    min_relative_effect: float = 0.0
    guardrails: Mapping[str, Direction] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1 or not self.min_relative_effect >= 0:
            raise ValueError(f"alpha must lie between 0 and 1, min_relative_effect not below 0: {self}")


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision with its reasons, sentences for a person, and everything it was made from, as JSON values.

    variant: the variant to ship, None unless the decision is "ship".
    """

    decision: Literal["ship", "stop", "continue", "withheld"]
    reasons: tuple[str, ...]
    inputs: dict[str, Any]
    variant: str | None = None


def decide(
    primary: Mapping[str, Effect],
    guardrails: Mapping[str, Mapping[str, Effect]],
    gates: Sequence[Gate],
    rule: DecisionRule,
) -> Decision:
    """Apply the declared rule to a trial.

    withheld: a blocking gate is not passed, no gate was looked at, or a result was withheld; no number is
    passed on.
    ship: a variant's primary effect is significant in the declared direction (Holm 1979 over the variants, so
    that with one variant this is "the interval excludes zero") and at least min_relative_effect, and every
    guardrail was measured and none is significantly worse. Of several such variants the one with the largest
    effect is named.
    stop: every variant is significantly worse, in the primary metric or in a guardrail. continue: all else.
    Guardrails are tested at alpha each, without correction: overlooking harm is the dearer error.

    primary: effect on the primary metric by variant (control left out). guardrails: by metric, then by
    variant. Raises ValueError without a variant, and for a guardrail result whose metric the rule does not
    name.
    """
    if not primary:
        raise ValueError("a decision needs the primary result of at least one variant")
    unknown = sorted(set(guardrails) - set(rule.guardrails))
    if unknown:
        raise ValueError(f"guardrails that the rule does not name: {', '.join(unknown)}")

    declared = {**asdict(rule), "guardrails": dict(rule.guardrails)}
    checked = {gate.check_name: {"passed": gate.passed, "blocking": gate.blocking} for gate in gates}
    closed = _closed(primary, guardrails, gates)
    if closed:
        return Decision("withheld", closed, {"rule": declared, "gates": checked})

    p_values = holm({variant: effect.p_value for variant, effect in primary.items() if effect.p_value is not None})
    judged = {
        variant: _judge(
            variant,
            effect,
            p_values.get(variant),
            {metric: guardrails.get(metric, {}).get(variant) for metric in rule.guardrails},
            rule,
        )
        for variant, effect in primary.items()
    }
    inputs = {
        "rule": declared,
        "gates": checked,
        "primary": {
            variant: {**_numbers(effect), "holm_p_value": p_values.get(variant)} for variant, effect in primary.items()
        },
        "guardrails": {
            metric: {variant: _numbers(effect) for variant, effect in by_variant.items()}
            for metric, by_variant in guardrails.items()
        },
        "verdicts": {variant: verdict for variant, (verdict, _) in judged.items()},
    }
    reasons = tuple(reason for _, by_variant in judged.values() for reason in by_variant)
    shippable = [variant for variant, (verdict, _) in judged.items() if verdict == "ship"]
    if shippable:
        best = max(shippable, key=lambda variant: _improvement(primary[variant], rule.direction) or 0.0)
        chosen = f"{best} has the largest effect of {len(shippable)} variants that may be shipped."
        reasons = (chosen, *reasons) if len(shippable) > 1 else reasons
        return Decision("ship", reasons, inputs, best)
    everyone_is_worse = all(verdict == "stop" for verdict, _ in judged.values())
    return Decision("stop" if everyone_is_worse else "continue", reasons, inputs)


def _closed(
    primary: Mapping[str, Effect], guardrails: Mapping[str, Mapping[str, Effect]], gates: Sequence[Gate]
) -> tuple[str, ...]:
    """Why nothing may be said, empty where something may."""
    if not gates:
        return ("No gate was looked at: the health of the trial is unknown.",)
    failed = tuple(f"{gate.check_name}: {gate.detail}" for gate in gates if gate.blocking and not gate.passed)
    results = [effect for by_variant in (primary, *guardrails.values()) for effect in by_variant.values()]
    if not failed and any(effect.status == "withheld" for effect in results):
        return ("A result was withheld, although no gate given here is closed.",)
    return failed


def _judge(
    variant: str,
    effect: Effect,
    holm_p_value: float | None,
    guardrails: Mapping[str, Effect | None],
    rule: DecisionRule,
) -> tuple[Verdict, list[str]]:
    """One variant by itself: its verdict, and a sentence for each thing that led to it."""
    reasons = [_primary_reason(variant, effect, holm_p_value, rule)]
    harmed = [metric for metric, result in guardrails.items() if _is_worse(result, rule.guardrails[metric], rule.alpha)]
    unknown = [metric for metric, result in guardrails.items() if not _is_measured(result)]
    reasons += [f"{variant}: the guardrail {metric} is significantly worse." for metric in harmed]
    reasons += [f"{variant}: the guardrail {metric} could not be measured." for metric in unknown]

    improvement = _improvement(effect, rule.direction)
    if improvement is None or holm_p_value is None:
        return ("stop" if harmed else "continue"), reasons
    significant = holm_p_value < rule.alpha
    if harmed or (significant and improvement < 0):
        return "stop", reasons
    if significant and improvement > 0 and _is_large_enough(effect, rule) and not unknown:
        return "ship", reasons
    return "continue", reasons


def _primary_reason(variant: str, effect: Effect, holm_p_value: float | None, rule: DecisionRule) -> str:
    improvement = _improvement(effect, rule.direction)
    if improvement is None or holm_p_value is None:
        return f"{variant}: the effect on {rule.metric} could not be estimated ({effect.status})."
    interval = f"{effect.ci_low:.4g} to {effect.ci_high:.4g}"
    shown = f"{effect.effect:+.4g} ({interval}), Holm-adjusted p = {holm_p_value:.3g}"
    if holm_p_value >= rule.alpha:
        return f"{variant}: the effect on {rule.metric} is not separated from zero: {shown}."
    if improvement < 0:
        return f"{variant}: {rule.metric} is significantly worse: {shown}."
    if not _is_large_enough(effect, rule):
        size = "unknown" if effect.relative_effect is None else f"{abs(effect.relative_effect):.3g}"
        return (
            f"{variant}: {rule.metric} is significantly better, but the relative effect is {size}"
            f" and the declared minimum {rule.min_relative_effect:g}: {shown}."
        )
    return f"{variant}: {rule.metric} is significantly better: {shown}."


def _improvement(effect: Effect, direction: Direction) -> float | None:
    """The effect counted so that positive is better; None where there is no effect."""
    if effect.effect is None:
        return None
    return effect.effect if direction == "increase" else -effect.effect


def _is_large_enough(effect: Effect, rule: DecisionRule) -> bool:
    # The absolute value, because with a negative control mean an increase is a negative relative effect.
    if rule.min_relative_effect == 0:
        return True
    return effect.relative_effect is not None and abs(effect.relative_effect) >= rule.min_relative_effect


def _is_worse(effect: Effect | None, direction: Direction, alpha: float) -> bool:
    if effect is None or effect.p_value is None:
        return False
    improvement = _improvement(effect, direction)
    return effect.p_value < alpha and improvement is not None and improvement < 0


def _is_measured(effect: Effect | None) -> bool:
    """Whether a guardrail can be cleared; constant and equal in both arms (no crash anywhere) can."""
    if effect is None:
        return False
    unchanged = effect.status == "zero_variance" and effect.mean is not None and effect.mean == effect.mean_control
    return effect.status == "ok" or unchanged


def _numbers(effect: Effect) -> dict[str, Any]:
    return {
        "status": effect.status,
        "effect": effect.effect,
        "ci_low": effect.ci_low,
        "ci_high": effect.ci_high,
        "p_value": effect.p_value,
        "relative_effect": effect.relative_effect,
    }
