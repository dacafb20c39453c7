"""Evaluation: what decides a flag, in which order, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from causeway.assignment.evaluate import MAX_CHAIN, evaluate
from causeway.assignment.evaluation import Evaluation
from causeway.assignment.flags import (
    Experiment,
    ExperimentRule,
    Filter,
    Flag,
    FlagSet,
    ForceRule,
    Holdout,
    Prerequisite,
    RampStep,
    Switchback,
    Variant,
)
from causeway.assignment.json_values import Json
from causeway.assignment.tracing import Trace

MAY = datetime(2026, 5, 1, tzinfo=UTC)
HALVES = Experiment("halves", (Variant("off", {"size": 1}), Variant("on", {"size": 2})), (0.5, 0.5))
UNITS = [f"unit-{number}" for number in range(2_000)]


def flags(*experiments: Experiment, more: Mapping[str, Flag] | None = None) -> FlagSet:
    """Every experiment as a flag of its own name, whose default is "default"."""
    own = {each.key: Flag(each.key, "default", (ExperimentRule(each, id="r"),)) for each in experiments}
    return FlagSet({**own, **(more or {})})


def run(experiment: Experiment, unit: str = "unit-1", **more: Any) -> Evaluation:
    return evaluate(flags(experiment), experiment.key, {"id": unit}, **more)


def test_an_experiment_answers_with_all_that_decided() -> None:
    # hash("seed", "a") = 0.0505 in GrowthBook's published cases.
    found = run(replace(HALVES, seed="seed", policy_version="p1"), "a")
    assert found[:5] == ("halves", {"size": 1}, "off", "SPLIT", "assigned")
    assert (found.experiment, found.in_experiment, found.unit_id, found.unit_attribute) == ("halves", True, "a", "id")
    assert (found.bucket, found.hash_value, found.hasher) == (505, 0.0505, "growthbook_v2")
    assert (found.rule_id, found.rule_index, found.policy_version) == ("r", 0, "p1")
    assert [each[:3] for each in found.entered] == [("halves", "off", "a")]
    assert not found.sticky_used
    assert found.sticky is None


def test_an_unknown_flag_is_an_error_and_a_flag_without_rules_static() -> None:
    assert evaluate(FlagSet({}), "nothing", {})[1:5] == (None, None, "ERROR", "unknown_flag")
    assert evaluate(FlagSet({"f": Flag("f", 7)}), "f", {})[1:5] == (7, None, "STATIC", "default")


def test_a_flag_that_is_switched_off_answers_its_default_whatever_the_rules_say() -> None:
    flag = Flag("f", 7, (ForceRule(8),), enabled=False, default_variant="off")
    assert evaluate(FlagSet({"f": flag}), "f", {})[1:5] == (7, "off", "DISABLED", "disabled")


def test_the_first_rule_that_matches_decides() -> None:
    rules = (
        ForceRule("german", id="a", condition={"country": "DE"}, variant="g"),
        ForceRule("anybody", id="b"),
        ForceRule("never", id="c"),
    )
    flag_set = FlagSet({"f": Flag("f", None, rules)})
    german, french = (evaluate(flag_set, "f", {"country": country}) for country in ("DE", "FR"))
    assert german[1:5] == ("german", "g", "TARGETING_MATCH", "rule")
    assert (french.value, french.rule_id, french.rule_index, french.reason) == ("anybody", "b", 1, "STATIC")


def test_a_share_of_the_units_passes_a_rule() -> None:
    flag_set = FlagSet({"f": Flag("f", False, (ForceRule(True, coverage=0.3),))})
    found = [evaluate(flag_set, "f", {"id": unit}) for unit in UNITS]
    assert sum(each.value is True for each in found) / len(UNITS) == pytest.approx(0.3, abs=0.05)
    assert {each.reason for each in found} == {"SPLIT", "DEFAULT"}
    assert evaluate(flag_set, "f", {}).value is False


@pytest.mark.parametrize("unit", ["", None, 0, True, False, [], {"a": 1}, ["x"], float("nan"), float("inf"), "\ud800"])
def test_what_identifies_nobody_is_no_unit(unit: Json) -> None:
    found = evaluate(flags(HALVES), "halves", {"id": unit})
    assert found[1:5] == ("default", None, "DEFAULT", "no_unit")
    assert found.unit_id is None


@pytest.mark.parametrize(("number", "text"), [(1, "1"), (1.0, "1"), (1.5, "1.5"), (1e21, "1e+21"), (-2e-7, "-2e-7")])
def test_a_number_is_the_unit_that_javascript_writes(number: Json, text: str) -> None:
    assert evaluate(flags(HALVES), "halves", {"id": number}) == evaluate(flags(HALVES), "halves", {"id": text})


def test_a_kill_switch_and_the_life_cycle_keep_everybody_out() -> None:
    assert run(replace(HALVES, enabled=False)).status == "disabled"
    assert run(replace(HALVES, enabled=False)).reason == "DISABLED"
    assert run(replace(HALVES, active=False)).status == "not_running"
    assert run(replace(HALVES, accepts_new_units=False)).status == "closed_to_new_units"
    assert run(replace(HALVES, variants=HALVES.variants[:1], weights=None)).status == "invalid"
    off, testing = (
        FlagSet(flags(HALVES).flags, **{name: flag})
        for name, flag in (("experiments_enabled", False), ("qa_mode", True))
    )
    assert [evaluate(each, "halves", {"id": "a"}).status for each in (off, testing)] == ["disabled", "disabled"]


def test_forced_units_get_their_variant_and_enter_nothing() -> None:
    experiment = replace(HALVES, forced={"unit-1": "on", "unit-2": "gone"}, condition={"never": "met"})
    found = run(experiment)
    assert found[1:5] == ({"size": 2}, "on", "TARGETING_MATCH", "forced")
    assert found.in_experiment
    assert found.entered == ()
    assert run(experiment, "unit-2").status == "not_targeted"
    assert run(replace(experiment, active=False)).status == "not_running"


def test_the_caller_forces_a_variant_by_name_or_number_even_of_an_experiment_that_does_not_run() -> None:
    stopped = replace(HALVES, active=False)
    assert run(stopped, forced={"halves": "on"}).variant == "on"
    assert run(stopped, forced={"halves": 0}).variant == "off"
    assert run(stopped, forced={"halves": 2}).status == "invalid"
    assert run(stopped, forced={"halves": "gone"}).status == "invalid"
    assert run(stopped, forced={"other": 1}).status == "not_running"


def test_conditions_and_coverage_keep_units_out() -> None:
    targeted = replace(HALVES, condition={"country": "DE"})
    assert run(targeted).status == "not_targeted"
    assert evaluate(flags(targeted), "halves", {"id": "a", "country": "DE"}).in_experiment
    outside = run(replace(HALVES, coverage=0.0))
    assert (outside.status, outside.value, outside.bucket is None) == ("coverage", "default", False)


def test_values_of_a_rule_take_the_place_of_the_experiments() -> None:
    rule = ExperimentRule(replace(HALVES, seed="seed"), values={"off": "plain"})
    flag_set = FlagSet({"f": Flag("f", None, (rule,))})
    assert evaluate(flag_set, "f", {"id": "a"}).value == "plain"
    assert evaluate(flag_set, "f", {"id": "b"}).value in ("plain", {"size": 2})


def test_experiments_of_a_layer_exclude_each_other_and_share_it_out() -> None:
    ranges = {"first": ((0.0, 0.3), (0.9, 1.0)), "second": ((0.3, 0.9),)}
    sharing = [
        replace(HALVES, key=key, filters=(Filter("salt", own, kind="layer", name="shop"),))
        for key, own in ranges.items()
    ]
    flag_set = flags(*sharing)
    inside = {unit: [evaluate(flag_set, key, {"id": unit}).in_experiment for key in ranges] for unit in UNITS}
    assert all(sum(each) == 1 for each in inside.values())
    assert sum(first for first, _ in inside.values()) / len(UNITS) == pytest.approx(0.4, abs=0.05)
    outside = next(evaluate(flag_set, "first", {"id": unit}) for unit in UNITS if not inside[unit][0])
    assert (outside.status, outside.layer) == ("layer", "shop")
    assert evaluate(flag_set, "first", {}).status == "no_unit"


def holding_out(share: float) -> Experiment:
    """Two groups of this share each: one is held out, the other is measured beside it."""
    return Experiment("holdout", (Variant("held", 1), Variant("beside", 1)), coverage=2 * share, held_out="held")


def test_a_holdout_keeps_one_of_two_equal_groups_out_and_both_are_counted() -> None:
    flag_set = flags(replace(HALVES, holdouts=(Holdout("holdout", "held"),)), holding_out(0.2))
    found = [evaluate(flag_set, "halves", {"id": unit}) for unit in UNITS]
    held = [each for each in found if each.status == "holdout"]
    assert len(held) / len(UNITS) == pytest.approx(0.2, abs=0.04)
    assert all((each.holdout, each.value, each.in_experiment) == ("holdout", "default", False) for each in held)
    assert all([entry.experiment for entry in each.entered] == ["holdout"] for each in held)
    beside = [each for each in found if any(entry.variant == "beside" for entry in each.entered)]
    assert len(beside) == pytest.approx(len(held), rel=0.25)
    assert all([entry.experiment for entry in each.entered] == ["holdout", "halves"] for each in beside)
    assert evaluate(flag_set, "holdout", {"id": "unit-1"}).is_holdout


def test_a_prerequisite_passes_over_the_rule_and_a_gate_answers_null() -> None:
    for gate, value in ((False, "default"), (True, None)):
        rule = ExperimentRule(HALVES, prerequisites=(Prerequisite("parent", {"value": True}, gate),))
        for parent in (True, False):
            flag_set = FlagSet({"f": Flag("f", "default", (rule,)), "parent": Flag("parent", parent)})
            found = evaluate(flag_set, "f", {"id": "a"})
            assert found.in_experiment is parent
            assert parent or found.value == value
    needy = replace(HALVES, prerequisites=(Prerequisite("missing", {"value": True}),))
    assert run(needy).status == "prerequisite"


def test_flags_that_need_each_other_in_a_circle_break() -> None:
    around = {
        one: Flag(one, True, (ForceRule(1, prerequisites=(Prerequisite(other, {"value": True}, True),)),))
        for one, other in (("a", "b"), ("b", "a"))
    }
    assert evaluate(FlagSet(around), "a", {})[1:5] == (None, None, "ERROR", "cyclic_prerequisite")


def test_an_experiment_whose_prerequisite_goes_round_in_a_circle_only_stays_without_the_unit() -> None:
    needs_itself = replace(HALVES, prerequisites=(Prerequisite("halves", {"value": 1}),))
    child = Flag("child", 0, (ForceRule(1, prerequisites=(Prerequisite("halves", {"value": "default"}),)),))
    flag_set = flags(needs_itself, more={"child": child})
    assert evaluate(flag_set, "halves", {"id": "a"})[1:5] == ("default", None, "DEFAULT", "cyclic_prerequisite")
    assert evaluate(flag_set, "child", {"id": "a"}).value == 1


def test_a_long_chain_of_flags_ends_and_a_mesh_of_flags_is_walked_once() -> None:
    """Without a memory, thirty flags that each need the two after them would be evaluated a million times."""

    def chain(length: int, needs: int) -> FlagSet:
        rules = {
            number: ForceRule(
                1,
                prerequisites=tuple(Prerequisite(str(number + step), {"value": 1}) for step in range(1, needs + 1)),
            )
            for number in range(length)
        }
        last = {str(length + step): Flag(str(length + step), 1) for step in range(needs)}
        return FlagSet({str(key): Flag(str(key), 0, (rule,)) for key, rule in rules.items()} | last)

    meshed = Trace()
    assert evaluate(chain(30, 2), "0", {}, trace=meshed).value == 1
    assert len(meshed.steps) == 30
    assert evaluate(chain(MAX_CHAIN, 1), "0", {}).value == 1
    assert evaluate(chain(2_000, 1), "0", {}).status == "cyclic_prerequisite"


def test_an_experiment_that_is_met_twice_is_entered_once() -> None:
    passing = Experiment("first", (Variant("go", 1, passthrough=True), Variant("too", 2, passthrough=True)))
    rules = (ExperimentRule(passing), ExperimentRule(passing), ForceRule(3))
    assert len(evaluate(FlagSet({"f": Flag("f", 0, rules)}), "f", {"id": "a"}).entered) == 1


def test_a_variant_that_passes_through_counts_the_unit_and_leaves_the_value_to_later_rules() -> None:
    first = Experiment("first", (Variant("stop", 1), Variant("go", 2, passthrough=True)))
    flag_set = FlagSet({"f": Flag("f", 0, (ExperimentRule(first), ForceRule(3)))})
    every = [evaluate(flag_set, "f", {"id": unit}) for unit in UNITS[:50]]
    found = {(each.value, each.entered[0].variant) for each in every}
    assert found == {(1, "stop"), (3, "go")}


def test_what_kept_a_unit_out_last_is_said_when_the_default_answers() -> None:
    rules = (
        ExperimentRule(replace(HALVES, condition={"no": 1})),
        ExperimentRule(replace(HALVES, key="b", coverage=0.0)),
    )
    found = evaluate(FlagSet({"f": Flag("f", 0, rules)}), "f", {"id": "a"})
    assert (found.value, found.status, found.experiment) == (0, "coverage", "b")


def test_a_ramp_lets_more_in_step_by_step_and_nobody_before_its_first() -> None:
    steps = (RampStep(MAY + timedelta(days=2), 1.0), RampStep(MAY, 0.1), RampStep(MAY + timedelta(days=1), 0.5))
    ramped = replace(HALVES, ramp=steps)
    days = [MAY + timedelta(days=day, seconds=-second) for day, second in ((0, 1), (0, 0), (1, 1), (1, 0), (2, 0))]
    shares = [sum(run(ramped, unit, at=day).in_experiment for unit in UNITS) / len(UNITS) for day in days]
    assert shares == pytest.approx([0, 0.1, 0.1, 0.5, 1], abs=0.05)
    assert run(ramped).status == "no_time"
    assert run(ramped, at=datetime(2026, 6, 1)).in_experiment


def test_a_switchback_deals_a_unit_anew_in_every_window() -> None:
    switching = replace(HALVES, window=Switchback(timedelta(hours=4), MAY))
    starts = [MAY + timedelta(hours=4 * window) for window in range(-20, 200)]
    found = [run(switching, "school", at=start) for start in starts]
    assert [each.window_start for each in found] == starts
    assert all(
        run(switching, "school", at=start + timedelta(hours=3.99)) == one
        for start, one in zip(starts, found, strict=True)
    )
    assert sum(each.variant == "on" for each in found) / len(found) == pytest.approx(0.5, abs=0.13)
    assert all(each.unit_id == "school" and each.entered[0].window_start == each.window_start for each in found)
    assert run(switching).status == "no_time"
    assert run(switching, at=datetime.min.replace(tzinfo=UTC)).status in ("no_time", "assigned")


def test_a_cluster_is_dealt_as_one() -> None:
    clustered = replace(HALVES, attribute="school")
    found = {evaluate(flags(clustered), "halves", {"id": unit, "school": 7})[2:3] for unit in UNITS[:50]}
    assert len(found) == 1
    assert evaluate(flags(clustered), "halves", {"id": "a", "school": 7}).unit_id == "7"
    assert evaluate(flags(clustered), "halves", {"id": "a"}).status == "no_unit"


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(HALVES, variants=(Variant("a", 1), Variant("a", 2))),
        lambda: replace(HALVES, hasher="crc32"),
        lambda: replace(HALVES, ramp=(RampStep(datetime(2026, 1, 1), 1.0),)),
        lambda: Switchback(timedelta(0), MAY),
        lambda: Switchback(timedelta(hours=1), datetime(2026, 1, 1)),
        lambda: replace(HALVES, ramp=(RampStep(MAY, 1.0),), leaves=()),
        lambda: replace(HALVES, hasher="posthog", ranges=((0.0, 1.0),)),
        lambda: ForceRule(1, hasher="crc32"),
    ],
)
def test_what_could_not_be_evaluated_cannot_be_made(make: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make()
