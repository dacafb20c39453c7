"""Every known unit is assigned as the evaluator says, with what is stored of it, in a house of the module's own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from assets.experiments.assignments import FROM_A_TABLE, KEY
from assets.publication import NOT_CONTENT
from causeway.assignment.evaluate import evaluate
from jobs.observe import observe
from jobs.plan import next_work
from resources.connection import connect
from resources.flags_in_force import flags_in_force
from resources.registry import register_folder

if TYPE_CHECKING:
    from conftest import House

UNITS = dg.AssetKey(["experiments", "known_units"])
PLANS = {f"u{number}": ("pro", "free")[number % 2] for number in range(300)}


def write_events(house: House, plans: dict[str, str]) -> None:
    """Two profiles of every unit, of which the newer one counts, an assignment, and events that are no profiles."""
    events: list[dict[str, Any]] = [
        {"type": "profile", "unit_id": unit, "occurred_at": f"2024-03-0{day}T00:00:00Z", "plan": value, "school": 7}
        for unit, plan in plans.items()
        for day, value in ((1, "old"), (2, plan))
    ]
    events.append({"type": "visit", "unit_id": "stranger", "occurred_at": "2024-03-01T00:00:00Z"})
    events.append({"type": "customer", "unit_id": "c1", "occurred_at": "2024-03-01T00:00:00Z", "school": "s1"})
    for unit in ("u0", "u1"):
        kept = {"experiment": "targeted", "variant": "on"}
        events.append({"type": "assignment", "unit_id": unit, "occurred_at": "2024-03-03T00:00:00Z", **kept})
    numbered = [{"event_id": f"e{number}", **event} for number, event in enumerate(events)]
    house.write("events.ndjson", "".join(json.dumps(event) + "\n" for event in numbered))


TRIAL: dict[str, Any] = {
    "unit": "user",
    "control": "off",
    "variants": {"off": 1, "on": 1},
    "metrics": [{"key": "visits", "type": "count", "event": "visit"}],
}
EXPERIMENTS: dict[str, dict[str, Any]] = {
    "targeted": {"targeting": {"plan": "pro"}, "coverage": 0.8},
    "clustered": {"randomization": {"by": "cluster", "attribute": "school"}, "units": {"event": "customer"}},
    "grouped": {"targeting": {"plan": {"$inGroup": "plans"}}},
    "held": {"holdouts": ["away"]},
    "away": {"holdout": {"variant": "off", "experiments": ["held"]}, "coverage": 0.4},
}


@pytest.fixture(scope="module")
def roster_house(own_house: House) -> House:
    write_events(own_house, PLANS)
    own_house.declare("source", "acme_events", file="events.ndjson", mode="snapshot")
    own_house.declare("saved_group", "plans", values=["pro"])
    for key, more in EXPERIMENTS.items():
        own_house.declare("experiment", key, **TRIAL, **more)
    own_house.table(
        "lift.csv", [{"user": f"c{number}", "arm": ("off", "on")[number % 2], "n": 1} for number in range(20)]
    )
    own_house.declare(
        "experiment",
        "lift",
        **{**TRIAL, "metrics": [{"key": "n", "type": "mean", "column": "n"}]},
        source={"file": "lift.csv", "unit_id": "user", "variant": "arm"},
    )
    own_house.refresh(only=lambda work: work.job in ("land", "conform"))
    return own_house


def made(house: House, experiment: str) -> dict[str, Any]:
    """Make one partition; its metadata."""
    job = house.defs.resolve_job_def("analyse_experiment")
    done = job.execute_in_process(
        instance=house.instance, partition_key=f"acme|{experiment}", asset_selection=[UNITS, KEY]
    )
    (materialisation,) = done.asset_materializations_for_node("experiments__assignments")
    return {name: entry.value for name, entry in materialisation.metadata.items()}


def assigned(house: House, experiment: str) -> dict[str, dict[str, Any]]:
    found = house.rows("SELECT * FROM experiments.assignments WHERE experiment = %s", experiment)
    return {row["unit_id"]: row for row in found}


def test_every_known_unit_is_assigned_as_the_evaluator_says(roster_house: House) -> None:
    metadata = made(roster_house, "targeted")
    rows = assigned(roster_house, "targeted")
    assert (metadata["units"], metadata["dagster/row_count"], set(rows)) == (300, 300, set(PLANS))
    with roster_house.client.transaction() as transaction:
        flags = flags_in_force(transaction, "acme")
    for unit, row in rows.items():
        if unit not in ("u0", "u1"):
            said = evaluate(flags, "targeted", {"targetingKey": unit, "plan": PLANS[unit], "school": 7})
            names = ("variant", "in_experiment", "status", "reason", "bucket", "policy_version")
            assert {name: row[name] for name in names} == {name: getattr(said, name) for name in names}
    assert {row["status"] for row in rows.values()} == {"assigned", "sticky", "not_targeted", "coverage"}
    assert metadata["policy_version"] == rows["u2"]["policy_version"]
    assert "| on | sticky | 2 |" in metadata["variants"]


def test_a_unit_keeps_the_variant_that_was_landed(roster_house: House) -> None:
    """u1 is not targeted any more, and has its variant all the same."""
    made(roster_house, "targeted")
    rows = assigned(roster_house, "targeted")
    assert [(rows[unit]["variant"], rows[unit]["sticky"]) for unit in ("u0", "u1")] == [("on", True), ("on", True)]


def test_the_roster_is_of_the_declared_event_and_clusters_are_found_in_its_properties(roster_house: House) -> None:
    made(roster_house, "clustered")
    ((unit, row),) = assigned(roster_house, "clustered").items()
    assert (unit, row["randomization_unit"], row["unit_attribute"], row["status"]) == ("c1", "s1", "school", "assigned")


def test_units_of_a_holdout_are_held(roster_house: House) -> None:
    made(roster_house, "held")
    made(roster_house, "away")
    held = {unit for unit, row in assigned(roster_house, "held").items() if row["holdout"] == "away"}
    assert held == {unit for unit, row in assigned(roster_house, "away").items() if row["variant"] == "off"}
    assert len(held) > 30


def test_an_experiment_whose_rows_come_from_a_table_has_none_here_and_says_so(roster_house: House) -> None:
    metadata = made(roster_house, "lift")
    assert (metadata["units"], metadata["dagster/row_count"]) == (FROM_A_TABLE, 0)
    assert assigned(roster_house, "lift") == {}


def test_what_is_made_again_replaces_what_was_there_and_is_the_same_to_the_last_bit(roster_house: House) -> None:
    keys = {"tenant_id": "acme", "experiment": "targeted"}
    versions = []
    for _ in range(2):
        made(roster_house, "targeted")
        versions.append(roster_house.client.content_hash("experiments.assignments", keys, NOT_CONTENT))
    assert versions[0] == versions[1]
    assert len(assigned(roster_house, "targeted")) == 300


def stale(house: House) -> set[str]:
    """Experiments whose assignments would be made again now."""
    register_folder(house.client, house.folder)
    observe(house.instance, house.client)
    return {
        work.partition.partition("|")[2]
        for work in next_work(house.instance, house.defs.resolve_asset_graph())
        if work.partition and KEY in work.assets
    }


def test_an_edit_of_the_experiment_makes_its_assignments_stale(roster_house: House) -> None:
    for experiment in (*EXPERIMENTS, "lift"):
        made(roster_house, experiment)
    assert stale(roster_house) == set()
    path = roster_house.folder / "acme_targeted.yaml"
    before = path.read_text()
    path.write_text(before.replace("coverage: 0.8", "coverage: 0.9"))
    assert stale(roster_house) == {"targeted"}
    made(roster_house, "targeted")
    assert stale(roster_house) == set()


def test_what_an_experiment_needs_makes_its_assignments_stale_and_those_of_no_other(roster_house: House) -> None:
    for experiment in (*EXPERIMENTS, "lift"):
        made(roster_house, experiment)
    away = roster_house.folder / "acme_away.yaml"
    away.write_text(away.read_text().replace("coverage: 0.4", "coverage: 0.5"))
    assert stale(roster_house) == {"away", "held"}
    for experiment in ("away", "held"):
        made(roster_house, experiment)
    with connect(roster_house.settings.address("causeway_api"), tenant="acme", autocommit=True) as api:
        api.execute("INSERT INTO registry.kill_switches (tenant_id, key, engaged_by) VALUES ('acme', 'away', 'me')")
        assert stale(roster_house) == {"away", "held"}
        api.execute("DELETE FROM registry.kill_switches")
    assert stale(roster_house) == set()
    roster_house.declare("saved_group", "plans", values=["pro", "free"])
    assert stale(roster_house) == {"grouped"}
    made(roster_house, "grouped")
    assert {row["status"] for row in assigned(roster_house, "grouped").values()} == {"assigned"}


def test_a_unit_that_asked_after_the_cut_off_is_not_stored_yet(roster_house: House) -> None:
    late = datetime.now(UTC) + timedelta(hours=1)
    with roster_house.client.transaction() as transaction:
        transaction.execute(
            "INSERT INTO raw.sticky_assignments (tenant_id, experiment, bucket_version, unit_id, variant, assigned_at,"
            " source) VALUES ('acme', 'targeted', 0, 'u3', 'on', %s, 'api')",
            (late,),
        )
    made(roster_house, "targeted")
    assert assigned(roster_house, "targeted")["u3"]["status"] == "not_targeted"
