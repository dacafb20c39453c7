"""OFREP tells a unit what POST /v1/assignments tells it, whoever stored what, and stores nothing unasked."""

from __future__ import annotations

import random
from typing import Any

import httpx

from api.settings import Settings as ApiSettings

PATH = "/ofrep/v1/evaluate/flags"
NEVER = "2999-01-01T00:00:00Z"


def flag(
    client: httpx.Client, key: str, unit: str | None, headers: dict[str, str] | None = None, **context: Any
) -> Any:
    if unit is not None:
        context["targetingKey"] = unit
    return client.post(f"{PATH}/{key}", json={"context": context}, headers=headers)


def variant(client: httpx.Client, key: str, unit: str, **context: Any) -> str:
    answer = flag(client, key, unit, **context)
    assert answer.status_code == 200, answer.text
    return answer.json()["variant"]


def assigned(client: httpx.Client, key: str, unit: str, **context: Any) -> Any:
    answer = client.post("/v1/assignments", json={"experiment": key, "unit_id": unit, "context": context})
    assert answer.status_code == 200, answer.text
    return answer.json()


def store(world: Any, key: str, unit: str, variant: str, **columns: Any) -> None:
    """What another process, or a landed file, has stored of a unit."""
    row = {"bucket_version": 0, "unit_attribute": "targetingKey", "source": "crm", **columns}
    world.insert("raw.sticky_assignments", tenant_id="acme", experiment=key, unit_id=unit, variant=variant, **row)


def test_a_unit_keeps_its_stored_variant_when_weights_change(acme, world):
    world.declare("acme", "moved", variants={"off": 1, "on": 0})
    assert assigned(acme, "moved", "early")["variant"] == variant(acme, "moved", "early") == "off"
    assert variant(acme, "moved", "late") == "off"
    world.declare("acme", "moved", variants={"off": 0, "on": 1}, version=2)
    world.put(
        {
            "kind": "flag", "key": "by_flag", "tenant": "acme", "type": "number", "default": 0,
            "rules": [{"id": "try", "experiment": "moved", "values": {"off": 1, "on": 2}}],
        }
    )  # fmt: skip
    early, late = flag(acme, "moved", "early").json(), flag(acme, "moved", "late").json()
    assert (early["variant"], early["reason"], early["metadata"]["sticky"]) == ("off", "SPLIT", True)
    assert (late["variant"], late["reason"], late["metadata"]["sticky"]) == ("on", "SPLIT", False)
    assert (flag(acme, "by_flag", "early").json()["value"], flag(acme, "by_flag", "late").json()["value"]) == (1, 2)
    assert assigned(acme, "moved", "early")["variant"] == "off"


def test_what_another_process_has_just_stored_is_in_the_next_answer(acme, world):
    world.declare("acme", "elsewhere", variants={"off": 1, "on": 0})
    for number in range(20):
        unit = f"customer-{number}"
        assert variant(acme, "elsewhere", unit) == "off"
        store(world, "elsewhere", unit, "on")
        assert variant(acme, "elsewhere", unit) == "on"
        together = acme.post(PATH, json={"context": {"targetingKey": unit}}).json()["flags"]
        assert {each["key"]: each.get("variant") for each in together}["elsewhere"] == "on"


def test_a_variant_that_is_no_longer_there_is_not_replaced_by_a_second_one(acme, world):
    world.declare("acme", "narrowed", variants={"off": 1, "on": 1}, configs={"off": "old", "on": "new"})
    store(world, "narrowed", "customer-1", "gone")
    told, answered = flag(acme, "narrowed", "customer-1").json(), assigned(acme, "narrowed", "customer-1")
    assert (told["value"], told["metadata"]["inExperiment"]) == ("old", False)
    assert (answered["config"], answered["variant"], answered["in_experiment"]) == ("old", None, False)
    assert told["metadata"]["status"] == answered["status"]


def test_ofrep_and_assignments_agree_for_every_way_to_be_stored(acme, world):
    """Clusters, fallbacks, switchbacks, layers, bucket versions and pauses, with random assignments stored before."""
    declared: dict[str, dict[str, Any]] = {
        "plain": {"coverage": 0.5},
        "cluster": {"randomization": {"by": "cluster", "attribute": "school"}},
        "window": {"randomization": {"by": "switchback", "window": "30d"}},
        "fallback": {"sticky": {"fallback_attribute": "device"}},
        "second": {"sticky": {"bucket_version": 2, "min_bucket_version": 1}},
        "paused": {"status": "paused"},
        "loose": {"sticky": {"enabled": False}},
        "after": {"prerequisites": [{"flag": "agree_plain", "condition": {"value": "on"}}]},
    }
    for key, changes in declared.items():
        world.declare("acme", f"agree_{key}", **changes)
    chance = random.Random(7)
    seen = set()
    for number in range(60):
        unit, school, device = f"unit-{number}", f"school-{number % 7}", f"device-{number}"
        for key in declared:
            if chance.random() < 0.3 and key not in ("cluster", "window"):
                store(
                    world, f"agree_{key}", unit, chance.choice(["off", "on", "gone"]),
                    bucket_version=chance.choice([0, 2]) if key == "second" else 0,
                )  # fmt: skip
        context = {"school": school, "device": device}
        for key in declared:
            told = flag(acme, f"agree_{key}", unit, **context).json()
            answered = assigned(acme, f"agree_{key}", unit, **context)
            again = flag(acme, f"agree_{key}", unit, **context).json()
            for each in (told, again):
                assert each["value"] == answered["config"], (key, unit)
                assert each["metadata"]["inExperiment"] is answered["in_experiment"], (key, unit)
                if answered["variant"] is not None:
                    assert each["variant"] == answered["variant"], (key, unit)
            seen.add((key, answered["status"]))
    assert {status for _, status in seen} >= {"assigned", "sticky", "blocked_by_version", "closed_to_new_units"}


def test_the_etag_holds_exactly_as_long_as_the_answer(acme, globex, world):
    world.declare("acme", "tagged", variants={"off": 1, "on": 0})
    for path in (PATH, f"{PATH}/tagged"):
        body = {"context": {"targetingKey": f"reader of {path}"}}
        etag = acme.post(path, json=body).headers["etag"]
        unchanged = acme.post(path, json=body, headers={"If-None-Match": f'"other", {etag}'})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
        other = acme.post(path, json={"context": {"targetingKey": "somebody"}}, headers={"If-None-Match": etag})
        assert other.status_code == 200
        # Neither flags nor context have changed: only what is stored of the unit has.
        store(world, "tagged", f"reader of {path}", "on")
        stored = acme.post(path, json=body, headers={"If-None-Match": etag})
        assert (stored.status_code, stored.headers["etag"] == etag) == (200, False)
        world.declare("acme", "tagged", variants={"off": 1, "on": 0}, coverage=0.99)
        changed = acme.post(path, json=body, headers={"If-None-Match": stored.headers["etag"]})
        assert (changed.status_code, changed.headers["etag"] == stored.headers["etag"]) == (200, False)
        world.declare("acme", "tagged", variants={"off": 1, "on": 0})


def test_an_evaluation_stores_nothing_unless_an_exposure_is_asked_for(acme, world):
    world.declare("acme", "shown")
    world.declare("acme", "closed", ramp=[{"at": NEVER, "coverage": 1}])

    def stored() -> list[tuple[Any, ...]]:
        return world.rows(
            "select 'assignment', experiment, variant from raw.sticky_assignments where unit_id = 'watcher' union all"
            " select type, properties ->> 'experiment', properties ->> 'variant' from raw.events"
            " where unit_id = 'watcher' order by 1"
        )

    for headers in ({}, {"Prefer": "return=minimal"}, {"Prefer": "exposure=none"}):
        assert "preference-applied" not in flag(acme, "shown", "watcher", headers).headers
        acme.post(PATH, json={"context": {"targetingKey": "watcher"}}, headers=headers)
    assert stored() == []
    for prefer in ("exposure=log", "return=minimal, Exposure=log; wait=1"):
        answer = flag(acme, "shown", "watcher", {"Prefer": prefer})
        assert answer.headers["preference-applied"] == "exposure=log"
        told = answer.json()["variant"]
        assert stored() == [("assignment", "shown", told), ("exposure", "shown", told)]
        assert flag(acme, "closed", "watcher", {"Prefer": prefer}).status_code == 200
    assert stored() == [("assignment", "shown", told), ("exposure", "shown", told)]


def test_an_exposure_needs_a_unit(acme, world):
    world.declare("acme", "by_school", randomization={"by": "cluster", "attribute": "school"})
    assert flag(acme, "by_school", None, school="a").status_code == 200
    refused = flag(acme, "by_school", None, {"Prefer": "exposure=log"}, school="a")
    assert (refused.status_code, refused.json()["errorCode"]) == (400, "TARGETING_KEY_MISSING")
    missing = flag(acme, "by_school", "customer-1")
    assert (missing.status_code, missing.json()["errorCode"]) == (400, "INVALID_CONTEXT")
    assert "school" in missing.json()["errorDetails"]
    for context in ({"school": "a\nb"}, {"school": "a", "name": "a\x00b"}):
        unusable = flag(acme, "by_school", "customer-1", {"Prefer": "exposure=log"}, **context)
        assert (unusable.status_code, unusable.json()["errorCode"]) == (400, "INVALID_CONTEXT"), context


def test_a_context_is_nested_no_deeper_than_what_is_stored_elsewhere(acme, world):
    world.declare("acme", "nested")
    for levels, status in ((31, 200), (32, 400), (900, 400)):
        value: Any = 1
        for _ in range(levels):
            value = [value]
        answer = flag(acme, "nested", "customer-1", {"Prefer": "exposure=log"}, deep=value)
        assert answer.status_code == status, levels
    assert "32 deep" in answer.json()["errorDetails"]
    many = {f"list_{number}": [number] for number in range(100)}
    assert flag(acme, "nested", "customer-1", **many).status_code == 200


def test_metadata_is_flat_and_names_what_decided(acme, world):
    world.declare("acme", "described", layer="strip")
    whole = [{"experiment": "described", "from": 0, "to": 10_000}]
    world.put({"kind": "layer", "key": "strip", "tenant": "acme", "unit": "customer", "allocations": whole})
    metadata = flag(acme, "described", "customer-1").json()["metadata"]
    assert all(isinstance(value, bool | int | float | str) for value in metadata.values())
    told = {name: metadata[name] for name in ("contextId", "flagSetId", "experimentKey", "layerKey", "hashAlgorithm")}
    assert told == {
        "contextId": "customer-1",
        "flagSetId": "acme",
        "experimentKey": "described",
        "layerKey": "strip",
        "hashAlgorithm": "growthbook_v2",
    }
    assert 0 <= metadata["bucket"] < 10_000
    assert (metadata["inExperiment"], metadata["isHoldout"], metadata["status"]) == (True, False, "assigned")
    assert metadata["configVersion"] == assigned(acme, "described", "customer-1")["policy_version"]


def test_a_client_key_evaluates_and_a_key_of_no_known_role_does_not(served, database):
    from resources.migration import new_key

    for role, status in (("client", 200), ("developer", 200), ("nobody", 403)):
        headers = {"X-API-Key": new_key(database, "acme", role=role).key}
        answer = httpx.post(f"{served.url}{PATH}", json={}, headers=headers)
        assert answer.status_code == status, role
        assert answer.headers["content-type"] == "application/json"
        assert ("errorDetails" in answer.json()) is (status == 403)


def test_without_a_database_it_says_so_in_the_words_of_the_protocol(serve, keys):
    with serve(
        ApiSettings(database_url="postgresql://causeway_api@127.0.0.1:1/causeway", connect_timeout=0.5)
    ) as served:
        answer = flag(served.client("acme"), "text", "customer-1")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/json")
    assert answer.headers["retry-after"].isdecimal()
    assert answer.json()["errorCode"] == "GENERAL" and answer.json()["errorDetails"]
