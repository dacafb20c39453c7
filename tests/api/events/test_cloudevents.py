"""CloudEvents as their HTTP binding has them: its own conformance scenarios, and the four ways over real HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from starlette.datastructures import Headers

from api.events.cloudevents import attributes_of, fields_of, is_binary
from api.events.reading import read_event

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e1",
    "source": "/shop/till",
    "type": "com.example.order",
    "subject": "customer-1",
    "time": "2025-01-31T12:00:00Z",
}
STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
BATCHED = {"Content-Type": "application/cloudevents-batch+json"}


class Scenario(NamedTuple):
    """A request of the feature file and what it must be parsed as."""

    headers: Headers
    body: bytes
    attributes: dict[str, str]
    data: Any


def scenarios(feature: str) -> Iterator[Scenario]:
    """Every example of every outline."""
    for outline in feature.split("Scenario Outline:")[1:]:
        request, data = re.findall(r'"""\n(.*?)\n\s*"""', outline, re.DOTALL)
        table = re.search(r"Then the attributes are:\n((?:\s*\|.*\n)+)", outline)
        assert table is not None
        rows = [tuple(cell.strip() for cell in line.strip().strip("|").split("|")) for line in table[1].splitlines()]
        for content_type in re.findall(
            r"^\s*\| (application/\S.*?)\s*\|$", outline.split("Examples:")[1], re.MULTILINE
        ):
            head, _, body = request.replace("<contentType>", content_type).partition("\n\n")
            lines = [line.strip() for line in head.splitlines()][1:]
            yield Scenario(
                Headers(dict(line.split(": ", 1) for line in lines)),
                body.encode(),
                {key: value.replace("<contentType>", content_type) for key, value in rows[1:]},
                json.loads(data),
            )


def test_the_scenarios_of_the_http_binding_pass(conformance_data: Path) -> None:
    checked = 0
    for scenario in scenarios((conformance_data / "cloudevents-http-binding.feature").read_text()):
        if is_binary(scenario.headers):
            found = attributes_of(scenario.headers)
            data = read_event(scenario.body).values[0]
        else:
            (event,) = read_event(scenario.body).values
            assert isinstance(event, dict)
            data = event["data"]
            found = {name: value for name, value in event.items() if name != "data"}
        assert found == scenario.attributes
        assert data == scenario.data
        checked += 1
    assert checked == 4


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("%22quoted%22", '"quoted"'),
        ('"with \\" and \\\\"', 'with " and \\'),
        ("100%25", "100%"),
        ("%2525", "%25"),
        ("/mycontext/subcontext", "/mycontext/subcontext"),
    ],
)
def test_an_attribute_is_unescaped_once(sent: str, meant: str) -> None:
    assert attributes_of(Headers({"ce-source": sent})) == {"source": meant}


def test_what_is_no_attribute_is_no_part_of_the_event() -> None:
    headers = Headers({"ce-id": "1", "x-trace": "2", "authorization": "Bearer x", "content-type": "application/json"})
    assert attributes_of(headers) == {"id": "1", "datacontenttype": "application/json"}


@pytest.mark.parametrize(
    ("schema", "version"),
    [
        ("https://schemas.example.com/order/2", 2),
        ("https://schemas.example.com/order/v12", 12),
        ("urn:example:order:3", 3),
        ("order@4", 4),
        ("https://schemas.example.com/order?version=5", 5),
        ("https://schemas.example.com/order-v6", 6),
        ("7", 7),
    ],
)
def test_a_schema_is_named_with_its_version_at_the_end(schema: str, version: int) -> None:
    fields, extensions = fields_of({**EVENT, "dataschema": schema})
    assert (fields["schema_version"], extensions["dataschema"]) == (version, schema)


def send(client: Any, content: Any, headers: dict[str, str]) -> Any:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    answer = client.post("/v1/events", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def stored(world: Any, source: str) -> list[tuple[Any, ...]]:
    return world.rows(
        "select event_id, type, unit_id, occurred_at = '2025-01-31T12:00:00Z', sent_at, properties from raw.events"
        " where source = %s order by seq",
        source,
    )


def binary(**attributes: str) -> dict[str, str]:
    return {"Content-Type": "application/json"} | {f"ce-{name}": value for name, value in attributes.items()}


class TestOverHttp:
    def test_one_event_in_structured_mode(self, acme: Any, world: Any) -> None:
        event = {**EVENT, "source": "structured", "data": {"spend": 1}}
        assert send(acme, event, STRUCTURED)["accepted"] == 1
        assert stored(world, "structured") == [("e1", "com.example.order", "customer-1", True, None, {"spend": 1})]

    def test_a_batch_and_an_empty_one(self, acme: Any, world: Any) -> None:
        batch = [{**EVENT, "source": "batch", "id": f"e{number}"} for number in range(3)]
        assert send(acme, batch, BATCHED)["accepted"] == 3
        assert [row[0] for row in stored(world, "batch")] == ["e0", "e1", "e2"]
        assert send(acme, [], BATCHED) == {
            "accepted": 0, "duplicate": 0, "conflict": 0, "invalid": 0, "retry": 0, "events": []
        }  # fmt: skip

    def test_one_event_in_binary_mode(self, acme: Any, world: Any) -> None:
        headers = binary(**{**EVENT, "source": "binary", "subject": "%E2%82%AC%201"})
        assert send(acme, {"spend": 1}, headers)["accepted"] == 1
        ((_, _, unit, *_, properties),) = stored(world, "binary")
        assert (unit, properties["spend"]) == ("€ 1", 1)

    def test_the_same_event_by_either_way_is_a_duplicate(self, acme: Any) -> None:
        event = {**EVENT, "source": "either", "data": {"spend": 1}}
        plain = {
            "source": "either", "id": "e1", "type": EVENT["type"], "unit_id": EVENT["subject"],
            "occurred_at": EVENT["time"], "properties": {"spend": 1},
        }  # fmt: skip
        assert send(acme, event, STRUCTURED)["accepted"] == 1
        assert send(acme, [event, event], BATCHED)["duplicate"] == 2
        assert send(acme, {"spend": 1}, binary(**{**EVENT, "source": "either"}))["duplicate"] == 1
        assert send(acme, plain, {"Content-Type": "application/json"})["duplicate"] == 1

    def test_extensions_are_kept_beside_the_data_and_may_change_on_the_way(self, acme: Any, world: Any) -> None:
        event = {
            **EVENT,
            "source": "extended",
            "data": {"spend": 1},
            "sentat": "2025-01-31T12:00:01Z",
            "traceparent": "00-a",
        }
        assert send(acme, event, STRUCTURED)["accepted"] == 1
        assert send(acme, {**event, "traceparent": "00-b"}, STRUCTURED)["duplicate"] == 1
        ((*_, sent_at, properties),) = stored(world, "extended")
        assert sent_at.isoformat() == "2025-01-31T12:00:01+00:00"
        assert properties == {"spend": 1, "extensions": {"traceparent": "00-a"}}

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"specversion": "0.3"}, "bad_specversion"),
            ({"specversion": None}, "bad_specversion"),
            ({"id": None}, "missing_id"),
            ({"id": ""}, "missing_id"),
            ({"subject": None}, "missing_unit"),
            ({"time": None}, "missing_occurred_at"),
            ({"time": "yesterday"}, "bad_time"),
            ({"data": "text"}, "bad_properties"),
            ({"data_base64": "eyJhIjogMX0=", "data": {}}, "bad_properties"),
            ({"data_base64": "no base64"}, "bad_properties"),
            ({"dataschema": "https://schemas.example.com/order"}, "bad_schema_version"),
            ({"Trace": "a"}, "unknown_field"),
            ({"data": {"extensions": 1}, "trace": "a"}, "extensions_taken"),
        ],
    )
    def test_what_is_none_is_set_aside_and_the_rest_goes_through(
        self, acme: Any, world: Any, change: dict[str, Any], code: str
    ) -> None:
        bad = {name: value for name, value in {**EVENT, **change}.items() if value is not None}
        good = {**EVENT, "source": "good", "id": json.dumps(change)}
        answer = send(acme, [bad, good], BATCHED)
        assert [event["outcome"] for event in answer["events"]] == ["invalid", "accepted"]
        assert answer["events"][0]["code"] == code
        ((record, content_type),) = world.rows(
            "select record, content_type from raw.quarantine order by seq desc limit 1"
        )
        assert json.loads(record) == bad
        assert content_type == BATCHED["Content-Type"]

    def test_data_may_be_json_in_base64(self, acme: Any, world: Any) -> None:
        assert send(acme, {**EVENT, "source": "base64", "data_base64": "eyJhIjogMX0="}, STRUCTURED)["accepted"] == 1
        assert stored(world, "base64")[0][-1] == {"a": 1}

    def test_reasons_speak_the_senders_language(self, acme: Any) -> None:
        answer = send(acme, {**EVENT, "subject": "", "time": "x"}, STRUCTURED)
        assert answer["events"][0]["reason"].startswith("subject: ")

    def test_a_refused_one_in_binary_mode_is_kept_whole(self, acme: Any, world: Any) -> None:
        send(acme, b'{"a": 1, "a": 2}', binary(**{**EVENT, "source": "whole"}))
        ((record, content_type, code),) = world.rows(
            "select record, content_type, code from raw.quarantine where source = 'whole'"
        )
        assert (content_type, code) == ("application/cloudevents+json", "duplicate_member")
        assert json.loads(record)["source"] == "whole"
        assert '"data": {"a": 1, "a": 2}' in record

    def test_a_header_that_is_no_attribute_is_the_callers_mistake(self, acme: Any) -> None:
        headers = {**binary(**EVENT), "ce-bad_name": "1"}
        answer = acme.post("/v1/events", content=b"{}", headers=headers)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize("value", ["%FF", "%C3%28"])
    def test_a_header_that_is_no_utf_8_is_too(self, acme: Any, value: str) -> None:
        assert acme.post("/v1/events", content=b"{}", headers={**binary(**EVENT), "ce-id": value}).status_code == 422

    def test_data_of_another_media_type_is_refused(self, acme: Any) -> None:
        headers = {**binary(**EVENT), "Content-Type": "text/plain"}
        assert acme.post("/v1/events", content=b"x", headers=headers).status_code == 415
        headers["Content-Type"] = "application/vnd.example.order+json"
        assert send(acme, {"a": 1}, {**headers, "ce-source": "vendor"})["accepted"] == 1
