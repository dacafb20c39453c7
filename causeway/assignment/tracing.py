"""What an evaluation did, step by step, for whoever asks why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from causeway.assignment.evaluation import Evaluation, Status
from causeway.assignment.json_values import Json

Outcome = Literal["matched", "not_matched", "not_reached"]


@dataclass(frozen=True, slots=True)
class Step:
    """One rule of one flag. `status` says why it matched or did not; `detail` holds what was looked at."""

    flag: str
    rule_index: int
    rule_id: str
    outcome: Outcome
    status: Status
    detail: dict[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class Trace:
    """Filled by `evaluate`: the rules that it looked at, of the flag itself and of its prerequisites, in order.

    `prerequisite` is the last flag whose value did not satisfy a rule.
    """

    steps: list[Step] = field(default_factory=list)
    prerequisite: str | None = None

    def rule(self, flag: str, index: int, rule_id: str, matched: bool, status: Status) -> None:
        """A rule without experiment was looked at."""
        detail: dict[str, Json] = {}
        if status == "prerequisite":
            detail["prerequisite"] = self.prerequisite
        self.steps.append(Step(flag, index, rule_id, "matched" if matched else "not_matched", status, detail))

    def experiment(self, evaluation: Evaluation, index: int, sticky_source: str | None) -> None:
        """A rule with an experiment was looked at."""
        detail: dict[str, Json] = {
            "experiment": evaluation.experiment,
            "variant": evaluation.variant if evaluation.in_experiment else None,
            "unit": evaluation.unit_id,
            "unit_attribute": evaluation.unit_attribute,
            "bucket": evaluation.bucket,
            "hash": evaluation.hash_value,
            "hasher": evaluation.hasher,
            "layer": evaluation.layer,
            "holdout": evaluation.holdout,
            "sticky_source": sticky_source,
        }
        if evaluation.status == "prerequisite":
            detail["prerequisite"] = self.prerequisite
        outcome: Outcome = "matched" if evaluation.in_experiment else "not_matched"
        self.steps.append(Step(evaluation.flag, index, evaluation.rule_id, outcome, evaluation.status, detail))
