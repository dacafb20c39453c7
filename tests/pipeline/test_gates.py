"""A closed gate withholds every number, says why, and is not knocked at again until something before it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import House

NUMBERS = (
    "mean", "mean_control", "effect", "std_error", "ci_low", "ci_high", "p_value",
    "relative_effect", "relative_ci_low", "relative_ci_high",
)  # fmt: skip
EXPERIMENTS = ("lift", "srm", "mended", "broken_log", "odd_arms", "unreadable", "refused")


def test_a_sample_ratio_mismatch_fails_its_blocking_check(house: House) -> None:
    (run,) = (
        each for each in house.first_runs if (each.work.job, each.work.partition) == ("analyse_experiment", "acme|srm")
    )
    assert run.closed_gates == ("srm",)
    assert not run.success
    assert run.failures == ()


def test_behind_a_closed_gate_no_model_no_twin_and_no_estimate_is_made(house: House) -> None:
    for table in (
        "models.prognostic_models",
        "twins.prognostic_scores",
        "estimates.difference_in_means",
        "estimates.adjusted_effects",
        "estimates.cuped_effects",
        "decisions.experiment_decisions",
    ):
        assert house.rows(f"SELECT * FROM {table} WHERE experiment IN ('srm', 'broken_log', 'refused')") == []


@pytest.mark.parametrize("experiment", ["srm", "broken_log", "refused"])
def test_withheld_results_name_every_comparison_with_reasons_and_without_a_number(
    house: House, experiment: str
) -> None:
    rows = house.served(f"acme|{experiment}")
    assert {(row["metric"], row["variant"], row["method"]) for row in rows} == {
        ("spend", "on", "adjusted"),
        ("spend", "on", "cuped"),
        ("spend", "on", "difference_in_means"),
    }
    for row in rows:
        assert row["status"] == "withheld"
        assert row["reasons"]
        assert {name: row[name] for name in NUMBERS} == dict.fromkeys(NUMBERS)


def test_the_reason_says_what_was_seen_and_what_was_expected(house: House) -> None:
    (reason,) = house.served_one("acme|srm", "spend", "adjusted")["reasons"]
    assert reason.startswith(
        "srm: The units contradict the declared weights: off 80 (expected 60.0), on 40 (expected 60.0)"
    )


def test_a_closed_gate_is_not_tried_again(house: House) -> None:
    assert [work for work in house.pending() if work.partition == "acme|srm"] == []


def test_a_broken_log_closes_the_gate_of_each_of_its_faults(house: House) -> None:
    gates = house.gates("acme|broken_log")
    closed = {name for name, gate in gates.items() if gate["blocking"] and not gate["passed"]}
    assert closed == {"crossover", "unlisted_variant", "duplicate_unit", "missing_outcome:spend"}
    assert gates["crossover"]["observed"]["crossover_units"] == 2
    assert gates["unlisted_variant"]["observed"]["unlisted"] == {"onn": 2}
    assert gates["missing_outcome:spend"]["observed"]["missing"] == {"off": 0, "on": 18}


def test_odd_arms_get_a_status_and_a_warning_while_the_good_arm_keeps_its_number(house: House) -> None:
    gates = house.gates("acme|odd_arms")
    warned = {name for name, gate in gates.items() if not gate["passed"]}
    assert warned == {"empty_arm", "one_unit_arm", "constant_metric:flag", "missing_outcome:spend"}
    assert not any(gates[name]["blocking"] for name in warned)
    statuses = {
        (row["metric"], row["variant"]): row["status"]
        for row in house.served("acme|odd_arms")
        if row["method"] == "difference_in_means"
    }
    assert statuses == {
        ("spend", "on"): "ok",
        ("spend", "lonely"): "too_few_units",
        ("spend", "empty"): "no_units",
        ("flag", "on"): "zero_variance",
        ("flag", "lonely"): "too_few_units",
        ("flag", "empty"): "no_units",
    }


def test_three_units_are_too_few_for_any_number(house: House) -> None:
    rows = house.served("globex|timing")
    assert {row["status"] for row in rows} == {"too_few_units", "no_covariates"}


def test_no_row_whose_status_is_not_ok_has_a_number(house: House) -> None:
    inference = [name for name in NUMBERS if not name.startswith("mean")]
    rows = house.rows("SELECT * FROM serving.experiment_results WHERE status <> 'ok'")
    assert rows
    assert [row for row in rows if any(row[name] is not None for name in inference)] == []


def test_where_there_are_no_covariates_the_adjusted_effect_says_so(house: House) -> None:
    row = house.served_one("acme|unreadable", "spend", "adjusted")
    assert (row["status"], row["effect"]) == ("no_covariates", None)
    assert "no covariates are declared" in row["settings"]["reason"]
