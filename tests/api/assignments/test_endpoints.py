"""Assignments over HTTP: a unit's variant is stored before it is told, and never changes."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from causeway.assignment.declared import flag_set
from causeway.assignment.evaluate import evaluate
from causeway.declarations.experiment import ExperimentDeclaration


@pytest.fixture(scope="module", autouse=True)
def experiments(world):
    world.declare("acme", "checkout", variants={"off": 1, "on": 1})
    world.declare("acme", "banner", variants={"off": 1, "on": 3})
    world.declare("acme", "forced", variants={"off": 0, "on": 1})
    world.declare("globex", "checkout")
    world.declare("globex", "own")


def ask(client, experiment, unit_id, **more):
    return client.post("/v1/assignments", json={"experiment": experiment, "unit_id": unit_id, **more})


def stored(world, tenant, unit_id):
    return world.rows(
        "select experiment, variant, source, event_id, type, properties from raw.assignments"
        " where tenant_id = %s and unit_id = %s",
        tenant,
        unit_id,
    )


def test_the_variant_is_that_of_the_hash_and_is_stored_before_the_answer(acme, world):
    (document,) = world.rows(
        "select declaration from registry.experiments where tenant_id = 'acme' and key = 'banner'"
    )[0]
    flags = flag_set([ExperimentDeclaration.model_validate(document)])
    for number in range(20):
        answer = ask(acme, "banner", f"u{number}", properties={"channel": "Web"})
        assert answer.status_code == 200
        variant = evaluate(flags, "banner", {"targetingKey": f"u{number}"}).variant
        assert (answer.json()["variant"], answer.json()["source"]) == (variant, "api")
        assert stored(world, "acme", f"u{number}") == [
            ("banner", variant, "api", f"banner:u{number}", "assignment", {"channel": "Web"})
        ]


def test_asking_again_changes_nothing(acme, world):
    first, second = ask(acme, "checkout", "again").json(), ask(acme, "checkout", "again").json()
    assert (first.pop("status"), first.pop("sticky")) == ("assigned", False)
    assert (second.pop("status"), second.pop("sticky")) == ("sticky", True)
    assert first == second
    assert len(stored(world, "acme", "again")) == 1


def test_a_unit_keeps_its_variant_when_the_weights_change(acme, world):
    world.declare("acme", "moving", variants={"off": 1, "on": 0})
    assert ask(acme, "moving", "early").json()["variant"] == "off"
    world.declare("acme", "moving", variants={"off": 0, "on": 1})
    assert ask(acme, "moving", "late").json()["variant"] == "on"
    assert ask(acme, "moving", "early").json()["variant"] == "off"


def test_a_variant_without_weight_is_never_given(acme):
    assert Counter(ask(acme, "forced", f"z{n}").json()["variant"] for n in range(50)) == {"on": 50}


def test_an_assignment_that_was_landed_holds(acme, world):
    """The hash would give some of these units the other arm: what they were told before counts."""
    for number in range(10):
        world.insert(
            "raw.sticky_assignments",
            tenant_id="acme",
            source="campaign.csv",
            unit_id=f"landed-{number}",
            assigned_at="2024-01-01T00:00:00Z",
            experiment="checkout",
            bucket_version=0,
            variant="on",
        )
        body = ask(acme, "checkout", f"landed-{number}").json()
        assert (body["variant"], body["source"], body["assigned_at"]) == (
            "on",
            "campaign.csv",
            "2024-01-01T00:00:00Z",
        )
        assert stored(world, "acme", f"landed-{number}") == []


def test_fifty_at_once_get_the_one_stored_variant(served, world):
    clients = [served.client("acme") for _ in range(10)]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda n: ask(clients[n % 10], "checkout", "crowd"), range(50)))
    assert {answer.status_code for answer in answers} == {200}
    rows = stored(world, "acme", "crowd")
    assert len(rows) == 1
    assert {(answer.json()["variant"], answer.json()["assigned_at"]) for answer in answers} == {
        (rows[0][1], answers[0].json()["assigned_at"])
    }


def test_the_assignments_of_a_unit_are_listed_by_experiment(acme):
    variants = {key: ask(acme, key, "listed").json()["variant"] for key in ("checkout", "banner")}
    body = acme.get("/v1/assignments/listed").json()
    assert body["unit_id"] == "listed"
    assert [(row["experiment"], row["variant"]) for row in body["assignments"]] == [
        ("banner", variants["banner"]),
        ("checkout", variants["checkout"]),
    ]


@pytest.mark.parametrize("unit_id", ["a/b", "née 1", "x' or '1'='1", "{{7*7}}", "%2e", "a?b#c", "漢字" * 256])
def test_a_unit_may_be_called_anything_that_is_text(acme, unit_id):
    variant = ask(acme, "checkout", unit_id).json()["variant"]
    body = acme.get(f"/v1/assignments/{quote(unit_id, safe='')}").json()
    assert (body["unit_id"], body["assignments"][0]["variant"]) == (unit_id, variant)


def test_another_tenants_assignments_and_experiments_do_not_exist(acme, globex, world):
    ask(globex, "own", "shared")
    assert acme.get("/v1/assignments/shared").status_code == 404
    assert ask(acme, "own", "shared").status_code == 404
    ask(acme, "checkout", "shared")
    assert [row["experiment"] for row in globex.get("/v1/assignments/shared").json()["assignments"]] == ["own"]
    assert len(stored(world, "acme", "shared")) == len(stored(world, "globex", "shared")) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"experiment": "checkout"},
        {"experiment": "checkout", "unit_id": ""},
        {"experiment": "checkout", "unit_id": "   "},
        {"experiment": "checkout", "unit_id": 7},
        {"experiment": "checkout", "unit_id": "a\x00b"},
        {"experiment": "checkout", "unit_id": "a\ud800"},
        {"experiment": "checkout", "unit_id": "u" * 513},
        {"experiment": "check out", "unit_id": "u"},
        {"experiment": "checkout", "unit_id": "u", "properties": {"a": "\x00"}},
        {"experiment": "checkout", "unit_id": "u", "properties": {"a": "\udfff"}},
        {"experiment": "checkout", "unit_id": "u", "properties": {"a": 1e400}},
        {"experiment": "checkout", "unit_id": "u", "properties": []},
        {"experiment": "checkout", "unit_id": "u", "variant": "on"},
        [],
        None,
    ],
)
def test_a_request_that_cannot_be_is_refused_and_stores_nothing(acme, world, body):
    import json

    before = world.rows("select count(*) from raw.assignments")
    answer = acme.post(
        "/v1/assignments", content=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]
    assert world.rows("select count(*) from raw.assignments") == before
