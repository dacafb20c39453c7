"""The decision record of real trials: what the rule saw, what is served, what the checks say, what the sensor does."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from resources.postgres import PostgresResource
from sensors.rollback import rollback

if TYPE_CHECKING:
    from conftest import House, Rows

TRIAL: dict[str, Any] = {
    "unit": "customer",
    "control": "off",
    "variants": {"off": 1, "on": 1},
    "metrics": [
        {"key": "spend", "type": "mean", "column": "spend", "role": "primary", "min_effect": 0.05},
        {
            "key": "wait",
            "type": "mean",
            "column": "wait",
            "role": "guardrail",
            "direction": "decrease",
            "non_inferiority_margin": 0.05,
        },
    ],
    "source": {"file": "decided.csv", "unit_id": "customer", "variant": "arm", "occurred_at": "entered"},
}
STEP = {"at": "2999-01-01T00:00:00Z", "coverage": 1}


def customers(count: int) -> Rows:
    """Half of them ``on``: they spend 20 % more, wait as long, and are 20 % slower."""
    dice = random.Random(5)
    rows: Rows = []
    for number in range(count):
        on = number % 2
        rows.append(
            {
                "customer": f"c{number:04}",
                "arm": "on" if on else "off",
                "entered": f"2024-03-{1 + number % 20:02}T12:00:00Z",
                "spend": round(50 + 10 * on + dice.gauss(0, 5), 4),
                "wait": round(100 + dice.gauss(0, 5), 4),
                "slower": round(100 + 20 * on + dice.gauss(0, 5), 4),
            }
        )
    return rows


def harming() -> dict[str, Any]:
    """The trial with the guardrail on what is harmed."""
    primary, guardrail = TRIAL["metrics"]
    return TRIAL | {"metrics": [primary, guardrail | {"column": "slower"}]}


@pytest.fixture(scope="module")
def decided(own_house: House) -> House:
    own_house.table("decided.csv", customers(200))
    own_house.declare("experiment", "good", **TRIAL, ramp=[STEP], coverage=0.1)
    own_house.declare("experiment", "early", **TRIAL, decision={"min_days": 36_500})
    engage = {"rollback": "engage_kill_switch"}
    own_house.declare("experiment", "harmed", **harming(), ramp=[STEP], coverage=0.1, decision=engage)
    skewed = [row for number, row in enumerate(customers(400)) if row["arm"] == "off" or number % 4 == 1]
    own_house.table("skewed.csv", skewed)
    source = TRIAL["source"] | {"file": "skewed.csv"}
    own_house.declare("experiment", "skewed", **TRIAL | {"source": source}, decision=engage)
    own_house.first_runs = own_house.refresh()
    return own_house


def served(house: House, experiment: str) -> dict[str, Any]:
    (row,) = house.rows("SELECT * FROM serving.experiment_decisions WHERE experiment = %s", experiment)
    return row


def unmet(house: House, experiment: str) -> list[str]:
    return [each["check"] for each in served(house, experiment)["conditions"] if not each["passed"]]


@pytest.mark.parametrize(
    ("experiment", "decision", "variant", "failing"),
    [
        ("good", "ship", "on", []),
        ("early", "continue", None, ["minimum_run_time"]),
        ("harmed", "stop", None, ["guardrail:wait"]),
        ("skewed", "withheld", None, ["srm"]),
    ],
)
def test_the_rule_recommends_and_says_which_conditions_are_not_met(
    decided: House, experiment: str, decision: str, variant: str | None, failing: list[str]
) -> None:
    row = served(decided, experiment)
    assert (row["decision"], row["variant"]) == (decision, variant)
    assert unmet(decided, experiment) == failing
    assert row["reasons"]


def test_the_record_holds_every_input(decided: House) -> None:
    row = served(decided, "good")
    assert row["rule"]["min_relative_effect"] == 0.05
    assert row["rule"]["guardrails"] == {"wait": {"direction": "decrease", "margin": 0.05}}
    inputs = row["inputs"]
    assert inputs["run_time"]["first_exposure_at"] == "2024-03-01T12:00:00+00:00"
    assert inputs["run_time"]["days"] > 300
    assert inputs["primary"]["on"]["relative_effect"] == pytest.approx(0.2, abs=0.04)
    assert inputs["guardrails"]["wait"]["on"]["state"] == "cleared"
    assert inputs["gates"]["srm"] == {"passed": True, "blocking": True}
    known = {each["provenance_id"]: each["asset"] for each in decided.rows("SELECT * FROM ops.provenance")}
    assert {known[each] for each in row["input_provenance_ids"]} == {"estimates/headline_effects", "experiments/health"}
    assert known[row["provenance_id"]] == "decisions/experiment_decisions"


def test_behind_a_closed_gate_the_record_has_no_number(decided: House) -> None:
    row = served(decided, "skewed")
    assert (row["inputs"], row["rule"], row["provenance_id"]) == (None, None, None)


def check_of(house: House, partition: str, name: str) -> Any:
    key = dg.AssetCheckKey(dg.AssetKey(["decisions", "experiment_decisions"]), name)
    found = [
        event.dagster_event.asset_check_evaluation_data
        for run in house.instance.get_runs()
        for event in house.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        if event.dagster_event and event.dagster_event.asset_check_evaluation_data.asset_check_key == key
        and event.dagster_event.asset_check_evaluation_data.partition == partition
    ]  # fmt: skip
    return found[0]


def test_a_harmed_guardrail_fails_the_rollback_check_and_holds_the_ramp(decided: House) -> None:
    harmed = check_of(decided, "acme|harmed", "rollback")
    assert not harmed.passed
    assert "the guardrail wait is worse by more than its margin" in harmed.description
    held = check_of(decided, "acme|harmed", "ramp_step")
    assert not held.passed
    assert held.description.startswith("Hold: coverage becomes 1 at 2999-01-01")
    assert check_of(decided, "acme|good", "rollback").passed
    assert check_of(decided, "acme|good", "ramp_step").description.startswith("Nothing speaks against")
    (run,) = (
        each
        for each in decided.first_runs
        if (each.work.job, each.work.partition) == ("analyse_experiment", "acme|harmed")
    )
    assert run.closed_gates == ("rollback",)


def tick(house: House, cursor: str | None) -> tuple[str, str | None]:
    with dg.build_sensor_context(
        instance=house.instance, resources={"postgres": PostgresResource()}, cursor=cursor
    ) as context:
        result = rollback(context)
        assert isinstance(result, dg.SkipReason)
        return result.skip_message or "", context.cursor


def switches(house: House) -> list[tuple[str, str, str]]:
    return [tuple(row.values()) for row in house.rows("SELECT key, engaged_by, reason FROM registry.kill_switches")]


def test_the_sensor_switches_off_what_declares_it_once(decided: House) -> None:
    report, cursor = tick(decided, None)
    ((key, actor, reason),) = [row for row in switches(decided) if row[0] == "harmed"]
    assert (key, actor) == ("harmed", "rollback sensor")
    assert reason.startswith("rollback: Roll back. on: the guardrail wait is worse")
    assert "acme|harmed: rollback failed." in report
    assert "acme|good" not in report
    audit = decided.rows("SELECT actor, subject FROM ops.audit WHERE action = 'kill_switch.engaged'")
    assert {"actor": "rollback sensor", "subject": "harmed"} in audit
    # Somebody looks into it and switches it on again: the same failure is not answered twice.
    decided.as_administrator("DELETE FROM registry.kill_switches")
    report, cursor = tick(decided, cursor)
    assert (switches(decided), report.endswith("none of them new")) == ([], True)
    assert tick(decided, cursor)[1] == cursor
