"""What has been kept for long enough goes by whole partitions and leaves a trace; ids stay taken."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from definitions import defs
from jobs.retention import daily_retention, retain
from resources.connection import connect
from resources.postgres_client import PostgresClient
from resources.settings import Settings

EVENT = (
    "INSERT INTO raw.events (tenant_id, source, event_id, type, unit_id, occurred_at, received_at, retention_days)"
    " VALUES (%s, 's', %s, 't', 'u', %s, %s, %s)"
)
KEY = "INSERT INTO raw.event_keys (tenant_id, source, event_id) VALUES (%s, 's', %s)"


def store(postgres: PostgresClient, event_id: str, received_at: str, days: int, tenant: str = "acme") -> None:
    with postgres.transaction() as transaction:
        transaction.execute(EVENT, (tenant, event_id, received_at, received_at, days))
        transaction.execute(KEY, (tenant, event_id))


def ids(postgres: PostgresClient) -> list[str]:
    return [event_id for (event_id,) in postgres.fetch_all("SELECT event_id FROM raw.events ORDER BY 1")]


def audited(postgres: PostgresClient) -> list[tuple[Any, ...]]:
    return postgres.fetch_all(
        "SELECT tenant_id, actor, action, subject, details FROM ops.audit ORDER BY subject, tenant_id"
    )


@pytest.fixture(scope="module")
def night(postgres: PostgresClient) -> None:
    """Events of January 2020 that are kept for 30 days and for 60 years, and of last month, kept for 30 days."""
    store(postgres, "old", "2020-01-05T12:00:00Z", 30)
    store(postgres, "old too", "2020-01-31T23:59:59Z", 30)
    store(postgres, "old of globex", "2020-01-05T12:00:00Z", 30, tenant="globex")
    store(postgres, "its neighbour in time", "2020-01-05T12:00:00Z", 21915)
    (recent,) = postgres.fetch_one("SELECT (now() - interval '20 days')::text") or ("",)
    store(postgres, "its neighbour in class", recent, 30)
    postgres.fetch_one("SELECT raw.ensure_partitions(0)")
    assert len(ids(postgres)) == 5
    retain(postgres)


@pytest.mark.usefixtures("night")
class TestANight:
    def test_drops_the_expired_partition_and_no_neighbour(self, postgres: PostgresClient) -> None:
        assert ids(postgres) == ["its neighbour in class", "its neighbour in time"]
        assert postgres.fetch_one("SELECT to_regclass('raw.events_30_2020_01')") == (None,)
        assert postgres.fetch_one("SELECT to_regclass('raw.events_21915_2020_01') IS NOT NULL") == (True,)

    def test_tells_each_tenant_what_it_lost(self, postgres: PostgresClient) -> None:
        span = {"from": "2020-01-01T00:00:00+00:00", "to": "2020-02-01T00:00:00+00:00"}
        dropped = ("retention", "drop_partition", "raw.events_30_2020_01")
        assert audited(postgres) == [("acme", *dropped, {"rows": 2, **span}), ("globex", *dropped, {"rows": 1, **span})]

    def test_leaves_an_audit_that_nobody_rewrites(self, database: Settings, postgres: PostgresClient) -> None:
        with (
            connect(database.address("causeway_owner"), tenant="acme") as owner,
            pytest.raises(Exception, match=r"ops\.audit is append-only"),
        ):
            owner.execute("DELETE FROM ops.audit")
        with connect(database.address("causeway_owner"), tenant="acme") as owner:
            assert owner.execute("SELECT DISTINCT tenant_id FROM ops.audit").fetchall() == [("acme",)]

    def test_leaves_the_ids_taken(self, postgres: PostgresClient) -> None:
        taken = postgres.fetch_all("SELECT event_id FROM raw.event_keys WHERE event_id LIKE 'old%' ORDER BY 1")
        assert taken == [("old",), ("old of globex",), ("old too",)]

    def test_done_again_does_nothing(self, postgres: PostgresClient) -> None:
        before = audited(postgres)
        again = retain(postgres)
        assert (again.partitions_made, dict(again.dropped), again.answers_forgotten) == (0, {}, 0)
        assert audited(postgres) == before


def test_nobody_drops_anything_before_its_time_by_saying_that_it_is_later(postgres: PostgresClient) -> None:
    store(postgres, "of today", "now", 1)
    postgres.fetch_one("SELECT raw.ensure_partitions(0)")
    assert postgres.fetch_all("SELECT * FROM raw.drop_expired('2999-01-01')") == []
    assert "of today" in ids(postgres)


def test_partitions_are_made_for_what_is_declared_before_it_comes(postgres: PostgresClient) -> None:
    postgres.execute(
        "INSERT INTO registry.event_types (tenant_id, key, version, declaration, declaration_hash)"
        """ VALUES ('acme', 'click', 1, '{"retention_days": 14}', 'h')"""
    )
    retain(postgres)
    store(postgres, "click", "now", 14)
    row = postgres.fetch_one("SELECT tableoid::regclass::text FROM raw.events WHERE event_id = 'click'")
    assert row is not None
    assert row[0].startswith("raw.events_14_2")


def test_answers_are_forgotten_after_seven_days(postgres: PostgresClient, database: Settings) -> None:
    with connect(database.address("causeway_api"), tenant="acme", autocommit=True) as api:
        for key, age in (("six", 6), ("eight", 8)):
            api.execute(
                "INSERT INTO ops.idempotency_keys (tenant_id, scope, key, request_hash, status, answer, created_at)"
                " VALUES ('acme', 's', %s, 'h', 200, '{}', now() - make_interval(days => %s))",
                (key, age),
            )
        assert retain(postgres).answers_forgotten == 1
        assert api.execute("SELECT key FROM ops.idempotency_keys").fetchall() == [("six",)]


def test_the_job_runs_every_night_and_says_what_it_did(postgres: PostgresClient) -> None:
    store(postgres, "of 2019", "2019-05-05T12:00:00Z", 30)
    postgres.fetch_one("SELECT raw.ensure_partitions(0)")
    assert daily_retention.cron_schedule == "30 3 * * *"
    with dg.DagsterInstance.ephemeral() as instance:
        ran = defs.resolve_job_def(daily_retention.job_name).execute_in_process(instance=instance)
    assert ran.success
    assert "of 2019" not in ids(postgres)
