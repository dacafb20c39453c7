"""Events that were refused are sent again when what refused them has been mended, and counted once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from causeway.declarations.event_type import EventTypeDeclaration
from cli.serving_client import serving_api
from resources.migration import new_key
from resources.postgres_client import PostgresClient
from resources.registry import register
from tests.cli.conftest import CommandLine

if TYPE_CHECKING:
    from resources.settings import Settings

SPEND = {"type": "object", "required": ["spend"], "properties": {"spend": {"type": "number"}}}


def declare(postgres: PostgresClient, version: int, schema: dict[str, Any]) -> None:
    body = {"kind": "event_type", "key": "order", "tenant": "acme", "version": version, "schema": schema}
    with postgres.transaction() as transaction:
        register(transaction, EventTypeDeclaration.model_validate(body), Path("order.yaml"))


def order(number: int, **properties: Any) -> dict[str, Any]:
    return {
        "source": "shop", "id": f"o{number}", "type": "order", "unit_id": "u", "occurred_at": "2026-01-05T12:00:00Z",
        "sent_at": "2026-01-05T12:00:01Z", "properties": properties,
    }  # fmt: skip


@pytest.fixture(scope="module")
def causeway(database: Settings) -> CommandLine:
    """The command in the module's own house."""
    return CommandLine(database)


@pytest.fixture(scope="module")
def refused(database: Any, postgres: PostgresClient) -> Iterator[None]:
    """Over real HTTP: two orders without a spend, one of them twice with another content, and one without a unit."""
    declare(postgres, 1, SPEND)
    key = new_key(database, "acme").key
    with serving_api(database) as api, httpx.Client(base_url=api.url, headers={"X-API-Key": key}) as client:
        batch = [order(1, note="a"), order(2, note="b"), order(2, note="c"), {**order(3, spend=1), "unit_id": ""}]
        answer = client.post("/v1/events", json=batch)
        cloud = {
            "specversion": "1.0", "id": "o9", "source": "shop", "type": "order", "subject": "u",
            "time": "2026-01-05T12:00:00Z", "data": {"note": "d"},
        }  # fmt: skip
        again = client.post(
            "/v1/events", content=json.dumps(cloud), headers={"Content-Type": "application/cloudevents+json"}
        )
    assert (answer.json()["invalid"], again.json()["invalid"]) == (4, 1)
    yield


def test_nothing_changes_while_the_schema_does_not(
    causeway: CommandLine, refused: None, postgres: PostgresClient
) -> None:
    answer = causeway("replay", "--json", "--code", "schema")
    assert answer.code == 0, answer.err
    assert (answer.json["replayed"], answer.json["invalid"]) == (4, 4)
    assert {event["code"] for event in answer.json["events"]} == {"schema"}
    assert postgres.fetch_one("SELECT count(*) FROM raw.events") == (0,)
    # What is refused again is not set aside a second time.
    assert postgres.fetch_one("SELECT count(*) FROM raw.quarantine") == (5,)


def test_a_mended_schema_lets_them_in_once(causeway: CommandLine, refused: None, postgres: PostgresClient) -> None:
    declare(postgres, 2, {"type": "object"})
    answer = causeway("replay", "--json")
    assert answer.code == 0, answer.err
    found = [(event["refused_for"], event["outcome"]) for event in answer.json["events"]]
    assert found == [
        ("schema", "accepted"),
        ("schema", "accepted"),
        ("schema", "conflict"),
        ("missing_unit", "invalid"),
        ("schema", "accepted"),
    ]
    stored = postgres.fetch_all("SELECT event_id, schema_version, properties FROM raw.events ORDER BY event_id")
    assert stored == [("o1", 2, {"note": "a"}), ("o2", 2, {"note": "b"}), ("o9", 2, {"note": "d"})]
    first = postgres.fetch_one("SELECT count(*) FROM raw.events WHERE first_received_at < received_at")
    assert first == (3,)


def test_what_was_taken_is_not_sent_again(causeway: CommandLine, refused: None, postgres: PostgresClient) -> None:
    assert [event["refused_for"] for event in causeway("replay", "--json").json["events"]] == ["missing_unit"]
    printed = causeway("replay", "--type", "nothing of that kind")
    assert (printed.code, printed.out.strip().splitlines()[-1]) == (0, "no refused event waits that is like this")
    assert "1 events sent again, 0 of them accepted" in causeway("replay", "--source", "shop").out
    assert causeway("replay", "--json", "--since", "2999-01-01T00:00:00Z").json["replayed"] == 0
    assert causeway("replay", "--json", "--tenant", "globex").json["replayed"] == 0


def test_a_time_that_is_none_is_the_callers_mistake(causeway: CommandLine) -> None:
    answer = causeway("replay", "--since", "yesterday")
    assert answer.code == 2
    assert "--since is a time such as" in answer.line
