"""Whether more units may be let in, and whether those that are in should be taken out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from causeway.decisions.rule import Decision


@dataclass(frozen=True, slots=True)
class Step:
    """From a moment on, a share of the units enters."""

    at: datetime
    coverage: float


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a check passed, and why, in a sentence."""

    passed: bool
    detail: str


def next_step(steps: Sequence[Step], known_at: datetime | None) -> Step | None:
    """The first step that is not in effect yet."""
    return next((step for step in steps if known_at is None or step.at > known_at), None)


def may_ramp(decision: Decision, step: Step | None) -> Finding:
    """Whether the next step may come: gates open, no guardrail harmed, no variant significantly worse."""
    if step is None:
        return Finding(True, "There is no further step.")
    coming = f"coverage becomes {step.coverage:g} at {step.at.isoformat()}"
    against = [condition.detail for condition in decision.conditions] if decision.decision == "withheld" else []
    against += [harm.detail for harm in decision.harms]
    harming = {harm.variant for harm in decision.harms}
    worse = {variant for variant, verdict in decision.verdicts.items() if verdict == "stop"} - harming
    against += [
        condition.detail
        for condition in decision.conditions
        if condition.check == "primary_significant" and condition.variant in worse
    ]
    if against:
        return Finding(False, f"Hold: {coming} unless its declaration is changed. {' '.join(against)}")
    return Finding(True, f"Nothing speaks against the next step: {coming}.")


def must_roll_back(decision: Decision) -> Finding:
    """Whether units have to be taken out of a variant: a guardrail is harmed, beyond its margin where it has one."""
    if decision.harms:
        return Finding(False, f"Roll back. {' '.join(harm.detail for harm in decision.harms)}")
    return Finding(True, "No guardrail is harmed.")
