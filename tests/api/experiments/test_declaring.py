"""Experiments declared over HTTP: the rules of files, in one transaction, with nobody's change lost."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
import httpx
import pytest
import yaml

from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.reading import read_declaration
from jobs.observe import observe
from resources.postgres_client import PostgresClient

EXPERIMENTS = "/v1/experiments"


def document(key: str, **changes: Any) -> dict[str, Any]:
    """A declaration as it is sent: no kind and no tenant."""
    return {
        "key": key,
        "unit": "customer",
        "control": "off",
        "variants": {"off": 1, "on": 1},
        "metrics": [{"key": "paid", "type": "conversion", "column": "paid"}],
        **changes,
    }


def created(client: httpx.Client, key: str, **changes: Any) -> httpx.Response:
    answer = client.post(EXPERIMENTS, json=document(key, **changes))
    assert answer.status_code == 201, answer.text
    return answer


def patched(client: httpx.Client, key: str, patch: Any, if_match: str = "*", **more: Any) -> httpx.Response:
    return client.patch(f"{EXPERIMENTS}/{key}", json=patch, headers={"If-Match": if_match}, **more)


def errors(answer: httpx.Response) -> list[tuple[str, str]]:
    """(path, code) of each error of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    return [(error["location"][-1], error["code"]) for error in answer.json()["errors"]]


def rows(world: Any, key: str) -> dict[str, int]:
    """How many rows there are of an experiment, by table."""
    counted = {
        "registry.experiments": "key = %s",
        "registry.declaration_versions": "kind = 'experiment' and key = %s",
        "registry.life_cycle": "experiment = %s",
        "ops.audit": "subject = %s",
    }
    return {
        table: world.rows(f"select count(*) from {table} where {where}", key)[0][0] for table, where in counted.items()
    }


NOTHING = {"registry.experiments": 0, "registry.declaration_versions": 0, "registry.life_cycle": 0, "ops.audit": 0}
ONE = dict.fromkeys(NOTHING, 1)


def test_a_declared_experiment_is_in_force_at_once_and_shown_with_its_life(acme, world, keys):
    key_id = keys["acme"].split("_")[2]
    answer = created(acme, "fresh", status="draft", configs={"off": {"steps": 3}, "on": {"steps": 1}})
    assert answer.headers["location"] == f"{EXPERIMENTS}/fresh"
    shown = acme.get(f"{EXPERIMENTS}/fresh")
    assert shown.headers["etag"] == answer.headers["etag"]
    body = shown.json()
    assert (body["status"], body["version"], body["stage"], body["declared_in"]) == ("draft", 1, "pending", None)
    assert body["declaration"] == answer.json()["declaration"]
    assert [(step["status"], step["version"]) for step in body["life_cycle"]] == [("draft", 1)]
    assert rows(world, "fresh") == ONE
    unit = {"experiment": "fresh", "unit_id": "customer-1"}
    assert acme.post("/v1/assignments", json=unit).json()["variant"] is None
    assert patched(acme, "fresh", {"status": "running"}).status_code == 200
    assert acme.post("/v1/assignments", json=unit).json()["variant"] in ("off", "on")
    ((actor, details),) = world.rows(
        "select actor, details from ops.audit where subject = 'fresh' and action = 'experiment.created'"
    )
    assert details["declaration_hash"] == answer.json()["declaration_hash"]
    assert actor == key_id


def test_the_same_declaration_from_a_file_has_the_same_document_and_hash(acme):
    answer = created(acme, "as_in_a_file", targeting={"country": {"$in": ["DE"]}}, coverage=0.5).json()
    text = yaml.safe_dump({"kind": "experiment", "tenant": "acme", **answer["declaration"]})
    from_file = read_declaration(text, "as_in_a_file.yaml")
    assert from_file.document() == answer["declaration"]
    assert from_file.declaration_hash == answer["declaration_hash"]


def test_it_is_a_partition_in_dagster_like_one_from_a_file(acme, database):
    created(acme, "over_http")
    instance = dg.DagsterInstance.ephemeral()
    observe(instance, PostgresClient(database))
    assert "acme|over_http" in instance.get_dynamic_partitions("experiments")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"unit": None}, ("unit", "invalid")),
        ({"variants": {"off": 1}}, ("variants", "invalid")),
        ({"control": "of"}, ("control", "invalid")),
        ({"coverage": 1.5}, ("coverage", "invalid")),
        ({"metrics": [{"key": "a", "type": "averge"}]}, ("metrics[0].type", "invalid")),
        ({"colour": "blue"}, ("body", "invalid")),
        ({"tenant": "globex"}, ("tenant", "other_tenant")),
        ({"source": {"file": "/etc/passwd", "variant": "v"}}, ("source", "not_over_http")),
        ({"layer": "nowhere"}, ("layer", "reference")),
        ({"targeting": {"age": {"$above": 3}}}, ("targeting", "condition")),
        ({"prerequisites": [{"flag": "nothing"}]}, ("prerequisites[0].flag", "reference")),
        ({"name": "half \ud800"}, ("name", "invalid")),
        ({"key": "no spaces"}, ("key", "invalid")),
    ],
)
def test_a_mistake_is_named_by_its_path_and_nothing_is_stored(acme, world, changes, expected):
    sent = {**document("mistaken"), **changes}
    answer = acme.post(EXPERIMENTS, content=json.dumps(sent).encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    path, code = expected
    found = errors(answer)
    assert any(each == path or each.startswith(f"{path}.") for each, word in found if word == code), found
    assert rows(world, "mistaken") == NOTHING


@pytest.mark.parametrize(("content", "status"), [(b"{", 400), (b"[]", 422), (b'{"key": "a", "key": "b"}', 422)])
def test_what_is_no_json_object_is_refused(acme, content, status):
    answer = acme.post(EXPERIMENTS, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    errors(answer)


def test_a_key_is_declared_once_over_http(acme):
    created(acme, "taken")
    again = acme.post(EXPERIMENTS, json=document("taken"))
    assert again.status_code == 409
    assert "PATCH /v1/experiments/taken" in again.json()["detail"]


def test_a_request_under_one_idempotency_key_is_done_once(acme, world):
    key = {"Idempotency-Key": "made-once"}
    first = acme.post(EXPERIMENTS, json=document("once"), headers=key)
    again = acme.post(EXPERIMENTS, json=document("once"), headers=key)
    assert first.status_code == 201
    assert (again.status_code, again.content) == (201, first.content)
    assert {name: again.headers[name] for name in ("etag", "location")} == {
        name: first.headers[name] for name in ("etag", "location")
    }
    assert rows(world, "once") == ONE
    other = acme.post(EXPERIMENTS, json=document("another"), headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "urn:causeway:problem:idempotency-key-reused")
    assert rows(world, "another") == NOTHING


def test_an_idempotency_key_of_a_refused_request_can_be_used_again(acme):
    key = {"Idempotency-Key": "second-try"}
    assert acme.post(EXPERIMENTS, json=document("retried", control="x"), headers=key).status_code == 422
    assert acme.post(EXPERIMENTS, json=document("retried"), headers=key).status_code == 201


def test_of_many_at_once_under_one_idempotency_key_all_get_one_answer(served, world):
    for number in range(5):
        crowd = f"crowd_{number}"
        clients = [served.client("acme") for _ in range(8)]
        for client in clients:
            client.get("/healthz")
        together = threading.Barrier(len(clients))

        def post(client: httpx.Client, crowd: str = crowd, together: threading.Barrier = together) -> httpx.Response:
            together.wait()
            return client.post(EXPERIMENTS, json=document(crowd), headers={"Idempotency-Key": crowd})

        with ThreadPoolExecutor(len(clients)) as threads:
            answers = list(threads.map(post, clients))
        assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
        assert rows(world, crowd) == ONE


def test_tenants_do_not_meet_in_idempotency_keys_nor_in_experiments(acme, globex):
    key = {"Idempotency-Key": "shared"}
    assert acme.post(EXPERIMENTS, json=document("of_acme"), headers=key).status_code == 201
    assert globex.post(EXPERIMENTS, json=document("of_globex"), headers=key).status_code == 201
    assert globex.get(f"{EXPERIMENTS}/of_acme").status_code == 404
    assert patched(globex, "of_acme", {"status": "stopped"}).status_code == 404


def test_a_dry_run_says_what_would_be_and_stores_nothing(acme, world):
    plan = acme.post(EXPERIMENTS, params={"dry_run": True}, json=document("planned", coverage=0.25))
    assert plan.status_code == 200
    assert (plan.json()["action"], plan.json()["problems"]) == ("create", [])
    assert {"path": "coverage", "before": None, "after": 0.25} in plan.json()["changes"]
    assert rows(world, "planned") == NOTHING
    created(acme, "planned")
    change = patched(acme, "planned", {"variants": {"on": 3}, "owner": "growth"}, params={"dry_run": True}).json()
    assert change["action"] == "change"
    assert {"path": "owner", "before": None, "after": "growth"} in change["changes"]
    assert {"path": "variants.on", "before": 1.0, "after": 3.0} in change["changes"]
    assert [(problem["location"], problem["code"]) for problem in change["problems"]] == [
        (["body", "variants"], "frozen")
    ]
    nothing = patched(acme, "planned", {"owner": None}, params={"dry_run": True}).json()
    assert (nothing["action"], nothing["changes"]) == ("none", [])
    again = acme.post(EXPERIMENTS, params={"dry_run": True}, json=document("planned")).json()
    assert [problem["code"] for problem in again["problems"]] == ["taken"]
    assert rows(world, "planned") == ONE


def test_who_did_not_see_the_last_change_cannot_undo_it(acme):
    first = created(acme, "contested").headers["etag"]
    path = f"{EXPERIMENTS}/contested"
    assert acme.patch(path, json={"owner": "me"}).status_code == 428
    assert acme.put(path, json=document("contested", owner="me")).status_code == 428
    changed = patched(acme, "contested", {"owner": "me"}, first)
    assert changed.status_code == 200
    assert changed.headers["etag"] != first
    assert patched(acme, "contested", {"owner": "you"}, first).status_code == 412
    assert acme.put(path, json=document("contested"), headers={"If-Match": first}).status_code == 412
    assert patched(acme, "contested", {"owner": "you"}, f'"other", {changed.headers["etag"]}').status_code == 200
    shown = acme.get(path).json()
    # What is no step of its life leaves its life as it was.
    assert (shown["owner"], len(shown["life_cycle"])) == ("you", 1)


def test_put_replaces_the_whole_and_patch_a_part(acme):
    created(acme, "both", owner="growth", covariates=["age"])
    path = f"{EXPERIMENTS}/both"
    merge = {"Content-Type": "application/merge-patch+json", "If-Match": "*"}
    part = acme.patch(path, content=json.dumps({"owner": None, "covariates": ["age", "country"]}), headers=merge).json()
    assert (part["declaration"]["owner"], part["declaration"]["covariates"]) == (None, ["age", "country"])
    whole = acme.put(path, json=document("both", hypothesis="It helps."), headers={"If-Match": "*"}).json()
    assert (whole["declaration"]["hypothesis"], whole["declaration"]["covariates"]) == ("It helps.", [])
    assert acme.put(path, json={**document("both"), "key": "other"}, headers={"If-Match": "*"}).status_code == 422


def test_a_change_that_changes_nothing_writes_nothing(acme, world):
    etag = created(acme, "same").headers["etag"]
    before = rows(world, "same")
    assert patched(acme, "same", {}).headers["etag"] == etag
    assert rows(world, "same") == before


@pytest.mark.parametrize(
    "change", [{"variants": {"on": 2}}, {"salt": "pepper"}, {"hasher": "eppo"}, {"control": "on"}, {"unit": "visitor"}]
)
def test_what_decides_the_variants_of_a_running_experiment_needs_a_new_version(acme, world, change):
    key = f"frozen_{next(iter(change))}"
    created(acme, key)
    refused = patched(acme, key, change)
    assert refused.status_code == 409
    assert errors(refused) == [(next(iter(change)), "frozen")]
    assert "raise version above 1" in refused.json()["detail"]
    assert rows(world, key) == ONE
    assert patched(acme, key, {**change, "version": 2}).status_code == 200
    steps = acme.get(f"{EXPERIMENTS}/{key}").json()["life_cycle"]
    assert [(step["status"], step["version"]) for step in steps] == [("running", 1), ("running", 2)]


def test_the_life_cycle_goes_one_way_and_every_step_is_dated(acme):
    created(acme, "alive", status="draft")
    for status, code in (
        ("paused", 409), ("running", 200), ("draft", 409), ("paused", 200), ("running", 200), ("archived", 409),
        ("stopped", 200), ("running", 409), ("archived", 200), ("stopped", 409),
    ):  # fmt: skip
        answer = patched(acme, "alive", {"status": status})
        assert answer.status_code == code, status
        if code == 409:
            assert errors(answer) == [("status", "transition")]
    steps = acme.get(f"{EXPERIMENTS}/alive").json()["life_cycle"]
    assert [step["status"] for step in steps] == ["draft", "running", "paused", "running", "stopped", "archived"]
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)


def test_what_a_file_declares_is_changed_there(acme, world):
    world.declare("acme", "from_file")
    world.execute("update registry.experiments set declared_in = 'shop/from_file.yaml' where key = 'from_file'")
    refused = [
        patched(acme, "from_file", {"owner": "me"}),
        acme.put(f"{EXPERIMENTS}/from_file", json=document("from_file"), headers={"If-Match": "*"}),
        acme.post(EXPERIMENTS, json=document("from_file")),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:causeway:problem:declared-in-file")
        assert "shop/from_file.yaml" in answer.json()["detail"]
    assert acme.get(f"{EXPERIMENTS}/from_file").json()["declared_in"] == "shop/from_file.yaml"


def test_an_experiment_that_is_not_there_cannot_be_changed(acme):
    assert patched(acme, "not_there", {"owner": "me"}).status_code == 404
    assert acme.put(f"{EXPERIMENTS}/not_there", json=document("x"), headers={"If-Match": "*"}).status_code == 404


def test_two_that_need_each_other_are_refused(acme):
    created(acme, "hen")
    created(acme, "egg", prerequisites=[{"flag": "hen", "condition": {"value": "on"}}])
    circle = patched(acme, "hen", {"prerequisites": [{"flag": "egg", "condition": {"value": "on"}}]})
    assert circle.status_code == 422
    assert errors(circle)[0][1] == "cycle"


def test_a_client_key_declares_nothing(served, database):
    from resources.migration import new_key

    key = new_key(database, "acme", role="client").key
    answer = httpx.post(f"{served.url}{EXPERIMENTS}", json=document("x"), headers={"X-API-Key": key})
    assert answer.status_code == 403


def test_the_stored_declaration_is_valid(acme, world):
    created(acme, "sound", ramp=[{"at": "2026-01-01T00:00:00Z", "coverage": 0.1}])
    ((stored, kept),) = world.rows("select declaration, declaration_hash from registry.experiments where key = 'sound'")
    assert ExperimentDeclaration.model_validate(stored).declaration_hash == kept
