"""What dbt makes of events that came over HTTP: whose variant held when they happened, clocks, and logged exposures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from resources.dbt import DbtResource
from resources.postgres_client import PostgresClient

MODELS = ("events.events", "events.exposures", "events.assignment_contexts", "events.quarantine_counts")
NOON = "2026-03-01T12:00:00Z"


def at(clock: str, day: int = 1) -> str:
    return f"2026-03-{day:02d}T{clock}:00Z"


def store(postgres: PostgresClient, table: str, **columns: Any) -> None:
    row = {
        "tenant_id": "acme", "source": "shop", "type": "order", "received_at": columns["occurred_at"], **columns
    }  # fmt: skip
    values = [json.dumps(value) if isinstance(value, Mapping) else value for value in row.values()]
    marks = ", ".join(["%s"] * len(row))
    postgres.execute(f"INSERT INTO raw.{table} ({', '.join(row)}) VALUES ({marks})", values)


def assign(
    postgres: PostgresClient, unit: str, variant: str, when: str, experiment: str = "checkout", **more: Any
) -> None:
    store(
        postgres, "assignments", event_id=f"{experiment}:{unit}:{when}", unit_id=unit, occurred_at=when,
        experiment=experiment, variant=variant, **more,
    )  # fmt: skip


def order(postgres: PostgresClient, event_id: str, unit: str, when: str, **more: Any) -> None:
    store(postgres, "events", event_id=event_id, unit_id=unit, occurred_at=when, **more)


@pytest.fixture(scope="module", autouse=True)
def made(postgres: PostgresClient) -> None:
    """One shop: u1 is assigned at noon and again at three, u2 after its only order, u3's assignment comes late."""
    assign(postgres, "u1", "on", NOON)
    assign(postgres, "u1", "off", at("15:00"))
    assign(postgres, "u1", "left", at("13:00"), experiment="layout")
    for event_id, when in (("before", "11:59"), ("at", "12:00"), ("between", "14:00"), ("after", "16:00")):
        order(postgres, event_id, "u1", at(when))
    order(postgres, "only", "u2", at("12:00"))
    assign(postgres, "u2", "on", at("12:01"))
    order(postgres, "late", "u3", at("12:00"))
    assign(postgres, "u3", "on", at("11:00"), received_at=at("00:00", day=9))
    order(postgres, "elsewhere", "u1", at("14:00"), tenant_id="globex")

    order(postgres, "fast clock", "u4", at("12:10"), sent_at=at("12:11"), received_at=at("12:01"))
    order(postgres, "silent", "u4", at("12:00"))
    order(
        postgres, "replayed", "u4", at("12:10"), sent_at=at("12:11"), first_received_at=at("12:01"),
        received_at=at("12:00", day=5),
    )  # fmt: skip
    shown = {"experiment": "checkout", "variant": "on"}
    order(postgres, "seen", "u1", at("12:30"), type="exposure", properties=shown)
    order(postgres, "seen too", "u1", at("12:40"), type="exp.exposure.v1", properties=shown)
    order(postgres, "seen what", "u1", at("12:50"), type="exposure", properties={"experiment": "checkout"})
    for code in ("bad_time", "bad_time", "schema"):
        postgres.execute(
            "INSERT INTO raw.quarantine (tenant_id, source, code, reason, record)"
            " VALUES ('acme', 'shop', %s, 'r', '{}')",
            (code,),
        )
    postgres.execute(
        "INSERT INTO raw.replays (tenant_id, quarantine_seq, outcome)"
        " SELECT tenant_id, seq, CASE code WHEN 'schema' THEN 'accepted' ELSE 'invalid' END FROM raw.quarantine"
    )
    DbtResource().build(MODELS, known_at="infinity")


def contexts(postgres: PostgresClient, event_id: str) -> dict[str, str]:
    return dict(
        postgres.fetch_all(
            "SELECT experiment, variant FROM events.assignment_contexts WHERE tenant_id = 'acme' AND event_id = %s",
            (event_id,),
        )
    )


class TestAssignmentContext:
    def test_is_the_latest_assignment_at_or_before_the_event(self, postgres: PostgresClient) -> None:
        assert contexts(postgres, "at") == {"checkout": "on"}
        assert contexts(postgres, "between") == {"checkout": "on", "layout": "left"}
        assert contexts(postgres, "after") == {"checkout": "off", "layout": "left"}

    def test_does_not_leak_from_the_future(self, postgres: PostgresClient) -> None:
        """u1 was assigned a minute after the event "before", u2 a minute after its only one."""
        assert contexts(postgres, "before") == {}
        assert contexts(postgres, "only") == {}
        later = postgres.fetch_all("SELECT 1 FROM events.assignment_contexts WHERE assigned_at > occurred_at")
        assert later == []

    def test_knows_of_no_assignment_that_had_not_arrived(self, postgres: PostgresClient) -> None:
        """It was made an hour before the event and arrived a week after: a number made in between was made without."""
        assert contexts(postgres, "late") == {"checkout": "on"}
        try:
            DbtResource().build(MODELS, known_at=at("00:00", day=8))
            assert contexts(postgres, "late") == {}
            assert contexts(postgres, "at") == {"checkout": "on"}
        finally:
            DbtResource().build(MODELS, known_at="infinity")

    def test_is_of_the_same_tenant(self, postgres: PostgresClient) -> None:
        """globex has an event of a unit that acme has assigned."""
        assert postgres.fetch_all("SELECT 1 FROM events.assignment_contexts WHERE tenant_id = 'globex'") == []


class TestClocks:
    def corrected(self, postgres: PostgresClient, event_id: str) -> Any:
        return postgres.fetch_one(
            "SELECT occurred_at = %s, corrected_at = %s FROM events.events WHERE event_id = %s",
            (at("12:10"), NOON, event_id),
        )

    def test_what_a_wrong_clock_said_is_kept_and_corrected_beside_it(self, postgres: PostgresClient) -> None:
        """Sent at 12:11 by a clock that was ten minutes ahead: it came at 12:01."""
        assert self.corrected(postgres, "fast clock") == (True, True)

    def test_an_event_that_was_replayed_is_corrected_by_when_it_first_came(self, postgres: PostgresClient) -> None:
        assert self.corrected(postgres, "replayed") == (True, True)

    def test_a_sender_that_does_not_say_when_it_sent_is_not_corrected(self, postgres: PostgresClient) -> None:
        assert self.corrected(postgres, "silent") == (False, None)


class TestExposures:
    def test_what_senders_log_stands_beside_what_was_assigned(self, postgres: PostgresClient) -> None:
        rows = postgres.fetch_all(
            "SELECT kind, variant FROM events.exposures WHERE unit_id = 'u1' AND experiment = 'checkout'"
            " AND tenant_id = 'acme' ORDER BY exposed_at"
        )
        assert rows == [("assignment", "on"), ("logged", "on"), ("logged", "on"), ("assignment", "off")]

    def test_one_that_names_no_variant_is_an_event_and_no_exposure(self, postgres: PostgresClient) -> None:
        assert postgres.fetch_all("SELECT 1 FROM events.exposures WHERE event_id = 'seen what'") == []
        assert postgres.fetch_all("SELECT 1 FROM events.events WHERE event_id = 'seen what'") == [(1,)]


def test_what_was_taken_when_it_was_sent_again_is_refused_no_longer(postgres: PostgresClient) -> None:
    assert postgres.fetch_all("SELECT code, records FROM events.quarantine_counts") == [("bad_time", 2)]
