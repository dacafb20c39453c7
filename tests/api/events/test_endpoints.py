"""Events over HTTP: each is stored once, and a bad one holds up none of the others."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest


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
