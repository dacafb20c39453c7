"""The payload for GrowthBook's SDKs: the published Python SDK gives every unit what our evaluator gives it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from growthbook import GrowthBook

from causeway.assignment.evaluate import evaluate
from causeway.assignment.flags import (
    Experiment,
    ExperimentRule,
    Filter,
    Flag,
    FlagSet,
    ForceRule,
    Holdout,
    Leaf,
    Prerequisite,
    RampStep,
    Switchback,
    Variant,
)
from causeway.assignment.growthbook.payload import payload_of
from causeway.assignment.growthbook.reading import flag_set_from_payload

MAY = datetime(2026, 5, 1, tzinfo=UTC)
CHECKOUT = Experiment(
    "checkout",
    (Variant("control", {"c": 1}), Variant("treated", {"c": 2}, "Treated"), Variant("third", {"c": 3})),
    (0.2, 0.3, 0.5),
    coverage=0.8,
    attribute="targetingKey",
    condition={"country": {"$in": ["DE", "FR"]}, "age": {"$gte": 18}, "app.version": {"$vgte": "2.3.0"}},
    filters=(Filter("layer-salt", ((0.0, 0.6), (0.8, 0.9)), "targetingKey", kind="layer", name="shop"),),
    holdouts=(Holdout("holdout", "held"),),
    forced={"7": "third", "8": "control", "9": "gone"},
    prerequisites=(Prerequisite("gate", {"value": True}),),
)
HOLDOUT = Experiment(
    "holdout", (Variant("held", 0), Variant("beside", 0)), coverage=0.4, attribute="targetingKey", held_out="held"
)
RAMPED = Experiment(
    "ramped",
    (Variant("a", "a"), Variant("b", "b", passthrough=True)),
    attribute="targetingKey",
    hasher="growthbook_v1",
    seed="own-seed",
    ramp=(RampStep(MAY + timedelta(days=1), 0.9), RampStep(MAY, 0.3)),
)
PAUSED = Experiment("paused", RAMPED.variants, attribute="targetingKey", accepts_new_units=False)


def world() -> FlagSet:
    """Layers, a holdout, a ramp, prerequisites, a share of units, named units, passing through and saved groups."""
    everything = {
        "checkout": Flag("checkout", {"c": 0}, (ExperimentRule(CHECKOUT),)),
        "holdout": Flag("holdout", None, (ForceRule(5, condition={"staff": True}), ExperimentRule(HOLDOUT))),
        "gate": Flag("gate", False, (ForceRule(True, coverage=0.7, attribute="targetingKey"),)),
        "ramped": Flag(
            "ramped", "none", (ExperimentRule(RAMPED, condition={"country": "DE"}), ForceRule("rest", id="r"))
        ),
        "grouped": Flag(
            "grouped",
            0,
            (
                ForceRule(3, condition={"$or": [{"targetingKey": "41"}, {"$not": {"targetingKey": {"$ne": "42"}}}]}),
                ForceRule(1, condition={"age": {"$inGroup": "young"}}),
                ForceRule(2, range=(0.2, 0.4), attribute="targetingKey"),
            ),
        ),
        "paused": Flag("paused", "old", (ExperimentRule(PAUSED),)),
        "off": Flag("off", False, (ForceRule(True),), enabled=False),
        "renamed": Flag("renamed", 0, (ExperimentRule(CHECKOUT, values={"control": 7, "treated": 8, "third": 9}),)),
    }
    return FlagSet(everything, saved_groups={"young": [18, 19, 20, 21]})


def context_of(number: int) -> dict[str, Any]:
    return {
        "targetingKey": str(number),
        "country": "DE" if number % 3 else "US",
        "age": number % 60,
        "app": {"version": f"2.{number % 7}.0"},
        "staff": number % 97 == 0,
    }


def test_the_published_sdk_gives_every_unit_what_we_give_it() -> None:
    flags = world()
    payload = payload_of(flags, MAY, names={"targetingKey": "id"})
    assert payload.left_out == {}
    body = json.loads(json.dumps(payload.body))
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(4_000):
        context = context_of(number)
        attributes = {"id" if name == "targetingKey" else name: value for name, value in context.items()}
        sdk = GrowthBook(attributes=attributes, features=body["features"], savedGroups=body["savedGroups"])
        for key in flags.flags:
            ours = evaluate(flags, key, context, at=MAY)
            assert sdk.get_feature_value(key, None) == ours.value, (key, context, ours)
            seen[key, ours.status] += 1
        if context["targetingKey"] in ("41", "42"):
            assert evaluate(flags, "grouped", context).value == 3
    # Nothing above was decided in one way only.
    for status in ("assigned", "not_targeted", "layer", "holdout", "prerequisite", "coverage", "forced"):
        assert seen["checkout", status], status


def test_what_was_written_is_read_back_to_the_same_answers() -> None:
    flags = world()
    again = flag_set_from_payload(payload_of(flags, MAY).body)
    for number in range(500):
        for key in flags.flags:
            assert (
                evaluate(again, key, context_of(number)).value == evaluate(flags, key, context_of(number), at=MAY).value
            )


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (ExperimentRule(replace(PAUSED, hasher="posthog")), "uses the hasher posthog"),
        (ExperimentRule(replace(PAUSED, window=Switchback(timedelta(hours=1), MAY))), "is a switchback"),
        (ExperimentRule(replace(PAUSED, leaves=(Leaf(1, {}, (0.5, 0.5)),))), "is a contextual bandit"),
        (ExperimentRule(replace(PAUSED, force=1)), "forces one variant after the draw"),
        (
            ExperimentRule(replace(PAUSED, condition={"$or": [{"a": {"$before": "2026-01-01"}}]})),
            "uses one of the operators",
        ),
        (ExperimentRule(replace(PAUSED, filters=(Filter("s", (), hasher="eppo"),))), "another hasher"),
        (ForceRule(1, coverage=0.5, hasher="unleash"), "uses the hasher unleash"),
        (ForceRule(None), "forces null"),
    ],
)
def test_what_an_sdk_cannot_do_is_left_out_and_named(rule: Any, reason: str) -> None:
    needy = Flag("needy", 0, (ForceRule(1, prerequisites=(Prerequisite("odd", {"value": 1}),)),))
    payload = payload_of(FlagSet({"needy": needy, "odd": Flag("odd", 0, (rule,)), "plain": Flag("plain", 1)}), MAY)
    assert reason in payload.left_out["odd"]
    assert payload.left_out["needy"] == "needs odd, which is left out"
    assert list(payload.body["features"]) == ["plain"]


def test_an_experiment_that_does_not_run_is_no_reason_to_leave_its_flag_out() -> None:
    stopped = replace(PAUSED, hasher="posthog", active=False)
    payload = payload_of(FlagSet({"f": Flag("f", 3, (ExperimentRule(stopped),))}), MAY)
    assert payload.body["features"] == {"f": {"defaultValue": 3, "rules": []}}


def test_a_ramp_has_the_coverage_of_the_payloads_time() -> None:
    flags = FlagSet({"ramped": Flag("ramped", None, (ExperimentRule(RAMPED),))})
    days = [MAY + timedelta(days=day) for day in (-1, 0, 2)]
    found = [payload_of(flags, day).body["features"]["ramped"]["rules"][0]["coverage"] for day in days]
    assert found == [0.0, 0.3, 0.9]
