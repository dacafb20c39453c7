"""Events over HTTP: each is stored once, and a bad one holds up none of the others."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random

import pytest

from resources.connection import connect


def event(number: int, **changes):
    return {
        "source": "shop",
        "id": f"e{number}",
        "type": "outcome",
        "unit_id": f"u{number}",
        "occurred_at": "2025-01-31T13:00:00+01:00",
        "properties": {"spend": 29.9},
        **changes,
    }


def post(client, events):
    # Escaped to ASCII, so that a test may send half of a surrogate pair.
    body = json.dumps({"events": events}).encode()
    return client.post("/v1/events", content=body, headers={"Content-Type": "application/json"})


def outcomes(client, events):
    answer = post(client, events)
    assert answer.status_code == 200, answer.text
    return [row["outcome"] for row in answer.json()["events"]]


def stored(world, source):
    return world.rows("select event_id from raw.events where source = %s order by seq", source)


def test_an_event_is_stored_as_it_was_sent(acme, world):
    assert outcomes(acme, [event(1, source="as_sent", sent_at="2025-01-31T12:00:01Z")]) == ["accepted"]
    rows = world.rows(
        "select tenant_id, source, event_id, type, unit_id, occurred_at = '2025-01-31T12:00:00Z',"
        " sent_at = '2025-01-31T12:00:01Z', properties, landing_id, received_at > now() - interval '1 minute'"
        " from raw.events where source = 'as_sent'"
    )
    assert rows == [("acme", "as_sent", "e1", "outcome", "u1", True, True, {"spend": 29.9}, None, True)]


def test_an_event_that_is_sent_again_is_a_duplicate(acme, world):
    batch = [event(number, source="twice") for number in range(10)]
    assert outcomes(acme, batch) == ["accepted"] * 10
    assert outcomes(acme, batch) == ["duplicate"] * 10
    assert len(stored(world, "twice")) == 10


@pytest.mark.parametrize("known", [[0], [9], [3, 4, 7], [0, 2, 4, 6, 8], list(range(9))])
def test_each_event_is_told_its_own_outcome_in_a_batch_of_both(acme, world, known):
    source = f"mixed-{known}"
    batch = [event(number, source=source) for number in range(10)]
    outcomes(acme, [batch[number] for number in known])
    assert outcomes(acme, batch) == ["duplicate" if number in known else "accepted" for number in range(10)]
    assert len(stored(world, source)) == 10


def test_of_equal_ids_in_one_batch_the_first_counts(acme, world):
    batch = [
        event(1, source="same", unit_id="first"),
        event(1, source="same", unit_id="second"),
        event(2, source="same"),
        event(1, source="same", unit_id="first", sent_at="2025-01-31T12:00:05Z"),
    ]
    assert outcomes(acme, batch) == ["accepted", "conflict", "accepted", "duplicate"]
    assert outcomes(acme, batch) == ["duplicate", "conflict", "duplicate", "duplicate"]
    assert world.rows("select unit_id from raw.events where source = 'same' and event_id = 'e1'") == [("first",)]


def test_equal_ids_of_two_sources_or_tenants_are_two_events(acme, globex):
    assert outcomes(acme, [event(1, source="one"), event(1, source="two")]) == ["accepted", "accepted"]
    assert outcomes(globex, [event(1, source="one")]) == ["accepted"]


def test_batches_that_overlap_in_opposite_orders_end_and_store_each_event_once(served, world):
    """Inserted as they come, two such batches would wait for each other's rows until one is killed."""
    batch = [event(number, source="crowd") for number in range(300)]
    clients = [served.client("acme") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: outcomes(clients[n], batch[:: 1 if n % 2 else -1]), range(8)))
    assert sum(answer.count("accepted") for answer in answers) == 300
    assert len(stored(world, "crowd")) == 300


@pytest.mark.parametrize(
    ("bad", "field", "code"),
    [
        ({"unit_id": ""}, "unit_id", "missing_unit"),
        ({"unit_id": "  "}, "unit_id", "missing_unit"),
        ({"unit_id": None}, "unit_id", "bad_unit"),
        ({"unit_id": 7}, "unit_id", "bad_unit"),
        ({"unit_id": "a\x00"}, "unit_id", "bad_unit"),
        ({"unit_id": "\ud800"}, "unit_id", "bad_unit"),
        ({"unit_id": "u" * 513}, "unit_id", "id_too_long"),
        ({"id": "i" * 10_000}, "id", "id_too_long"),
        ({"type": ""}, "type", "missing_type"),
        ({"occurred_at": "yesterday"}, "occurred_at", "bad_time"),
        ({"occurred_at": "2025-01-31T12:00:00"}, "occurred_at", "bad_time"),
        ({"occurred_at": 1738324800}, "occurred_at", "bad_time"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at", "bad_time"),
        ({"occurred_at": "9999-12-31T23:59:59-14:00"}, "occurred_at", "future_time"),
        ({"properties": "spend"}, "properties", "bad_properties"),
        ({"properties": {"a": ["\x00"]}}, "properties", "bad_properties"),
        ({"properties": {"\x00": 1}}, "properties", "bad_properties"),
        ({"properties": {"a": {"b": "\udfff"}}}, "properties", "bad_properties"),
        ({"properties": {"a": float("nan")}}, "properties", "bad_properties"),
        ({"properties": json.loads('{"a":' * 40 + "1" + "}" * 40)}, "properties", "bad_properties"),
        ({"tenant_id": "globex"}, "tenant_id", "unknown_field"),
        ({"\x00": 1}, "\\x00", "unknown_field"),
    ],
)
def test_a_bad_event_is_set_aside_with_the_reason_and_the_rest_goes_on(acme, world, bad, field, code):
    (before,) = world.rows("select coalesce(max(seq), 0) from raw.quarantine")[0]
    source = f"bad {before}"
    answer = post(acme, [event(1, source=source), event(2, source=source, **bad), event(3, source=source)])
    assert answer.status_code == 200
    body = answer.json()
    assert (body["accepted"], body["invalid"]) == (2, 1)
    refused = body["events"][1]
    assert (refused["outcome"], refused["code"]) == ("invalid", code)
    assert refused["reason"].startswith(f"{field}: ")
    assert stored(world, source) == [("e1",), ("e3",)]
    rows = world.rows(
        "select tenant_id, source, row_number, code, reason, record from raw.quarantine where seq > %s",
        before,
    )
    assert [row[:5] for row in rows] == [("acme", source, 2, code, refused["reason"])]
    assert json.loads(rows[0][5])["unit_id"] == event(2, **bad)["unit_id"]


@pytest.mark.parametrize("candidate", [None, 7, "text", [], {}])
def test_what_is_no_event_at_all_is_set_aside_too(acme, world, candidate):
    before = world.rows("select count(*) from raw.quarantine where source = 'api'")[0][0]
    assert outcomes(acme, [candidate]) == ["invalid"]
    assert world.rows("select count(*) from raw.quarantine where source = 'api'")[0][0] == before + 1


def test_ids_may_be_as_long_as_they_say_in_any_script(acme):
    """Random, because repeated text is compressed and would fit into an index anyhow."""
    random = Random(1)

    def text(length):
        return "".join(chr(random.randrange(0x20000, 0x2A6D0)) for _ in range(length))

    longest = event(1, source=text(200), id=text(200), type=text(200), unit_id=text(512))
    assert outcomes(acme, [longest, longest]) == ["accepted", "duplicate"]


def test_a_batch_holds_one_to_a_thousand_events(acme, world):
    assert post(acme, []).status_code == 422
    assert post(acme, [event(n, source="large") for n in range(1001)]).status_code == 422
    assert stored(world, "large") == []
    answer = post(acme, [event(n, source="large") for n in range(1000)]).json()
    assert (answer["accepted"], len(answer["events"])) == (1000, 1000)
    assert len(stored(world, "large")) == 1000


def test_sql_in_an_event_is_text(acme, world):
    text = "x'); delete from raw.events; --"
    assert outcomes(acme, [event(1, source=text, id=text, type=text, unit_id=text, properties={text: text})]) == [
        "accepted"
    ]
    assert world.rows("select event_id, properties from raw.events where source = %s", text) == [(text, {text: text})]


def declare(world, version, schema, tenant="acme", key="order", **more):
    document = {"kind": "event_type", "key": key, "tenant": tenant, "version": version, "schema": schema, **more}
    world.put(document)


SPEND = {"type": "object", "required": ["spend"], "properties": {"spend": {"type": "number", "minimum": 0}}}


class TestConflicts:
    @pytest.mark.parametrize(
        "change",
        [
            {"type": "refund"},
            {"unit_id": "somebody else"},
            {"occurred_at": "2025-01-31T13:00:00.000001+01:00"},
            {"properties": {"spend": 29.91}},
            {"properties": {"spend": 29.9, "more": None}},
        ],
    )
    def test_another_content_under_a_known_id_never_takes_its_place(self, acme, world, change):
        source = f"conflict {change}"
        assert outcomes(acme, [event(1, source=source)]) == ["accepted"]
        answer = post(acme, [event(1, source=source, **change), event(2, source=source)]).json()
        assert [each["outcome"] for each in answer["events"]] == ["conflict", "accepted"]
        assert answer["events"][0]["code"] == "other_content"
        assert outcomes(acme, [event(1, source=source)]) == ["duplicate"]
        (row,) = world.rows(
            "select type, unit_id, occurred_at = '2025-01-31T12:00:00Z', properties from raw.events"
            " where source = %s and event_id = 'e1'",
            source,
        )
        assert row == ("outcome", "u1", True, {"spend": 29.9})

    def test_the_same_content_sent_later_and_written_otherwise_is_the_same(self, acme):
        properties = {"a": 1, "b": {"c": [1, 2], "d": "é"}}
        first = event(1, source="same content", sent_at="2025-01-31T12:00:01Z", properties=properties)
        again = event(
            1,
            source="same content",
            sent_at="2025-01-31T12:30:00Z",
            occurred_at="2025-01-31T12:00:00.000Z",
            properties={"b": {"d": "é", "c": [1, 2]}, "a": 1},
        )
        assert outcomes(acme, [first]) == ["accepted"]
        assert outcomes(acme, [again]) == ["duplicate"]

    def test_an_event_whose_partition_was_dropped_stays_a_duplicate(self, acme, world):
        """Its row went with its month; its key is there for ever."""
        world.execute("insert into raw.event_keys (tenant_id, source, event_id) values ('acme', 'gone', 'e1')")
        assert outcomes(acme, [event(1, source="gone")]) == ["duplicate"]
        assert stored(world, "gone") == []

    def test_a_time_is_stored_to_the_microsecond(self, acme, world):
        times = [f"2025-01-31T12:00:00.{micro:06d}Z" for micro in (1, 123457, 999999)]
        outcomes(acme, [event(n, source="micro", occurred_at=at, sent_at=at) for n, at in enumerate(times)])
        rows = world.rows("select occurred_at, sent_at from raw.events where source = 'micro' order by seq")
        assert [(o.microsecond, s.microsecond) for o, s in rows] == [(1, 1), (123457, 123457), (999999, 999999)]


class TestSchemas:
    def test_an_event_is_held_against_the_schema_of_its_type(self, acme, world, wait_until):
        declare(world, 1, SPEND)
        batch = [
            event(1, source="schema", type="order"),
            event(2, source="schema", type="order", properties={"spend": -1}),
            event(3, source="schema", type="order", properties={}),
            event(4, source="schema", type="not declared", properties={}),
        ]

        def judged():
            return [each["outcome"] for each in post(acme, batch[1:2]).json()["events"]] == ["invalid"]

        wait_until(judged)
        answer = post(acme, batch).json()
        assert [each["code"] for each in answer["events"]] == [None, "schema", "schema", None]
        assert answer["events"][1]["reason"].startswith("properties.spend: ")
        rows = world.rows("select event_id, schema_version from raw.events where source = 'schema' order by event_id")
        assert rows == [("e1", 1), ("e4", None)]
        set_aside = world.rows(
            "select event_id, type, code, schema_version, content_type from raw.quarantine where source = 'schema'"
            " and event_id = 'e3'"
        )
        assert set_aside == [("e3", "order", "schema", 1, "application/json")]

    def test_a_new_version_is_in_force_at_once_and_the_old_one_stays_accepted(self, acme, world, wait_until):
        declare(world, 1, SPEND, key="grown")
        declare(world, 2, {"type": "object", "required": ["total"]}, key="grown", retention_days=30)
        new = event(1, source="grown", type="grown", properties={"total": 1})
        wait_until(lambda: outcomes(acme, [new]) in (["accepted"], ["duplicate"]))
        old = event(2, source="grown", type="grown")
        assert outcomes(acme, [old]) == ["invalid"]
        assert outcomes(acme, [{**old, "schema_version": 1}, {**old, "id": "x", "schema_version": 9}]) == [
            "accepted",
            "invalid",
        ]
        rows = world.rows(
            "select event_id, schema_version, retention_days from raw.events where source = 'grown' order by event_id"
        )
        assert rows == [("e1", 2, 30), ("e2", 1, 30)]

    def test_it_is_the_schema_of_ones_own_tenant(self, globex, world):
        declare(world, 1, SPEND)
        assert outcomes(globex, [event(1, source="other tenant", type="order", properties={})]) == ["accepted"]

    def test_a_source_that_is_landed_from_a_file_is_no_senders(self, acme, world, wait_until):
        world.insert(
            "registry.sources", tenant_id="acme", key="trial", declaration={"file": "trial.csv"}, declaration_hash="h"
        )
        tries = iter(range(1000))
        wait_until(lambda: outcomes(acme, [event(next(tries), source="trial")]) == ["invalid"])
        answer = post(acme, [event(1, source="trial@0123456789ab"), event(2, source="api")]).json()
        assert [each["code"] for each in answer["events"]] == ["reserved_source"] * 2


class TestIdempotencyKeys:
    def send(self, client, key, events):
        body = json.dumps(events).encode()
        return client.post(
            "/v1/events", content=body, headers={"Content-Type": "application/json", "Idempotency-Key": key}
        )

    def test_the_same_batch_under_its_key_gets_the_same_answer(self, acme, world):
        batch = [event(1, source="key"), event(2, source="key", unit_id="")]
        first, again = (self.send(acme, "k1", batch) for _ in range(2))
        assert first.json()["accepted"] == 1
        assert again.content == first.content
        assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
        assert len(world.rows("select 1 from raw.quarantine where source = 'key'")) == 1

    def test_another_batch_under_it_is_refused(self, acme, world):
        self.send(acme, "k2", [event(1, source="other")])
        answer = self.send(acme, "k2", [event(2, source="other")])
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:causeway:problem:idempotency-key-reused"
        assert stored(world, "other") == [("e1",)]

    def test_a_key_is_its_tenants(self, acme, globex):
        for client in (acme, globex):
            assert self.send(client, "k3", [event(1, source="tenants")]).json()["accepted"] == 1

    def test_requests_that_come_together_are_one(self, served, world):
        batch = [event(number, source="together") for number in range(50)]
        clients = [served.client("acme") for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda client: self.send(client, "k4", batch), clients))
        assert {answer.content for answer in answers} == {answers[0].content}
        assert answers[0].json()["accepted"] == 50
        assert len(stored(world, "together")) == 50


class TestWaiting:
    def test_an_event_that_another_transaction_is_storing_is_to_be_sent_again(self, acme, world, database):
        with connect(database.address("causeway_pipeline")) as other:
            other.execute(
                "insert into raw.event_keys (tenant_id, source, event_id)"
                " values ('acme', 'held', 'e3'), ('acme', 'held', 'e7')"
            )
            batch = [event(number, source="held") for number in range(10)]
            answer = post(acme, batch)
            body = answer.json()
            assert [n for n, each in enumerate(body["events"]) if each["outcome"] == "retry"] == [3, 7]
            assert (body["accepted"], body["retry"]) == (8, 2)
            assert answer.headers["retry-after"] == "1"
            other.rollback()
        assert outcomes(acme, batch) == ["accepted" if n in (3, 7) else "duplicate" for n in range(10)]
        assert len(stored(world, "held")) == 10

    def test_an_answer_with_such_an_event_is_not_the_one_that_is_kept(self, acme, database):
        batch = [event(1, source="held too")]
        headers = {"Content-Type": "application/json", "Idempotency-Key": "held"}
        with connect(database.address("causeway_pipeline")) as other:
            other.execute("insert into raw.event_keys (tenant_id, source, event_id) values ('acme', 'held too', 'e1')")
            first = acme.post("/v1/events", content=json.dumps(batch), headers=headers).json()
            other.rollback()
        again = acme.post("/v1/events", content=json.dumps(batch), headers=headers).json()
        assert (first["retry"], again["accepted"]) == (1, 1)

    def test_more_than_may_wait_are_told_to_come_again(self, world, serve, api_settings):
        with serve(replace(api_settings, events_waiting=10)) as api:
            client = api.client("acme")
            assert outcomes(client, [event(number, source="room") for number in range(10)]) == ["accepted"] * 10
            answer = post(client, [event(number, source="room") for number in range(11)])
            assert answer.status_code == 429
            assert answer.headers["retry-after"] == "1"
            assert answer.headers["content-type"] == "application/problem+json"
            assert outcomes(client, [event(11, source="room")]) == ["accepted"]


class TestBadInput:
    @pytest.mark.parametrize(
        ("bad", "code"),
        [
            (b'{"source": "s", "source": "t"}', "duplicate_member"),
            (
                b'{"source": "s", "id": "\xff", "type": "t", "unit_id": "u", "occurred_at": "2025-01-31T12:00:00Z"}',
                "bad_id",
            ),
            (b'{"properties": {"a": NaN}}', "missing_source"),
            (b"NaN", "not_an_object"),
            (b"[" * 3000 + b"]" * 3000, "too_deep"),
            (b'"\\ud800"', "not_an_object"),
            (b'{"id": "raw nul \x00"}', "bad_text"),
            (b'{"id": "' + b"i" * 1_000_000 + b'"}', "missing_source"),
            (b'{"properties": {"a": 1e999}}', "missing_source"),
        ],
    )  # fmt: skip
    def test_the_rest_of_the_batch_goes_through(self, acme, world, bad, code):
        (before,) = world.rows("select coalesce(max(seq), 0) from raw.quarantine")[0]
        good = [json.dumps(event(number, source=f"round {before}")).encode() for number in (1, 2)]
        body = b"[" + b",".join([good[0], bad, good[1]]) + b"]"
        answer = acme.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text
        assert [each["outcome"] for each in answer.json()["events"]] == ["accepted", "invalid", "accepted"]
        ((found, record),) = world.rows("select code, record from raw.quarantine where seq > %s", before)
        assert found == code
        assert record.isascii()
        assert len(stored(world, f"round {before}")) == 2

    @pytest.mark.parametrize("number", ["1e999", "-1e999", "123456789012345678901234567890", "NaN", "-Infinity"])
    def test_a_number_that_is_none_is_told_by_its_field(self, acme, number):
        text = json.dumps(event(1, source="numbers", properties={"a": "?"})).replace('"?"', number)
        answer = acme.post("/v1/events", content=f"[{text}]", headers={"Content-Type": "application/json"}).json()
        assert answer["events"][0]["code"] == "bad_properties"

    @pytest.mark.parametrize("body", [b"", b"{", b"[1, 2", b"\x00", b"\xef\xbb\xbf[]", b"nothing"])
    def test_what_is_no_json_at_all_is_400(self, acme, body):
        answer = acme.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
