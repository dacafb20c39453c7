from __future__ import annotations

import dataclasses
import json

import pytest

from causeway.statistics import TrialCounts, trial_gates


def world(**changes) -> TrialCounts:
    """A healthy trial of 2,000 units in two arms, with one metric that everybody has."""
    healthy = TrialCounts(
        weights={"control": 1, "treated": 1},
        units={"control": 990, "treated": 1010},
        crossover_units=0,
        unlisted={},
        duplicate_rows=0,
        total_units=2000,
        metrics={"visit": {"control": (990, 0, 100.0), "treated": (1010, 0, 120.0)}},
    )
    return dataclasses.replace(healthy, **changes)


def gates_of(counts: TrialCounts, **settings):
    return {gate.check_name: gate for gate in trial_gates(counts, **settings)}


def closed(counts: TrialCounts) -> set[str]:
    return {name for name, gate in gates_of(counts).items() if gate.blocking and not gate.passed}


def warned(counts: TrialCounts) -> set[str]:
    return {name for name, gate in gates_of(counts).items() if not gate.blocking and not gate.passed}


def test_a_healthy_trial_passes_every_gate():
    assert list(gates_of(world())) == [
        "srm",
        "crossover",
        "unlisted_variant",
        "duplicate_unit",
        "empty_arm",
        "one_unit_arm",
        "missing_outcome:visit",
        "constant_metric:visit",
    ]
    assert all(gate.passed for gate in trial_gates(world()))


def test_sample_ratio_mismatch_closes_the_trial():
    skewed = world(units={"control": 850, "treated": 1150})
    assert closed(skewed) == {"srm"}
    gate = gates_of(skewed)["srm"]
    assert gate.p_value < 0.001
    assert "control 850 (expected 1,000.0)" in gate.detail
    assert gate.observed["units"] == {"control": 850, "treated": 1150}
    assert gate.expected["units"] == {"control": 1000.0, "treated": 1000.0}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("crossover", {"crossover_units": 20}),
        ("unlisted_variant", {"unlisted": {"typo": 15, "old": 5}}),
        ("duplicate_unit", {"duplicate_rows": 20}),
    ],
)
def test_a_share_is_a_warning_up_to_the_tolerance_and_closes_the_trial_above_it(name, changes):
    counts = world(**changes)
    assert (closed(counts), warned(counts)) == (set(), {name})
    gate = gates_of(counts)[name]
    assert gate.observed["share"] == 0.01
    assert closed(dataclasses.replace(counts, total_units=1999)) == {name}
    none = gates_of(world())[name]
    assert none.passed and not none.blocking
    assert len(gate.detail) > len(none.detail)  # the advice


def test_one_crossover_in_64_000_units_is_seen_and_withholds_nothing():
    counts = world(units={"control": 31_990, "treated": 32_009}, crossover_units=1, total_units=64_000)
    assert (closed(counts), warned(counts)) == (set(), {"crossover"})
    assert "1 of 64,000 units were in more than one variant" in gates_of(counts)["crossover"].detail


def test_repeated_rows_where_no_unit_is_left_close_the_trial():
    nobody = world(units={}, total_units=0, duplicate_rows=3, metrics={})
    assert "duplicate_unit" in closed(nobody)
    gate = gates_of(nobody)["crossover"]
    assert gate.passed and not gate.blocking


def test_unlisted_variants_are_named():
    gate = gates_of(world(unlisted={"typo": 150}))["unlisted_variant"]
    assert not gate.passed
    assert "typo 150" in gate.detail


def test_outcomes_missing_alike_are_a_warning():
    metrics = {"visit": {"control": (940, 50, 100.0), "treated": (962, 48, 120.0)}}
    assert closed(world(metrics=metrics)) == set()
    assert warned(world(metrics=metrics)) == {"missing_outcome:visit"}
    gate = gates_of(world(metrics=metrics))["missing_outcome:visit"]
    assert gate.observed["missing"] == {"control": 50, "treated": 48}
    assert "98 of 2,000 units" in gate.detail


def test_outcomes_missing_more_often_in_one_arm_close_the_trial():
    metrics = {"visit": {"control": (980, 10, 100.0), "treated": (930, 80, 120.0)}}
    assert closed(world(metrics=metrics)) == {"missing_outcome:visit"}
    detail = gates_of(world(metrics=metrics))["missing_outcome:visit"].detail
    assert "control 1.01 %" in detail and "treated 7.92 %" in detail


def test_one_missing_outcome_in_a_tiny_arm_does_not_close_the_trial():
    counts = world(
        weights={"control": 99, "treated": 1},
        units={"control": 9900, "treated": 100},
        total_units=10_000,
        metrics={"visit": {"control": (9900, 0, 900.0), "treated": (99, 1, 9.0)}},
    )
    assert closed(counts) == set()


def test_a_metric_missing_everywhere_says_where_to_look():
    metrics = {"visit": {"control": (0, 990, 0.0), "treated": (0, 1010, 0.0)}}
    gates = gates_of(world(metrics=metrics))
    assert "check the column" in gates["missing_outcome:visit"].detail
    assert not gates["missing_outcome:visit"].passed
    assert not gates["constant_metric:visit"].passed


def test_empty_and_one_unit_arms_are_named_in_warnings():
    counts = world(
        weights={"control": 1000, "treated": 1000, "a": 1, "b": 1, "retired": 0},
        units={"control": 990, "treated": 1009, "a": 1},
        metrics={},
    )
    assert warned(counts) == {"empty_arm", "one_unit_arm"}
    gates = gates_of(counts)
    assert gates["empty_arm"].observed["variants"] == ["b"]
    assert gates["one_unit_arm"].observed["variants"] == ["a"]
    assert gates["srm"].passed


def test_a_constant_metric_is_a_warning_that_names_the_arms():
    everywhere = {"visit": {"control": (990, 0, 0.0), "treated": (1010, 0, 0.0)}}
    somewhere = {"visit": {"control": (990, 0, 0.0), "treated": (1010, 0, 3.0)}}
    assert warned(world(metrics=everywhere)) == {"constant_metric:visit"}
    assert "no standard error" in gates_of(world(metrics=everywhere))["constant_metric:visit"].detail
    gate = gates_of(world(metrics=somewhere))["constant_metric:visit"]
    assert not gate.passed and gate.observed["constant"] == ["control"]


def test_the_only_unit_of_an_arm_is_not_called_constant():
    metrics = {"visit": {"control": (990, 0, 90.0), "treated": (1, 1009, 0.0)}}
    assert gates_of(world(metrics=metrics))["constant_metric:visit"].passed


def test_a_trial_without_units_is_closed_and_explains_itself():
    nobody = world(units={}, total_units=0, metrics={"visit": {"control": (0, 0, 0.0), "treated": (0, 0, 0.0)}})
    assert closed(nobody) == {"srm"}
    assert {"empty_arm", "constant_metric:visit"} <= warned(nobody)
    assert gates_of(nobody)["srm"].p_value is None


def test_observed_and_expected_are_json():
    for gate in trial_gates(world(unlisted={"typo": 3}, crossover_units=4)):
        assert json.loads(json.dumps([gate.observed, gate.expected])) == [gate.observed, gate.expected]


@pytest.mark.parametrize(
    "changes",
    [
        {"crossover_units": -1},
        {"crossover_units": 2001},
        {"units": {"control": 5000}},
        {"duplicate_rows": -1},
        {"unlisted": {"typo": -2}},
    ],
)
def test_impossible_counts_are_refused(changes):
    with pytest.raises(ValueError):
        world(**changes)
