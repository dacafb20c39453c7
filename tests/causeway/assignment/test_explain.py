"""Explanations: the same evaluation, with every rule that was looked at or not come to."""

from __future__ import annotations

from dataclasses import replace

from causeway.assignment.evaluate import evaluate
from causeway.assignment.explain import explain
from causeway.assignment.flags import (
    Experiment,
    ExperimentRule,
    Filter,
    Flag,
    FlagSet,
    ForceRule,
    Holdout,
    Prerequisite,
    Variant,
)
from causeway.assignment.sticky import StickyRecord

TEST = Experiment("test", (Variant("a", 1), Variant("b", 2)), fallback_attribute="cookie")
GERMAN = ForceRule("german", id="german", condition={"country": "DE"})


def flags(*rules: ForceRule | ExperimentRule, **more: Flag) -> FlagSet:
    return FlagSet({"f": Flag("f", 0, rules), **more})


def test_rules_matched_did_not_or_were_not_reached() -> None:
    explanation = explain(flags(GERMAN, ExperimentRule(TEST, id="test"), ForceRule(9, id="rest")), "f", {"id": "u"})
    assert [(step.rule_id, step.outcome, step.status) for step in explanation.steps] == [
        ("german", "not_matched", "not_targeted"),
        ("test", "matched", "assigned"),
        ("rest", "not_reached", None),
    ]
    assert explanation.steps[0].why == "the unit's attributes do not meet the condition"
    detail = explanation.steps[1].detail
    assert detail["bucket"] == explanation.evaluation.bucket is not None
    assert (detail["unit"], detail["unit_attribute"], detail["hasher"]) == ("u", "id", "growthbook_v2")


def test_the_explanation_is_of_the_evaluation_itself() -> None:
    flag_set = flags(GERMAN, ExperimentRule(replace(TEST, coverage=0.5)))
    for number in range(50):
        context = {"id": str(number), "country": "DE" if number % 5 == 0 else "FR"}
        assert explain(flag_set, "f", context, sticky={}).evaluation == evaluate(flag_set, "f", context, sticky={})


def test_a_layer_a_holdout_and_a_prerequisite_are_named() -> None:
    layered = replace(TEST, filters=(Filter("salt", (), kind="layer", name="shop"),))
    held = replace(TEST, holdouts=(Holdout("h", "held"),))
    needy = ExperimentRule(TEST, prerequisites=(Prerequisite("parent", {"value": True}),))
    holdout = Experiment("h", (Variant("held", 1), Variant("beside", 1)), (1.0, 0.0), held_out="held")
    found = [
        explain(flag_set, "f", {"id": "u"}).steps[-1]
        for flag_set in (
            flags(ExperimentRule(layered)),
            flags(ExperimentRule(held), h=Flag("h", 0, (ExperimentRule(holdout),))),
            flags(needy, parent=Flag("parent", False)),
        )
    ]
    assert [step.status for step in found] == ["layer", "holdout", "prerequisite"]
    assert {step.outcome for step in found} == {"not_matched"}
    assert [step.why.partition("(")[2] for step in found] == ["shop)", "h)", "parent)"]


def test_rules_of_a_flag_that_is_needed_stand_before_the_rule_that_needs_it() -> None:
    parent = Flag("parent", False, (GERMAN, ForceRule(True, id="all")))
    rule = ForceRule(1, id="child", prerequisites=(Prerequisite("parent", {"value": True}),))
    steps = explain(flags(rule, parent=parent), "f", {}).steps
    assert [(step.flag, step.rule_id, step.outcome) for step in steps] == [
        ("parent", "german", "not_matched"),
        ("parent", "all", "matched"),
        ("f", "child", "matched"),
    ]


def test_the_source_of_a_stored_assignment_is_the_attribute_that_it_was_found_under() -> None:
    flag_set, context = flags(ExperimentRule(TEST)), {"id": "u", "cookie": "c"}
    for attribute, unit in (("id", "u"), ("cookie", "c")):
        record = StickyRecord(attribute, unit, {"test__0": "b"})
        found = explain(flag_set, "f", context, sticky={record.key: record})
        assert (found.sticky_source, found.evaluation.variant) == (attribute, "b")
        assert found.why == "the unit's variant is stored, and a stored assignment is kept"
    assert explain(flag_set, "f", context, sticky={}).sticky_source is None


def test_flags_that_are_unknown_or_switched_off_are_explained_too() -> None:
    assert explain(FlagSet({}), "f", {}).why == "there is no such flag"
    off = explain(FlagSet({"f": Flag("f", 0, (GERMAN,), enabled=False)}), "f", {"country": "DE"})
    assert off.why == "it is switched off"
    assert [step.outcome for step in off.steps] == ["not_reached"]
    around = Prerequisite("f", {"value": 1})
    assert explain(flags(ForceRule(1, prerequisites=(around,))), "f", {}).steps[0].status == "cyclic_prerequisite"
