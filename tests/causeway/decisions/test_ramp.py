"""More units are let in while nothing speaks against it, and taken out again where a guardrail is harmed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from causeway.decisions.ramp import Step, may_ramp, must_roll_back, next_step
from causeway.decisions.rule import Condition, Decision, Harm

FIRST, SECOND = (Step(datetime(2024, 3, day, tzinfo=UTC), share) for day, share in ((1, 0.1), (8, 1.0)))
HARM = Harm("on", "latency", "on: the guardrail latency is significantly worse.")
WORSE = Condition("primary_significant", False, "on: visit is significantly worse.", "on")
UNCLEAR = Condition("primary_significant", False, "on: the effect on visit is not separated from zero.", "on")


def decision(word: str = "continue", conditions=(), harms=(), **verdicts: str) -> Decision:
    return Decision(word, (), {}, None, tuple(conditions), tuple(harms), verdicts)


@pytest.mark.parametrize(
    ("now", "step"),
    [
        (datetime(2024, 2, 28, tzinfo=UTC), FIRST),
        (datetime(2024, 3, 1, tzinfo=UTC), SECOND),
        (datetime(2024, 3, 8, tzinfo=UTC), None),
        (None, FIRST),
    ],
)
def test_the_next_step_is_the_first_one_that_is_not_in_effect(now, step):
    assert next_step([FIRST, SECOND], now) == step


@pytest.mark.parametrize(
    ("made", "passed", "words"),
    [
        (decision(conditions=[UNCLEAR], on="continue"), True, "Nothing speaks against"),
        (decision("ship", on="ship"), True, "Nothing speaks against"),
        (decision("withheld", conditions=[Condition("srm", False, "srm: skewed.")]), False, "srm: skewed."),
        (decision("stop", conditions=[WORSE], on="stop"), False, "visit is significantly worse."),
        (decision("stop", conditions=[UNCLEAR], harms=[HARM], on="stop"), False, "latency is significantly worse."),
        (decision(conditions=[WORSE], on="stop", other="continue"), False, "visit is significantly worse."),
    ],
)
def test_a_step_is_held_by_a_closed_gate_by_harm_and_by_a_variant_that_is_worse(made, passed, words):
    found = may_ramp(made, SECOND)
    assert found.passed == passed
    assert words in found.detail
    assert "coverage becomes 1 at 2024-03-08" in found.detail
    assert may_ramp(made, None).passed


def test_what_does_not_hold_a_step_is_not_among_its_reasons():
    assert (
        "not separated" not in may_ramp(decision("stop", conditions=[UNCLEAR], harms=[HARM], on="stop"), SECOND).detail
    )


def test_a_harmed_guardrail_is_rolled_back_and_a_primary_metric_that_is_worse_is_not():
    found = must_roll_back(decision("stop", harms=[HARM], on="stop"))
    assert (found.passed, found.detail) == (False, f"Roll back. {HARM.detail}")
    assert must_roll_back(decision("stop", conditions=[WORSE], on="stop")).passed
