"""The published GrowthBook SDK, pointed at the API, gives every unit the variant that our own evaluator gives."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from growthbook import GrowthBook
from growthbook.growthbook import feature_repo

from api.flags_in_force import made_of
from causeway.assignment.evaluate import evaluate

UNITS = 10_000
HALF = [{"experiment": "above", "from": 0, "to": 5000}, {"experiment": "below", "from": 5000, "to": 8000}]
ADULTS = {"country": {"$in": ["DE", "AT"]}, "age": {"$gte": 18}}

RAMP = ((2020, 0.2), (2999, 1.0))

EXPERIMENTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "first_hash": {"hasher": "growthbook_v1", "salt": "something else"},
    "three": {
        "variants": {"off": 2, "on": 1, "more": 5},
        "configs": {"off": {"steps": 3}, "on": {"steps": 1}, "more": {"steps": 0}},
    },
    "covered": {"coverage": 0.37, "variants": {"off": 1, "on": 3}},
    "first_hash_covered": {"hasher": "growthbook_v1", "coverage": 0.6, "variants": {"off": 0.1, "on": 0.3}},
    "ramped": {
        "ramp": [{"at": "2020-01-01T00:00:00Z", "coverage": 0.2}, {"at": "2999-01-01T00:00:00Z", "coverage": 1}]
    },
    "targeted": {"targeting": ADULTS},
    "grouped": {"targeting": {"plan": {"$inGroup": "paying"}, "beta": {"$ne": True}}},
    "above": {"layer": "page"},
    "below": {"layer": "page", "coverage": 0.5},
    "after": {"prerequisites": [{"flag": "covered", "condition": {"value": "on"}}]},
    "forcing": {"forced": {"customer-7": "on", "customer-8": "off"}, "coverage": 0.1},
    "kept": {"holdouts": ["control_group"]},
    "control_group": {"holdout": {"variant": "off", "experiments": ["kept"]}, "coverage": 0.4},
    "paused": {"status": "paused"},
    "draft": {"status": "draft"},
}
FLAGS: dict[str, dict[str, Any]] = {
    "still": {"type": "number", "default": 0},
    "banner": {
        "type": "string",
        "default": "",
        "rules": [
            {"id": "grown_up", "if": ADULTS, "value": "wine"},
            {"id": "some", "value": "bread", "coverage": 0.3},
            {"id": "try", "experiment": "covered", "values": {"off": "salt", "on": "pepper"}},
        ],
    },
}
LEFT_OUT: dict[str, dict[str, Any]] = {
    "planout": {"hasher": "planout"},
    "needs_planout": {"prerequisites": [{"flag": "planout", "condition": {"value": "on"}}]},
    "weekly": {"randomization": {"by": "switchback", "window": "7d"}},
}


@pytest.fixture(scope="module", autouse=True)
def declared(world):
    tenant = {"tenant": "acme"}
    world.put({"kind": "saved_group", "key": "paying", "values": ["gold", "silver"], **tenant})
    for key, changes in {**EXPERIMENTS, **LEFT_OUT}.items():
        world.declare("acme", key, **changes)
    world.put({"kind": "layer", "key": "page", "unit": "customer", "allocations": HALF, **tenant})
    for key, flag in FLAGS.items():
        world.put({"kind": "flag", "key": key, **flag, **tenant})


@pytest.fixture
def flags(world):
    """What acme declares, compiled by us from the registry itself."""
    tables = ("experiments", "flags", "layers", "saved_groups")
    rows = [
        [text for (text,) in world.rows(f"select json_build_array(key, declaration)::text from registry.{table}")]
        for table in tables
    ]
    found, spoilt = made_of((rows[0], rows[1], rows[2], rows[3], []), "acme")
    assert not spoilt
    return found


@pytest.fixture
def sdk(served):
    """The SDK as an application has it: host and key, and nothing else that is ours."""
    client = GrowthBook(api_host=served.url, client_key=served.keys["acme"])
    reload(client)
    yield client
    client.destroy()


def units() -> list[dict[str, Any]]:
    """Attributes of many units, each one missing from some; the same in every run.

    An age is a number or is missing: the JavaScript SDK, as the specification, finds the text "18" to be at least 18,
    and so do we; the Python SDK does not compare the two.
    """
    chance = random.Random(3)
    found = []
    for number in range(UNITS):
        attributes: dict[str, Any] = {"id": f"customer-{number}"}
        if chance.random() < 0.9:
            attributes["country"] = chance.choice(["DE", "AT", "FR", None])
        if chance.random() < 0.9:
            attributes["age"] = chance.choice([17, 18, 44.5])
        if chance.random() < 0.9:
            attributes["plan"] = chance.choice(["gold", "silver", "iron", 3])
        if chance.random() < 0.5:
            attributes["beta"] = chance.choice([True, False])
        found.append(attributes)
    return found


def context_of(attributes: dict[str, Any]) -> dict[str, Any]:
    """The same unit as OpenFeature names it."""
    return {("targetingKey" if name == "id" else name): value for name, value in attributes.items()}


def test_the_sdk_gives_ten_thousand_units_our_variants(sdk, flags):
    at = datetime.now(UTC)
    keys = [*EXPERIMENTS, *FLAGS]
    variants: dict[str, Counter[str | None]] = {key: Counter() for key in keys}
    for attributes in units():
        sdk.set_attributes(attributes)
        for key in keys:
            theirs = sdk.eval_feature(key)
            ours = evaluate(flags, key, context_of(attributes), at=at)
            assert (theirs.value, type(theirs.value)) == (ours.value, type(ours.value)), (key, attributes)
            in_experiment = theirs.experimentResult is not None and theirs.experimentResult.inExperiment
            if ours.status != "forced":
                assert in_experiment is ours.in_experiment, (key, attributes)
            if in_experiment:
                assert theirs.experimentResult.key == ours.variant, (key, attributes)
            variants[key][ours.variant if ours.in_experiment else None] += 1
    # Had nobody been anywhere, everything would have agreed as well.
    assert {key for key in EXPERIMENTS if len(variants[key]) >= 2} == {*EXPERIMENTS} - {"paused", "draft"}
    assert all(variants[key][None] > 500 for key in ("targeted", "grouped", "above", "below", "after", "kept"))
    assert 0.35 * UNITS < UNITS - variants["covered"][None] < 0.39 * UNITS


def test_the_sdk_the_evaluator_and_ofrep_agree(sdk, acme):
    for attributes in units()[:50]:
        sdk.set_attributes(attributes)
        answer = acme.post("/ofrep/v1/evaluate/flags", json={"context": context_of(attributes)}).json()
        told = {flag["key"]: flag["value"] for flag in answer["flags"]}
        for key in (*EXPERIMENTS, *FLAGS):
            assert sdk.eval_feature(key).value == told[key], (key, attributes)


def test_what_no_sdk_could_evaluate_is_left_out_and_named(served, acme):
    payload = acme.get(f"/api/features/{served.keys['acme']}").json()
    assert set(payload["left_out"]) == set(LEFT_OUT)
    assert not set(payload["features"]) & set(LEFT_OUT)
    assert "planout" in payload["left_out"]["planout"]
    assert payload["savedGroups"] == {"paying": ["gold", "silver"]}


def test_the_key_in_the_path_is_all_that_is_needed(served):
    for key, status in ((served.keys["acme"], 200), ("cw_acme_nobody_nothing", 401), ("nonsense", 401)):
        answer = httpx.get(f"{served.url}/api/features/{key}")
        assert answer.status_code == status, key
    answer = httpx.get(f"{served.url}/api/features/{served.keys['globex']}")
    assert (answer.json()["features"], answer.json()["left_out"]) == ({}, {})


def test_an_unchanged_payload_is_not_sent_again_and_a_kill_switch_changes_it(served, acme, sdk):
    path = f"/api/features/{served.keys['acme']}"
    first = acme.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    again = acme.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    unit = next(unit for unit in units() if value_of(sdk, "plain", unit) == "on")
    assert acme.put("/v1/kill_switches/plain", json={}).status_code == 200
    try:
        assert acme.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 200
        reload(sdk)
        assert value_of(sdk, "plain", unit) == "off"
    finally:
        assert acme.delete("/v1/kill_switches/plain").status_code == 204
    reload(sdk)
    assert value_of(sdk, "plain", unit) == "on"


def reload(sdk: GrowthBook) -> None:
    """Fetch the payload, which the SDK keeps for a minute, anew."""
    feature_repo.clear_cache()
    sdk.load_features()


def value_of(sdk: GrowthBook, key: str, unit: dict[str, Any]) -> object:
    sdk.set_attributes(unit)
    return sdk.eval_feature(key).value


def test_a_ramp_reaches_the_payload_when_its_time_comes(acme, served, world, wait_until):
    """Nothing is declared anew when a step of a ramp begins: the payload that was kept is another from then on."""
    soon = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    world.declare("acme", "about_to_ramp", ramp=[{"at": soon, "coverage": 0.75}])

    def coverage() -> float:
        features = acme.get(f"/api/features/{served.keys['acme']}").json()["features"]
        found: float = features["about_to_ramp"]["rules"][0]["coverage"]
        return found

    assert coverage() == 0
    wait_until(lambda: coverage() == 0.75, 30)
