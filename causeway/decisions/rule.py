"""From estimates and gates to one word: ship, stop, continue or withheld."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from causeway.decisions.guardrails import Direction, Guardrail, GuardrailState, judge_guardrail
from causeway.decisions.headline import ByVariant, Headline, RunTime
from causeway.statistics.effect import Effect
from causeway.statistics.gates import Gate

Verdict = Literal["ship", "stop", "continue"]


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """What was declared before the trial.

    metric: key of the primary metric; direction: where better lies. min_relative_effect: the smallest improvement
    worth shipping, as a share of the control mean (0.02 is 2 %). guardrails: metrics that must not get worse.
    min_days: days since the first exposure before which nothing is shipped. alpha: the two-sided error rate at which
    intervals and significance were made; it is kept for the record.

    Raises ValueError for an alpha outside (0, 1) and for a negative min_relative_effect or min_days.
    """

    metric: str
    direction: Direction = "increase"
    alpha: float = 0.05
    min_relative_effect: float = 0.0
    min_days: float = 0.0
    guardrails: Mapping[str, Guardrail] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (0 < self.alpha < 1 and self.min_relative_effect >= 0 and self.min_days >= 0):
            raise ValueError(
                f"alpha must lie between 0 and 1, min_relative_effect and min_days not be negative: {self}"
            )

    def as_json(self) -> dict[str, Any]:
        """The rule as JSON values."""
        return {**asdict(self), "guardrails": {key: asdict(each) for key, each in self.guardrails.items()}}


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must be so before a variant is shipped; variant None: before any is."""

    check: str
    passed: bool
    detail: str
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Harm:
    """A guardrail that a variant makes worse, beyond its margin where it has one."""

    variant: str
    metric: str
    detail: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision with its reasons, sentences for a person, and everything it was made from, as JSON values.

    variant: the variant to ship, None unless the decision is "ship". conditions: what shipping asks for, met or not;
    of a withheld decision the gates that are closed. verdicts: what each variant by itself would be told.
    """

    decision: Literal["ship", "stop", "continue", "withheld"]
    reasons: tuple[str, ...]
    inputs: dict[str, Any]
    variant: str | None = None
    conditions: tuple[Condition, ...] = ()
    harms: tuple[Harm, ...] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)


def decide(
    primary: ByVariant,
    guardrails: Mapping[str, ByVariant],
    gates: Sequence[Gate],
    rule: DecisionRule,
    run_time: RunTime | None = None,
) -> Decision:
    """Apply the declared rule to a trial.

    withheld: a blocking gate is not passed, no gate was looked at, or a result was withheld; no number is passed on.
    ship: a variant's primary effect is significant over the declared family, its interval lies on the good side of
    zero, it is at least min_relative_effect, every guardrail is cleared, and the trial has run for min_days. Of several
    such variants the one with the largest effect is named.
    stop: every variant is significantly worse in the primary metric, or harms a guardrail. For that no minimum run
    time is waited for. continue: all else.

    What may not be read yet decides nothing, neither way: a fixed-horizon interval before the declared end, and a
    group-sequential trial before its first planned look.

    primary: by variant (control left out). guardrails: by metric, then by variant. Raises ValueError without a
    variant, and for a guardrail result whose metric the rule does not name.
    """
    if not primary:
        raise ValueError("a decision needs the primary result of at least one variant")
    unknown = sorted(set(guardrails) - set(rule.guardrails))
    if unknown:
        raise ValueError(f"guardrails that the rule does not name: {', '.join(unknown)}")
    run_time = run_time or RunTime()
    checked = {gate.check_name: {"passed": gate.passed, "blocking": gate.blocking} for gate in gates}
    closed = _closed(primary, guardrails, gates)
    if closed:
        return Decision(
            "withheld",
            tuple(condition.detail for condition in closed),
            {"rule": rule.as_json(), "gates": checked},
            conditions=closed,
        )

    judged = {
        variant: _judge(
            variant,
            headline,
            {metric: guardrails.get(metric, {}).get(variant) for metric in rule.guardrails},
            rule,
            run_time,
        )
        for variant, headline in primary.items()
    }
    conditions = (_has_run_long_enough(rule, run_time), *(each for one in judged.values() for each in one.conditions))
    verdicts = {
        variant: one.verdict if one.verdict != "ship" or conditions[0].passed else "continue"
        for variant, one in judged.items()
    }
    inputs = {
        "rule": rule.as_json(),
        "gates": checked,
        "run_time": run_time.as_json(),
        "primary": {variant: headline.numbers() for variant, headline in primary.items()},
        "guardrails": {
            metric: {
                variant: {**headline.numbers(), "state": judged[variant].guardrails[metric]}
                for variant, headline in by_variant.items()
            }
            for metric, by_variant in guardrails.items()
        },
        "verdicts": verdicts,
    }
    decision, variant, reasons = _combined(verdicts, primary, rule, [each.reasons for each in judged.values()])
    if decision == "continue" and not conditions[0].passed:
        reasons = (*reasons, conditions[0].detail)
    harms = tuple(harm for each in judged.values() for harm in each.harms)
    return Decision(decision, reasons, inputs, variant, conditions, harms, verdicts)


@dataclass(frozen=True, slots=True)
class _Judged:
    verdict: Verdict
    reasons: tuple[str, ...]
    conditions: tuple[Condition, ...]
    guardrails: Mapping[str, GuardrailState]
    harms: tuple[Harm, ...]


def _combined(
    verdicts: Mapping[str, Verdict], primary: ByVariant, rule: DecisionRule, reasons: Sequence[tuple[str, ...]]
) -> tuple[Verdict, str | None, tuple[str, ...]]:
    flat = tuple(reason for by_variant in reasons for reason in by_variant)
    shippable = [variant for variant, verdict in verdicts.items() if verdict == "ship"]
    if shippable:
        best = max(shippable, key=lambda variant: _improvement(primary[variant].effect, rule.direction) or 0.0)
        chosen = f"{best} has the largest effect of {len(shippable)} variants that may be shipped."
        return "ship", best, (chosen, *flat) if len(shippable) > 1 else flat
    everyone_is_worse = all(verdict == "stop" for verdict in verdicts.values())
    return "stop" if everyone_is_worse else "continue", None, flat


def _closed(primary: ByVariant, guardrails: Mapping[str, ByVariant], gates: Sequence[Gate]) -> tuple[Condition, ...]:
    """Why nothing may be said, empty where something may."""
    if not gates:
        return (Condition("health", False, "No gate was looked at: the health of the trial is unknown."),)
    failed = tuple(
        Condition(gate.check_name, False, f"{gate.check_name}: {gate.detail}")
        for gate in gates
        if gate.blocking and not gate.passed
    )
    results = [headline.effect for by_variant in (primary, *guardrails.values()) for headline in by_variant.values()]
    if not failed and any(effect.status == "withheld" for effect in results):
        return (Condition("results", False, "A result was withheld, although no gate given here is closed."),)
    return failed


def _has_run_long_enough(rule: DecisionRule, run_time: RunTime) -> Condition:
    days = run_time.days
    if rule.min_days == 0:
        return Condition("minimum_run_time", True, "No minimum run time is declared.")
    if days is None:
        detail = f"It has to run for {rule.min_days:g} days, and when the first unit entered is not known."
        return Condition("minimum_run_time", False, detail)
    detail = f"It has run for {int(days)} days, and has to for {rule.min_days:g}."
    return Condition("minimum_run_time", days >= rule.min_days, detail)


def _judge(
    variant: str,
    headline: Headline,
    guardrails: Mapping[str, Headline | None],
    rule: DecisionRule,
    run_time: RunTime,
) -> _Judged:
    """One variant by itself, whatever the minimum run time: its verdict, and a sentence for all that led to it."""
    unread = _not_to_be_read((headline, *guardrails.values()), run_time)
    if unread is not None:
        condition = Condition(unread[0], False, f"{variant}: {unread[1]}", variant)
        return _Judged("continue", (condition.detail,), (condition,), dict.fromkeys(guardrails, "unmeasured"), ())

    significant, is_worse = _judge_primary(variant, headline, rule)
    conditions = [significant, _judge_size(variant, headline, rule)]
    reasons = [significant.detail]
    if significant.passed and not conditions[1].passed:
        reasons.append(conditions[1].detail)
    states: dict[str, GuardrailState] = {}
    harms = []
    for metric, result in guardrails.items():
        states[metric], sentence = judge_guardrail(metric, rule.guardrails[metric], result)
        detail = f"{variant}: {sentence}"
        conditions.append(Condition(f"guardrail:{metric}", states[metric] == "cleared", detail, variant))
        if states[metric] == "harmed":
            harms.append(Harm(variant, metric, detail))
        if states[metric] != "cleared":
            reasons.append(detail)
    verdict: Verdict = "continue"
    if harms or is_worse:
        verdict = "stop"
    elif all(condition.passed for condition in conditions):
        verdict = "ship"
    return _Judged(verdict, tuple(reasons), tuple(conditions), states, tuple(harms))


def _not_to_be_read(headlines: Sequence[Headline | None], run_time: RunTime) -> tuple[str, str] | None:
    """Why the numbers of a variant may not be looked at yet; None where they may."""
    intervals = {headline.interval for headline in headlines if headline is not None}
    if "fixed_horizon" in intervals and not run_time.has_ended:
        return "end_reached", f"fixed-horizon intervals are not to be read before the end, {run_time.ends_on}."
    planned = [each for each in headlines if each is not None and each.interval == "group_sequential"]
    if planned and not any(each.is_ok for each in planned):
        return "planned_look", "no planned look has given an effect yet, and there are no others."
    return None


def _judge_primary(variant: str, headline: Headline, rule: DecisionRule) -> tuple[Condition, bool]:
    """Whether the primary metric is significantly better; and whether it is significantly worse."""
    effect = headline.effect
    improvement = _improvement(effect, rule.direction)
    if improvement is None or headline.is_significant is None or headline.adjusted_p_value is None:
        detail = f"{variant}: the effect on {rule.metric} could not be estimated ({effect.status})."
        return Condition("primary_significant", False, detail, variant), False
    shown = f"{effect.effect:+.4g} ({effect.ci_low:.4g} to {effect.ci_high:.4g})"
    shown += f", adjusted p = {headline.adjusted_p_value:.3g}"
    assert effect.ci_low is not None and effect.ci_high is not None
    if not headline.is_significant or effect.ci_low <= 0 <= effect.ci_high:
        detail = f"{variant}: the effect on {rule.metric} is not separated from zero: {shown}."
        return Condition("primary_significant", False, detail, variant), False
    if improvement < 0:
        detail = f"{variant}: {rule.metric} is significantly worse: {shown}."
        return Condition("primary_significant", False, detail, variant), True
    detail = f"{variant}: {rule.metric} is significantly better: {shown}."
    return Condition("primary_significant", True, detail, variant), False


def _judge_size(variant: str, headline: Headline, rule: DecisionRule) -> Condition:
    if rule.min_relative_effect == 0:
        return Condition("minimum_effect", True, f"{variant}: no minimum effect is declared.", variant)
    relative = headline.effect.relative_effect
    # The absolute value, because with a negative control mean an increase is a negative relative effect.
    passed = relative is not None and abs(relative) >= rule.min_relative_effect
    size = "unknown" if relative is None else f"{abs(relative):.3g}"
    detail = f"{variant}: the relative effect on {rule.metric} is {size}"
    return Condition(
        "minimum_effect", passed, f"{detail}, and the declared minimum {rule.min_relative_effect:g}.", variant
    )


def _improvement(effect: Effect, direction: Direction) -> float | None:
    """The effect counted so that positive is better; None where there is no effect."""
    if effect.effect is None:
        return None
    return effect.effect if direction == "increase" else -effect.effect
