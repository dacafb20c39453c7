"""Keys: who has one gets their own tenant's answers, and nobody else gets any."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from resources.migration import ensure_tenant, new_key

# What a published key opens as well.
CLIENT_ROUTES = [
    ("POST", "/v1/assignments"),
    ("POST", "/v1/events"),
    ("POST", "/ofrep/v1/evaluate/flags"),
    ("POST", "/ofrep/v1/evaluate/flags/e"),
]
ROUTES = [
    *CLIENT_ROUTES,
    ("GET", "/v1/experiments"),
    ("POST", "/v1/experiments"),
    ("GET", "/v1/experiments/e"),
    ("PUT", "/v1/experiments/e"),
    ("PATCH", "/v1/experiments/e"),
    ("GET", "/v1/experiments/e/results"),
    ("GET", "/v1/experiments/e/looks"),
    ("GET", "/v1/experiments/e/findings"),
    ("GET", "/v1/experiments/e/report"),
    ("GET", "/v1/experiments/e/decisions"),
    ("POST", "/v1/experiments/e/decisions"),
    ("GET", "/v1/studies/s/results"),
    ("GET", "/v1/studies/s/report"),
    ("GET", "/v1/kpis/e/gaps"),
    ("GET", "/v1/kpis/e/ranking"),
    ("GET", "/v1/kpis/e/allocation"),
    ("POST", "/v1/assignments:explain"),
    ("POST", "/v1/assignments:batch"),
    ("GET", "/v1/assignments/u"),
    ("GET", "/v1/kill_switches"),
    ("PUT", "/v1/kill_switches/e"),
    ("DELETE", "/v1/kill_switches/e"),
    ("GET", "/openapi.json"),
    ("GET", "/v1/no/such/route"),
    ("DELETE", "/v1/experiments"),
]


def status_with(served, headers):
    return httpx.get(f"{served.url}/v1/experiments", headers=headers).status_code


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_answers_without_a_key(stranger, method, path):
    answer = stranger.request(method, path)
    assert answer.status_code == 401
    media_type = "application/json" if path.startswith("/ofrep/") else "application/problem+json"
    assert answer.headers["content-type"] == media_type
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_every_route_of_the_application_is_in_the_list_above(acme):
    """A route that is added without being tried here fails this test."""
    open_routes = {"/healthz", "/readyz", "/metrics"}
    described = acme.get("/openapi.json").json()["paths"]
    names = {"{unit_id}": "u", "/studies/{key}": "/studies/s", "{key}": "e"}
    # There the key is a part of the path.
    open_routes.add("/api/features/{client_key}")
    tried = {(method.lower(), path) for method, path in ROUTES}
    for path, operations in described.items():
        for method in operations:
            filled = path
            for name, value in names.items():
                filled = filled.replace(name, value)
            assert path in open_routes or (method, filled) in tried, f"{method} {path} is not tried without a key"


def test_a_key_opens_by_either_header(served):
    key = served.keys["acme"]
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"authorization": f"bearer  {key}"},
        {"X-API-Key": key},
    ):
        assert status_with(served, headers) == 200


def test_what_is_not_a_key_opens_nothing(served):
    key = served.keys["acme"]
    tenant, key_id, secret = key.removeprefix("cw_").rsplit("_", 2)
    wrong = [
        "",
        "x",
        "cw___",
        "cw_acme",
        key[:-1],
        key + "0",
        key.upper(),
        f"cw_globex_{key_id}_{secret}",
        f"cw_{tenant}_{key_id}_{'0' * len(secret)}",
        f"cw_{tenant}_nosuchid_{secret}",
        f"cw_nosuchtenant_{key_id}_{secret}",
        f"cw_acme' or '1'='1_{key_id}_{secret}",
        f"cw_acme_%_{secret}",
        "cw_acme_x_" + "s" * 10_000,
        hashlib.sha256(key.encode()).hexdigest(),
    ]
    for text in wrong:
        assert status_with(served, {"X-API-Key": text}) == 401, text
    assert status_with(served, {"Authorization": f"Basic {key}"}) == 401
    assert status_with(served, {"Authorization": key}) == 401
    assert status_with(served, {"X-API-Key": b"\xff\xfe" + key.encode()}) == 401


def test_an_expired_key_opens_nothing(served, database):
    past, future = (datetime.now(UTC) + timedelta(days=days) for days in (-1, 1))
    expired = new_key(database, "acme", expires_at=past).key
    valid = new_key(database, "acme", expires_at=future).key
    assert status_with(served, {"X-API-Key": expired}) == 401
    assert status_with(served, {"X-API-Key": valid}) == 200


def test_a_key_that_expires_while_it_is_remembered_opens_nothing_from_then_on(served, database):
    key = new_key(database, "acme", expires_at=datetime.now(UTC) + timedelta(seconds=1)).key
    assert status_with(served, {"X-API-Key": key}) == 200
    import time

    time.sleep(1.1)
    assert status_with(served, {"X-API-Key": key}) == 401


def test_the_tenant_of_a_key_may_hold_underscores(served, database, world):
    """Read from the left, ``acme_north_1`` would be tenant ``acme`` with key id ``north``."""
    ensure_tenant(database, "acme_north_1")
    world.declare("acme_north_1", "theirs")
    world.declare("acme", "ours")
    client = httpx.Client(base_url=served.url, headers={"X-API-Key": new_key(database, "acme_north_1").key})
    with client:
        assert [row["experiment"] for row in client.get("/v1/experiments").json()["experiments"]] == ["theirs"]


@pytest.fixture(scope="module")
def client(served, database):
    """A client of the tenant acme whose key may be published."""
    with httpx.Client(
        base_url=served.url, headers={"X-API-Key": new_key(database, "acme", role="client").key}
    ) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_published_key_opens_what_an_app_needs_and_nothing_else(client, method, path):
    answer = client.request(method, path, json={} if method in {"POST", "PUT", "PATCH"} else None)
    assert (answer.status_code == 403) == ((method, path) not in CLIENT_ROUTES)
    if answer.status_code == 403:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:causeway:problem:forbidden"


def test_a_published_key_can_be_used(client, world):
    world.declare("acme", "public")
    assert client.post("/v1/assignments", json={"experiment": "public", "unit_id": "u"}).json()["variant"]
    assert client.post("/ofrep/v1/evaluate/flags/public", json={"context": {"targetingKey": "u"}}).status_code == 200
    key = client.headers["X-API-Key"]
    assert httpx.get(f"{client.base_url}/api/features/{key}").status_code == 200


def test_a_role_that_is_not_known_opens_nothing(served, database):
    key = new_key(database, "acme", role="auditor").key
    for method, path in ROUTES:
        assert httpx.request(method, f"{served.url}{path}", headers={"X-API-Key": key}).status_code == 403


def test_a_key_in_the_path_opens_that_path_alone(served):
    key = served.keys["acme"]
    assert httpx.get(f"{served.url}/api/features/{key}").status_code == 200
    assert httpx.get(f"{served.url}/api/features/{key}x").status_code == 401
    assert httpx.get(f"{served.url}/api/features/").status_code == 401
    # The header does not count there: the vendor's clients share what they were answered by path.
    assert httpx.get(f"{served.url}/api/features/x", headers={"X-API-Key": key}).status_code == 401
    assert httpx.get(f"{served.url}/v1/experiments/{key}").status_code == 401
