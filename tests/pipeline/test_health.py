"""Every gate of experiments whose units arrive one after another: open where all is well, closed where it is not."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import House

START = datetime(2024, 3, 4, 6, tzinfo=UTC)
DAYS = 28
TRIAL: dict[str, Any] = {
    "unit": "user",
    "control": "off",
    "variants": {"off": 1, "on": 1},
    "metrics": [{"key": "visits", "type": "count", "event": "visit", "window_days": 7, "role": "primary"}],
    "start": "2024-03-04",
    "end": "2024-03-31",
}


class Log:
    """Records of many experiments in one file."""

    def __init__(self) -> None:
        self.dice = random.Random(5)
        self.lines: list[str] = []

    def write(self, kind: str, unit: str, at: datetime, **rest: Any) -> None:
        row = {"event_id": f"e{len(self.lines)}", "type": kind, "unit_id": unit, "occurred_at": at.isoformat(), **rest}
        self.lines.append(json.dumps(row))

    def unit(self, experiment: str, number: int, at: datetime, variant: str, **profile: Any) -> str:
        """Assigned at that moment, with a profile from the day before."""
        unit = f"{experiment}{number}"
        if profile:
            self.write("profile", unit, at - timedelta(days=1), **profile)
        self.write("assignment", unit, at, experiment=experiment, variant=variant)
        return unit

    def visits(self, unit: str, at: datetime, *, a_day: float, lost: tuple[int, ...] = ()) -> None:
        """Over the seven days of the window; lost on those days after the start."""
        for hour in range(1, 7 * 24, 4):
            moment = at + timedelta(hours=hour)
            if self.dice.random() < a_day / 6 and (moment.date() - START.date()).days not in lost:
                self.write("visit", unit, moment)


def steady(log: Log) -> None:
    """560 units in four weeks, all as it should be."""
    for number in range(DAYS * 20):
        at = START + timedelta(days=number // 20, minutes=number % 20)
        variant = log.dice.choice(("off", "on"))
        device, age = log.dice.choice(("phone", "desk")), round(log.dice.gauss(40, 10), 2)
        log.visits(log.unit("steady", number, at, variant, device=device, age=age), at, a_day=0.5)


def broken(log: Log) -> None:
    """The same, but phones get one variant and desks the other, the variant is for the old, its events are lost for two
    days, and in the third week everybody begins to come twice as often."""
    for number in range(DAYS * 20):
        at = START + timedelta(days=number // 20, minutes=number % 20)
        variant, device = ("off", "on")[number % 2], log.dice.choice(("phone", "desk"))
        if log.dice.random() < 0.7:
            device = {"off": "phone", "on": "desk"}[variant]
        age = round(log.dice.gauss(40 + 8 * (variant == "on"), 10), 2)
        unit = log.unit("broken", number, at, variant, device=device, age=age)
        lost = (11, 12) if variant == "on" else ()
        log.visits(unit, at, a_day=0.5 if number < DAYS * 10 else 1.0, lost=lost)


def same(log: Log) -> None:
    """An A/A experiment with a difference."""
    for number in range(500):
        at = START + timedelta(days=number // 50, minutes=number % 50)
        variant = ("off", "on")[number % 2]
        log.visits(log.unit("same", number, at, variant), at, a_day=0.4 + 0.4 * (variant == "on"))


def unseen(log: Log) -> None:
    """Assigned alike, but four in ten units of the variant never saw it."""
    for number in range(800):
        at = START + timedelta(days=number // 50, minutes=number % 50)
        variant = ("off", "on")[number % 2]
        unit = log.unit("unseen", number, at, variant)
        if variant == "off" or log.dice.random() < 0.6:
            log.write("exposure", unit, at + timedelta(minutes=1), experiment="unseen", variant=variant)


def reweighted(log: Log) -> None:
    """A tenth of the units for two weeks, then half of them."""
    for number in range(DAYS * 40):
        at = START + timedelta(days=number // 40, minutes=number % 40)
        share = 10 if number < DAYS * 20 else 2
        log.unit("reweighted", number, at, "on" if number % share == 0 else "off", device=("a", "b")[number // 7 % 2])


@pytest.fixture(scope="module")
def gates(own_house: House) -> dict[str, dict[str, dict[str, Any]]]:
    house, log = own_house, Log()
    for world in (steady, broken, same, unseen, reweighted):
        world(log)
    house.write("events.ndjson", "\n".join(log.lines) + "\n")
    house.declare("source", "log", file="events.ndjson", mode="snapshot")
    known = {"covariates": ["age"], "segments": ["device"]}
    planned = {"analysis": {"sequential": {"planned_units": 560}}}
    house.declare("experiment", "steady", **TRIAL, **known, **planned)
    house.declare("experiment", "broken", **TRIAL, **known, analysis={"sequential": {"planned_units": 1000}})
    house.declare("experiment", "same", **TRIAL, aa=True)
    house.declare("experiment", "unseen", **TRIAL, exposure="logged")
    house.declare("experiment", "reweighted", **TRIAL | {"variants": {"off": 9, "on": 1}}, segments=["device"])
    house.pending()
    versions = "UPDATE registry.declaration_versions SET declared_at = '{}' WHERE key = 'reweighted' AND {}"
    house.as_administrator(versions.format("2024-03-01", "declaration ->> 'version' = '1'"))
    house.declare("experiment", "reweighted", **TRIAL, version=2, segments=["device"])
    house.pending()
    house.as_administrator(versions.format("2024-03-18", "declaration ->> 'version' = '2'"))
    house.refresh()
    return {key: house.gates(f"acme|{key}") for key in ("steady", "broken", "same", "unseen", "reweighted")}


def closed(gates: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, gate in gates.items() if gate["blocking"] and not gate["passed"]}


def warned(gates: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, gate in gates.items() if not gate["blocking"] and not gate["passed"]}


def test_a_healthy_experiment_passes_every_gate(own_house: House, gates: dict[str, Any]) -> None:
    assert set(gates["steady"]) == {
        "srm", "srm_by_day", "srm:device", "crossover", "unlisted_variant", "duplicate_unit", "empty_arm",
        "one_unit_arm", "missing_outcome:visits", "constant_metric:visits", "enrolment", "metric_drift:visits",
        "missing_events:visits", "pre_exposure_imbalance:age", "pre_exposure_imbalance:device",
    }  # fmt: skip
    assert [name for name, gate in gates["steady"].items() if not gate["passed"]] == []
    tested = {name for name, gate in gates["steady"].items() if gate["p_value"] is not None}
    assert {"srm", "srm_by_day", "srm:device", "metric_drift:visits", "missing_events:visits"} <= tested
    assert {"pre_exposure_imbalance:age", "pre_exposure_imbalance:device"} <= tested
    assert own_house.served_one("acme|steady", "visits", "difference_in_means")["status"] == "ok"


def test_each_fault_fails_its_own_gate(gates: dict[str, Any]) -> None:
    assert closed(gates["broken"]) == {
        "srm:device", "missing_events:visits", "pre_exposure_imbalance:age", "pre_exposure_imbalance:device",
    }  # fmt: skip
    assert warned(gates["broken"]) == {"enrolment", "metric_drift:visits"}
    assert gates["broken"]["missing_events:visits"]["observed"]["in_one_arm"] == {"on": ["2024-03-15", "2024-03-16"]}
    assert gates["broken"]["enrolment"]["observed"]["units"] == 560


def test_a_gate_of_the_features_withholds_like_any_other(own_house: House, gates: dict[str, Any]) -> None:
    rows = own_house.served("acme|broken")
    assert {row["status"] for row in rows} == {"withheld"}
    assert [reason.partition(": ")[0] for reason in rows[0]["reasons"]] == sorted(closed(gates["broken"]))
    assert own_house.rows("SELECT * FROM estimates.difference_in_means WHERE experiment = 'broken'") == []


def test_an_a_a_experiment_with_a_difference_closes_its_gate_alone(gates: dict[str, Any]) -> None:
    assert closed(gates["same"]) == {"a_a"}
    assert gates["same"]["a_a"]["observed"]["significant"] == ["visits of on"]
    assert all("a_a" not in gates[key] for key in gates if key != "same")


def test_units_that_never_saw_their_variant_are_diagnosed_as_execution(gates: dict[str, Any]) -> None:
    srm = gates["unseen"]["srm"]
    assert not srm["passed"]
    assert [each["stage"] for each in srm["observed"]["diagnosis"] if each["points_to"]] == ["execution"]
    assert "The evidence points to execution" in srm["detail"]


def test_weights_that_changed_are_expected_from_then_on(gates: dict[str, Any]) -> None:
    srm = gates["reweighted"]["srm"]
    assert srm["passed"]
    assert srm["observed"]["units"] == {"off": 784, "on": 336}
    assert srm["expected"]["units"] == {"off": 784.0, "on": 336.0}
    assert gates["reweighted"]["srm:device"]["passed"]


def test_gates_that_nothing_changed_for_are_not_made_again(own_house: House, gates: dict[str, Any]) -> None:
    assert own_house.pending() == ()
