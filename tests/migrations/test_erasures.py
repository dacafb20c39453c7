"""A unit that is erased is gone from what was received, for good and with a trace, and nothing else is."""

from __future__ import annotations

import json

import psycopg
import pytest

from resources.connection import connect
from resources.postgres_client import PostgresClient
from resources.settings import Settings

TABLES = ("events", "assignments", "sticky_assignments", "quarantine")


def store(postgres: PostgresClient, tenant: str, unit: str) -> None:
    common = "tenant_id, source, event_id, type, unit_id, occurred_at"
    postgres.execute("INSERT INTO raw.event_keys (tenant_id, source, event_id) VALUES (%s, 's', %s)", (tenant, unit))
    postgres.execute(f"INSERT INTO raw.events ({common}) VALUES (%s, 's', %s, 't', %s, now())", (tenant, unit, unit))
    postgres.execute(
        f"INSERT INTO raw.assignments ({common}, experiment, variant) VALUES (%s, 's', %s, 't', %s, now(), 'e', 'v')",
        (tenant, unit, unit),
    )
    postgres.execute(
        "INSERT INTO raw.sticky_assignments (tenant_id, experiment, bucket_version, unit_id, variant, source)"
        " VALUES (%s, 'e', 0, %s, 'v', 's')",
        (tenant, unit),
    )
    for record in (json.dumps({"customer": unit, "spend": 3}), f"not JSON, of {unit}"):
        postgres.execute(
            "INSERT INTO raw.quarantine (tenant_id, source, code, reason, record) VALUES (%s, 's', 'c', 'r', %s)",
            (tenant, record),
        )


@pytest.fixture(scope="module", autouse=True)
def erased(postgres: PostgresClient) -> dict[str, int]:
    """u1 and u2 of acme and u1 of globex; u1 of acme is erased."""
    for tenant, unit in (("acme", "u1"), ("acme", "u2"), ("globex", "u1")):
        store(postgres, tenant, unit)
    return dict(postgres.fetch_all("SELECT relation, rows FROM raw.erase_unit('acme', 'u1', 'asked', 'me')"))


def test_its_rows_are_gone_and_counted(postgres: PostgresClient, erased: dict[str, int]) -> None:
    assert erased == {f"raw.{name}": 1 for name in TABLES}
    for name in ("events", "assignments", "sticky_assignments"):
        left = postgres.fetch_all(f"SELECT tenant_id, unit_id FROM raw.{name} ORDER BY 1, 2")
        assert left == [("acme", "u2"), ("globex", "u1")]
    assert postgres.fetch_all("SELECT 1 FROM raw.quarantine WHERE tenant_id = 'acme' AND record ~ '^{.*u1'") == []
    assert postgres.fetch_one("SELECT count(*) FROM raw.quarantine") == (5,)


def test_the_ids_of_its_records_stay_taken(postgres: PostgresClient) -> None:
    assert postgres.fetch_one("SELECT count(*) FROM raw.event_keys WHERE event_id = 'u1'") == (2,)


def test_what_was_done_is_on_record(postgres: PostgresClient) -> None:
    assert postgres.fetch_all("SELECT tenant_id, unit_id, reason, erased_by FROM raw.erasures") == [
        ("acme", "u1", "asked", "me")
    ]
    ((tenant, actor, subject, details),) = postgres.fetch_all(
        "SELECT tenant_id, actor, subject, details FROM ops.audit WHERE action = 'erase_unit'"
    )
    assert (tenant, actor, subject) == ("acme", "me", "u1")
    assert details == {**{f"raw.{name}": 1 for name in TABLES}, "reason": "asked"}


def test_nothing_else_can_be_deleted_afterwards_in_the_same_transaction(database: Settings) -> None:
    with (
        connect(database.address("causeway_owner"), tenant="acme") as owner,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"),
    ):
        owner.execute("SELECT raw.erase_unit('acme', 'u3', 'asked', 'me')")
        owner.execute("DELETE FROM raw.events")


def test_who_may_call_it_may_not_delete_by_itself(postgres: PostgresClient, database: Settings) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), postgres.transaction() as transaction:
        transaction.execute("SELECT set_config('causeway.erasing', 'u2', true)")
        transaction.execute("DELETE FROM raw.events")
    with (
        connect(database.address("causeway_api"), tenant="acme") as api,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        api.execute("SELECT raw.erase_unit('acme', 'u2', 'asked', 'me')")
