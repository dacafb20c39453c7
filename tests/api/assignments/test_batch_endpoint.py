"""Tables of units over HTTP: answered as each unit would be by itself, and stored before the answer."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pyarrow as pa
import pytest

from api.assignments import batch_endpoint, tables
from resources.connection import connect

NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"


def post(client, experiment, units, *, persist=None, content=None, **headers):
    query = {"experiment": experiment} if persist is None else {"experiment": experiment, "persist": persist}
    body = b"".join(json.dumps(unit).encode() + b"\n" for unit in units) if content is None else content
    return client.post("/v1/assignments:batch", params=query, content=body, headers={"Content-Type": NDJSON, **headers})


def batch(client, experiment, units, **more):
    answer = post(client, experiment, units, **more)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def one(client, experiment, unit_id, **context):
    answer = client.post("/v1/assignments", json={"experiment": experiment, "unit_id": unit_id, "context": context})
    assert answer.status_code == 200, answer.text
    return answer.json()


def stored(world, experiment):
    rows = world.rows(
        "select unit_attribute, unit_id, variant from raw.sticky_assignments where experiment = %s", experiment
    )
    return {(attribute, unit): variant for attribute, unit, variant in rows}


def units(count, **attributes):
    return [{"unit_id": f"u-{number}", **{k: v(number) for k, v in attributes.items()}} for number in range(count)]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Several parts although the tables are small."""
    monkeypatch.setattr(tables, "ROWS_AT_ONCE", 40)
    monkeypatch.setattr(batch_endpoint, "ROWS_SENT_AT_ONCE", 30)


def test_a_row_is_answered_as_the_unit_by_itself_and_stored(acme, world):
    changes = {
        "targeting": {"plan": {"$in": ["pro", "team"]}},
        "coverage": 0.7,
        "configs": {"off": {"a": 1}, "on": {"a": 2.5}},
    }
    for key in ("table", "single"):
        world.declare("acme", key, salt="the same", **changes)
    asked = units(150, plan=lambda n: ["pro", "free", "team"][n % 3])
    rows = batch(acme, "table", asked)
    assert [row["unit_id"] for row in rows] == [unit["unit_id"] for unit in asked]
    for unit, row in zip(asked, rows, strict=True):
        alone = one(acme, "single", unit["unit_id"], plan=unit["plan"])
        for name in ("variant", "config", "status", "reason", "bucket", "in_experiment", "sticky"):
            assert row[name] == alone[name], (name, row, alone)
    assert {row["status"] for row in rows} == {"assigned", "coverage", "not_targeted"}
    assert stored(world, "table") == stored(world, "single")
    noted = "select unit_id, variant, properties from raw.assignments where experiment = %s order by unit_id"
    assert world.rows(noted, "table") == world.rows(noted, "single")


def test_what_is_stored_holds_and_is_not_stored_twice(acme, world):
    world.declare("acme", "again", variants={"off": 0, "on": 1})
    first = batch(acme, "again", units(100))
    world.declare("acme", "again", variants={"off": 1, "on": 0})
    second = batch(acme, "again", units(120))
    assert [row["variant"] for row in first] == ["on"] * 100
    assert [row["variant"] for row in second] == ["on"] * 100 + ["off"] * 20
    assert [row["sticky"] for row in second] == [True] * 100 + [False] * 20
    assert world.rows("select count(*) from raw.assignments where experiment = 'again'") == [(120,)]
    assert one(acme, "again", "u-119")["variant"] == "off"


def test_without_persist_nothing_is_stored_and_what_is_stored_holds(acme, world):
    world.declare("acme", "dry", variants={"off": 0, "on": 1})
    one(acme, "dry", "u-3")
    world.declare("acme", "dry", variants={"off": 1, "on": 0})
    rows = batch(acme, "dry", units(5), persist="false")
    assert [row["variant"] for row in rows] == ["off", "off", "off", "on", "off"]
    assert stored(world, "dry") == {("targetingKey", "u-3"): "on"}


def test_arrow_in_and_arrow_out(acme, world):
    world.declare("acme", "arrow", targeting={"age": {"$gte": 18}})
    table = pa.table({"unit_id": [f"u-{n}" for n in range(90)], "age": [n % 40 for n in range(90)]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    body = sink.getvalue().to_pybytes()
    answer = post(acme, "arrow", (), content=body, **{"Content-Type": ARROW})
    assert answer.headers["content-type"] == ARROW
    given = pa.ipc.open_stream(answer.content).read_all()
    assert given.column("unit_id").to_pylist() == table.column("unit_id").to_pylist()
    assert [variant is not None for variant in given.column("variant").to_pylist()] == [n % 40 >= 18 for n in range(90)]
    as_lines = post(acme, "arrow", (), content=body, **{"Content-Type": ARROW, "Accept": NDJSON})
    assert as_lines.headers["content-type"] == NDJSON
    assert [json.loads(line)["variant"] for line in as_lines.text.splitlines()] == given.column("variant").to_pylist()


def test_a_row_that_cannot_be_used_says_why_and_the_others_go_on(acme, world):
    world.declare("acme", "partly")
    content = b'{"unit_id": "a"}\nno json\n\n{"unit_id": "b\\u0000"}\n{"unit_id": 7}\n{"unit_id": "c"}\n'
    rows = batch(acme, "partly", (), content=content)
    assert [row["status"] for row in rows] == ["assigned", "invalid", "invalid", "invalid", "assigned"]
    assert all(row["error"] for row in rows if row["status"] == "invalid")
    assert {unit for _, unit in stored(world, "partly")} == {"a", "c"}


def test_clusters_share_a_variant_and_those_that_cannot_be_stored_are_refused(acme, world):
    world.declare("acme", "schools", randomization={"by": "cluster", "attribute": "school_id"})
    asked = units(60, school_id=lambda n: n % 4 + 1 if n else "s" * 600)
    rows = batch(acme, "schools", asked)
    assert (rows[0]["status"], rows[0]["variant"]) == ("invalid", None)
    assert "school_id" in rows[0]["error"]
    by_school = {}
    for unit, row in zip(asked[1:], rows[1:], strict=True):
        by_school.setdefault(unit["school_id"], set()).add(row["variant"])
    assert all(len(variants) == 1 for variants in by_school.values())
    kept = stored(world, "schools")
    assert sum(attribute == "school_id" for attribute, _ in kept) == 4
    assert sum(attribute == "targetingKey" for attribute, _ in kept) == 59
    assert kept == kept | {
        ("targetingKey", u["unit_id"]): r["variant"] for u, r in zip(asked[1:], rows[1:], strict=True)
    }


def test_units_that_are_held_out_are_stored_in_the_holdout(acme, world):
    world.declare("acme", "back", coverage=0.5, holdout={"variant": "on", "experiments": ["held"]})
    world.declare("acme", "held")
    rows = batch(acme, "held", units(120))
    held_out = {row["unit_id"] for row in rows if row["status"] == "holdout"}
    in_holdout = {unit: variant for (_, unit), variant in stored(world, "back").items()}
    assert {unit for unit, variant in in_holdout.items() if variant == "on"} == held_out
    assert held_out and in_holdout.keys() - held_out
    assert {unit for _, unit in stored(world, "held")} == {row["unit_id"] for row in rows} - held_out


def test_a_variant_that_was_taken_away_is_not_replaced(acme, world):
    world.declare("acme", "gone", variants={"off": 0, "on": 0, "blue": 1})
    batch(acme, "gone", units(2))
    world.declare("acme", "gone", version=2)
    rows = batch(acme, "gone", units(4))
    assert [(row["variant"], row["config"]) for row in rows[:2]] == [(None, "off")] * 2
    assert [row["status"] for row in rows] == ["variant_withdrawn"] * 2 + ["assigned"] * 2


def test_who_is_overtaken_while_storing_is_told_what_is_stored(acme, database, world):
    world.declare("acme", "overtaken", variants={"off": 0, "on": 1})
    answers = []
    with connect(database.address("causeway_pipeline")) as rival:
        rival.execute(
            "insert into raw.sticky_assignments (tenant_id, experiment, bucket_version, unit_id, variant, source)"
            " values ('acme', 'overtaken', 0, 'u-3', 'off', 'rival')"
        )
        asking = threading.Thread(target=lambda: answers.append(batch(acme, "overtaken", units(6))))
        asking.start()
        asking.join(timeout=0.5)
        assert asking.is_alive(), "the insertion waits for the rival's transaction"
        rival.commit()
        asking.join(timeout=10)
    assert [row["variant"] for row in answers[0]] == ["on", "on", "on", "off", "on", "on"]
    assert world.rows("select unit_id from raw.assignments where experiment = 'overtaken' and unit_id = 'u-3'") == []


def test_what_cannot_be_is_refused(acme, globex, world):
    world.declare("globex", "theirs")
    world.declare("acme", "mine")
    unit = [{"unit_id": "u"}]
    assert post(acme, "theirs", unit).status_code == 404
    assert post(acme, "not a key", unit).status_code == 422
    assert post(acme, "mine", unit, persist="perhaps").status_code == 422
    assert acme.post("/v1/assignments:batch", content=b"", headers={"Content-Type": NDJSON}).status_code == 422
    assert post(acme, "mine", unit, Accept="text/csv").status_code == 406
    for _ in range(batch_endpoint.MOST_AT_ONCE + 1):
        # One that fails leaves its place to the next.
        assert post(acme, "mine", (), content=b"garbage", **{"Content-Type": ARROW}).status_code == 400
    assert post(acme, "mine", unit, **{"Content-Type": "text/csv"}).status_code == 415
    assert post(acme, "mine", unit, Accept="application/json, */*;q=0.1").status_code == 200
    assert batch(acme, "mine", ()) == []


def test_one_table_too_many_is_told_to_come_again(serve, api_settings, database, world, wait_until):
    world.declare("acme", "busy")
    with (
        serve(replace(api_settings, statement_timeout=30.0, lock_timeout=30.0)) as served,
        connect(database.address("causeway_owner")) as owner,
    ):
        owner.execute("lock table raw.sticky_assignments in access exclusive mode")
        clients = [served.client("acme") for _ in range(batch_endpoint.MOST_AT_ONCE + 1)]
        answers = []
        asking = [
            threading.Thread(target=lambda c=client: answers.append(post(c, "busy", units(3)))) for client in clients
        ]
        for each in asking:
            each.start()
        wait_until(lambda: answers)
        assert (answers[0].status_code, answers[0].headers["retry-after"]) == (429, "5")
        owner.rollback()
        for each in asking:
            each.join(timeout=10)
        assert sorted(answer.status_code for answer in answers) == [200] * batch_endpoint.MOST_AT_ONCE + [429]
        # They have left: there is room again.
        assert post(clients[0], "busy", units(3)).status_code == 200


def test_a_body_that_does_not_come_does_not_keep_the_others_waiting(serve, api_settings, world, monkeypatch):
    monkeypatch.setattr(batch_endpoint, "BODY_SECONDS", 0.3)
    world.declare("acme", "slow")

    def stalled():
        yield b'{"unit_id": "u"}\n'
        threading.Event().wait(1.5)
        yield b""

    with serve(api_settings) as served:
        acme = served.client("acme")
        assert post(acme, "slow", (), content=stalled()).status_code == 408
        assert post(served.client("acme"), "slow", units(1)).status_code == 200
