"""The service under load and without its database: nobody is told what is not stored."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from resources.connection import connect


def ask(client, experiment, unit_id, **more):
    return client.post("/v1/assignments", json={"experiment": experiment, "unit_id": unit_id, **more})


@pytest.fixture
def locked(database):
    """A connection that holds the stored assignments locked until it is closed."""
    with connect(database.address("causeway_owner")) as owner:
        owner.execute("lock table raw.sticky_assignments in access exclusive mode")
        yield owner


def test_two_processes_that_are_asked_for_one_unit_tell_the_one_stored_variant(served, serve, api_settings, world):
    world.declare("acme", "raced", variants={"off": 1, "on": 1})
    with serve(api_settings) as other:
        clients = [each.client("acme") for each in (served, other) for _ in range(8)]
        for number in range(20):
            with ThreadPoolExecutor(16) as pool:
                answers = list(pool.map(lambda client, n=number: ask(client, "raced", f"r{n}").json(), clients))
            assert len({(answer["variant"], answer["assigned_at"]) for answer in answers}) == 1
        rows = world.rows("select unit_id from raw.assignments where experiment = 'raced'")
        assert len(rows) == len(set(rows)) == 20


def test_of_two_who_decide_differently_the_first_one_to_store_is_told_to_both(served, database, world):
    """Another process has stored the other variant between our reading and our writing: made so by a lock."""
    world.declare("acme", "overtaken", variants={"off": 0, "on": 1})
    acme = served.client("acme")
    assert ask(acme, "overtaken", "warm").json()["variant"] == "on"
    with connect(database.address("causeway_pipeline")) as rival, ThreadPoolExecutor(1) as pool:
        rival.execute(
            "insert into raw.sticky_assignments (tenant_id, experiment, bucket_version, unit_id, variant, source)"
            " values ('acme', 'overtaken', 0, 'u', 'off', 'rival')"
        )
        waiting = pool.submit(ask, acme, "overtaken", "u")
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.5)
        rival.commit()
        answer = waiting.result(timeout=10).json()
    assert (answer["variant"], answer["config"], answer["source"], answer["sticky"]) == ("off", "off", "rival", True)
    assert world.rows("select variant from raw.assignments where unit_id = 'u' and experiment = 'overtaken'") == []


def test_more_than_can_wait_are_told_to_come_again_and_the_others_are_stored(
    serve, api_settings, world, locked, wait_until
):
    world.declare("acme", "crowded")
    settings = replace(api_settings, assignments_waiting=5, statement_timeout=30.0, lock_timeout=30.0)
    with serve(settings) as served, ThreadPoolExecutor(12) as pool:
        clients = [served.client("acme") for _ in range(12)]
        asked = [pool.submit(ask, client, "crowded", f"c{n}") for n, client in enumerate(clients)]
        wait_until(lambda: sum(each.done() for each in asked) == 7)
        told = [each.result() for each in asked if each.done()]
        assert {answer.status_code for answer in told} == {429}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in told)
        assert clients[0].get("/healthz").status_code == 200
        assert "causeway_api_assignments_waiting 5.0" in clients[0].get("/metrics").text
        locked.rollback()
        answers = [each.result() for each in asked]
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 7
    assert world.rows("select count(*) from raw.sticky_assignments where experiment = 'crowded'") == [(5,)]


def test_a_database_that_does_not_answer_is_a_503_and_stores_nothing(serve, api_settings, world, locked):
    world.declare("acme", "stuck")
    with serve(replace(api_settings, statement_timeout=0.3)) as served:
        acme = served.client("acme")
        answer = ask(acme, "stuck", "u")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        locked.rollback()
        assert ask(acme, "stuck", "u").json()["sticky"] is False


def test_a_landing_that_is_long_under_way_holds_up_its_own_units_alone(serve, api_settings, database, world):
    world.declare("acme", "landing")
    settings = replace(api_settings, lock_timeout=0.5)
    with (
        serve(settings) as served,
        connect(database.address("causeway_pipeline")) as landing,
        ThreadPoolExecutor(8) as pool,
    ):
        landing.execute(
            "insert into raw.sticky_assignments (tenant_id, experiment, bucket_version, unit_id, variant, source)"
            " values ('acme', 'landing', 0, 'landed', 'on', 'file')"
        )
        clients = [served.client("acme") for _ in range(8)]
        wanted = ["landed", *(f"free-{n}" for n in range(7))]
        answers = list(pool.map(lambda client, unit: ask(client, "landing", unit), clients, wanted))
        assert [answer.status_code for answer in answers] == [503] + [200] * 7
        landing.commit()
        assert ask(clients[0], "landing", "landed").json()["source"] == "file"


def test_clients_that_send_half_a_request_hold_no_connection_to_the_database(serve, api_settings, world):
    world.declare("acme", "stalled")
    one_each = replace(api_settings, read_connections=1, append_connections=1, write_connections=1)
    with serve(one_each) as served:
        body = b'{"experiment": "stalled", "unit_id": "half'
        head = (
            f"POST /v1/assignments HTTP/1.1\r\nHost: x\r\nX-API-Key: {served.keys['acme']}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        )
        stalled = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(20)]
        for connection in stalled:
            connection.sendall(head.encode() + body)
        acme = served.client("acme")
        assert all(ask(acme, "stalled", f"u{n}").status_code == 200 for n in range(20))
        for connection in stalled:
            connection.close()


def test_a_large_context_is_refused(acme, world):
    world.declare("acme", "large")
    assert ask(acme, "large", "u", context={"text": "x" * 300_000}).status_code == 413
    assert ask(acme, "large", "u" * 1_000_000).status_code == 413
    assert ask(acme, "large", "u", context={"text": "x" * 200_000}).status_code == 200


def test_a_unit_that_postgres_refuses_does_not_befall_those_beside_it(acme, world):
    """Every text that may be stored is; whatever else happens, the others of the group are answered."""
    world.declare("acme", "beside")
    with ThreadPoolExecutor(8) as pool:
        bodies = ["u\x00", "fine-1", "\ud800", "fine-2", " ", "fine-3"]
        answers = list(
            pool.map(lambda unit: ask(acme, "beside", unit).status_code, [b for b in bodies if b != "\ud800"])
        )
    assert answers == [422, 200, 200, 422, 200]


def test_what_is_appended_is_of_the_tenant_alone(database):
    """The statement that stores runs under row-level security like any other."""
    with connect(database.address("causeway_api")) as api, pytest.raises(psycopg.errors.InsufficientPrivilege):
        api.execute(
            "with tenant as materialized (select set_config('app.tenant_id', 'acme', true) as id)"
            " insert into raw.sticky_assignments (tenant_id, experiment, bucket_version, unit_id, variant, source)"
            " select 'globex', 'e', 0, 'u', 'on', 'api' from tenant"
        )
