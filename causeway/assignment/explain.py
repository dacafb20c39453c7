"""Why a flag is what it is for a unit: the trace of one evaluation, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from causeway.assignment.evaluate import evaluate
from causeway.assignment.evaluation import Evaluation, Status
from causeway.assignment.flags import FlagSet
from causeway.assignment.json_values import Json
from causeway.assignment.sticky import StickyRecord
from causeway.assignment.tracing import Outcome, Trace

_WHY: Mapping[Status, str] = {
    "assigned": "the unit's hash fell into the range of a variant",
    "sticky": "the unit's variant is stored, and a stored assignment is kept",
    "forced": "the unit's variant was named, and is not counted",
    "rule": "the rule's conditions hold",
    "default": "no rule decided",
    "disabled": "it is switched off",
    "unknown_flag": "there is no such flag",
    "not_running": "the experiment is not running",
    "no_unit": "the context lacks the attribute that units are told apart by",
    "no_time": "the time of the evaluation is not known, and the answer depends on it",
    "not_targeted": "the unit's attributes do not meet the condition",
    "filter": "the unit's hash lies outside of the filter's ranges",
    "layer": "the unit's bucket in the layer belongs to no range of this experiment",
    "holdout": "the unit is held out",
    "prerequisite": "another flag does not have the value that is needed",
    "cyclic_prerequisite": "the flags need each other in a circle",
    "coverage": "the unit's hash lies outside of the share of units that enters",
    "closed_to_new_units": "the experiment is paused, and nothing is stored of the unit",
    "blocked_by_version": "the unit was assigned under a bucket version that is in the experiment no longer",
    "invalid": "the experiment has no two variants, or a variant was named that it does not have",
}


@dataclass(frozen=True, slots=True)
class ExplainedStep:
    """One rule of one flag: whether it matched, why, and what was looked at."""

    flag: str
    rule_index: int
    rule_id: str
    outcome: Outcome
    status: Status | None
    why: str
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """An evaluation and the way to it. Rules of prerequisites and holdouts stand before the rule that needs them.

    `sticky_source` is the attribute under which the stored assignment was found, None if none was used.
    """

    evaluation: Evaluation
    why: str
    steps: tuple[ExplainedStep, ...]
    sticky_source: str | None = None


def explain(
    flag_set: FlagSet,
    key: str,
    context: Mapping[str, Json],
    *,
    at: datetime | None = None,
    sticky: Mapping[str, StickyRecord] | None = None,
    forced: Mapping[str, int | str] | None = None,
) -> Explanation:
    """The evaluation, from the very code that evaluates, with every rule it looked at or did not come to."""
    trace = Trace()
    evaluation = evaluate(flag_set, key, context, at=at, sticky=sticky, forced=forced, trace=trace)
    steps = [
        ExplainedStep(
            step.flag,
            step.rule_index,
            step.rule_id,
            step.outcome,
            step.status,
            why(step.status, step.detail),
            step.detail,
        )
        for step in trace.steps
    ]
    flag = flag_set.flags.get(key)
    seen = {step.rule_index for step in trace.steps if step.flag == key}
    for index, rule in enumerate(flag.rules if flag is not None else ()):
        if index not in seen:
            steps.append(ExplainedStep(key, index, rule.id, "not_reached", None, "what came before decided"))
    source = next((step.detail.get("sticky_source") for step in reversed(trace.steps) if step.flag == key), None)
    return Explanation(evaluation, why(evaluation.status), tuple(steps), source if isinstance(source, str) else None)


def why(status: Status, detail: Mapping[str, Json] | None = None) -> str:
    """A status in words, with the name of what it is about."""
    about = {"layer": "layer", "holdout": "holdout", "prerequisite": "prerequisite"}.get(status, "")
    name = (detail or {}).get(about)
    return _WHY[status] if name is None else f"{_WHY[status]} ({name})"
