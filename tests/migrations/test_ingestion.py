"""Records move into partitions and back without a change, and expired partitions go whole, with a trace."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from resources.connection import connect
from resources.migration import downgrade, ensure_tenant, migrate, upgrade
from resources.postgres_client import PostgresClient
from resources.settings import Settings

RECORD = (
    "INSERT INTO raw.{table} (tenant_id, source, event_id, type, unit_id, occurred_at, received_at{columns})"
    " SELECT %(tenant)s, 's', day::text, 'outcome', 'u' || day %% 20, timestamptz '2026-01-01' - make_interval(hours =>"
    " day), timestamptz '2026-01-01' - make_interval(days => day){values} FROM generate_series(1, 100) AS day"
)
WHERE_IT_LIES = "SELECT tableoid::regclass::text FROM raw.events WHERE event_id = %s"


def client_of(settings: Settings, name: str) -> PostgresClient:
    return PostgresClient(replace(settings, database_name=name))


def content(postgres: PostgresClient, table: str) -> list[tuple[Any, ...]]:
    return postgres.fetch_all(
        f"SELECT seq, tenant_id, source, received_at FROM raw.{table} ORDER BY tenant_id, source, received_at"
    )


class TestMoving:
    @pytest.fixture
    def old(self, postgres_server: Settings) -> Iterator[PostgresClient]:
        """A database at the revision before, with records of a hundred days."""
        postgres = client_of(postgres_server, f"old_{secrets.token_hex(6)}")
        migrate(postgres.settings)
        downgrade(postgres.settings, "0006")
        for tenant in ("acme", "globex"):
            ensure_tenant(postgres.settings, tenant)
            for table, columns, values in (
                ("events", "", ""),
                ("assignments", ", experiment, variant", ", 'e', 'v' || day"),
            ):
                postgres.execute(RECORD.format(table=table, columns=columns, values=values), {"tenant": tenant})
            postgres.execute(
                "INSERT INTO raw.quarantine (tenant_id, source, code, reason, record) VALUES (%s, 's', 'c', 'r', '{}')",
                (tenant,),
            )
        yield postgres
        with connect(postgres.settings.admin_address(), autocommit=True) as admin:
            for name in map(postgres.settings.name_of, ("causeway", "dagster", "mlflow")):
                admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())

    def test_every_record_keeps_its_number_and_comes_back_when_it_is_undone(self, old: PostgresClient) -> None:
        tables = ("events", "assignments", "quarantine")
        before = [content(old, table) for table in tables]
        upgrade(old.settings, "0007")
        assert [content(old, table) for table in tables] == before
        assert old.fetch_one("SELECT count(*) FROM raw.events WHERE tableoid::regclass::text ~ 'default'") == (0,)
        downgrade(old.settings, "0006")
        assert [content(old, table) for table in tables] == before

    def test_numbers_go_on_behind_the_last_one(self, old: PostgresClient) -> None:
        upgrade(old.settings, "0007")
        (last,) = old.fetch_one("SELECT max(seq) FROM raw.events") or (0,)
        insert(old, "new")
        assert old.fetch_one("SELECT seq FROM raw.events WHERE event_id = 'new'") == (last + 1,)

    def test_an_id_that_was_stored_before_stays_taken(self, old: PostgresClient) -> None:
        upgrade(old.settings, "0007")
        assert old.fetch_one("SELECT count(*) FROM raw.event_keys WHERE tenant_id = 'acme'") == (100,)

    def test_a_unit_keeps_the_earliest_variant_that_it_had(self, old: PostgresClient) -> None:
        """Unit u7 was given v7, v27, v47, v67 and v87, each earlier than the one before."""
        upgrade(old.settings, "0007")
        kept = old.fetch_all("SELECT variant FROM raw.sticky_assignments WHERE tenant_id = 'acme' AND unit_id = 'u7'")
        assert kept == [("v87",)]

    def test_what_a_refused_landing_brought_is_kept_by_nobody(self, old: PostgresClient) -> None:
        old.execute(
            "INSERT INTO raw.landings (tenant_id, landing_id, source, mode, content_hash, accepted, events,"
            " assignments, quarantined, duplicates) VALUES ('acme', 'l', 's', 'append', 'h', false, 0, 1, 0, 0)"
        )
        old.execute(
            "INSERT INTO raw.assignments (tenant_id, source, event_id, type, unit_id, occurred_at, landing_id,"
            " experiment, variant) VALUES ('acme', 's', 'x', 'assignment', 'refused', now(), 'l', 'e', 'v')"
        )
        upgrade(old.settings, "0007")
        assert old.fetch_all("SELECT 1 FROM raw.sticky_assignments WHERE unit_id = 'refused'") == []


def insert(postgres: PostgresClient, event_id: str, received_at: str = "now", days: int = 2557) -> None:
    postgres.execute(
        "INSERT INTO raw.events (tenant_id, source, event_id, type, unit_id, occurred_at, received_at, retention_days)"
        " VALUES ('acme', 's', %s, 't', 'u', now(), %s, %s)",
        (event_id, received_at, days),
    )


def where(postgres: PostgresClient, event_id: str) -> str:
    row = postgres.fetch_one(WHERE_IT_LIES, (event_id,))
    assert row is not None
    return str(row[0])


class TestPartitions:
    def test_a_record_of_this_month_lies_in_its_month(self, postgres: PostgresClient) -> None:
        insert(postgres, "today")
        assert where(postgres, "today") == f"raw.events_2557_{datetime.now(UTC):%Y_%m}"

    def test_a_record_that_nobody_made_a_partition_for_is_stored_and_moved_later(
        self, postgres: PostgresClient
    ) -> None:
        insert(postgres, "far", received_at="2094-05-31T23:59:59Z")
        insert(postgres, "other class", days=91)
        assert (where(postgres, "far"), where(postgres, "other class")) == (
            "raw.events_2557_default",
            "raw.events_default",
        )
        postgres.fetch_one("SELECT raw.ensure_partitions(0)")
        assert where(postgres, "far") == "raw.events_2557_2094_05"
        assert where(postgres, "other class") == f"raw.events_91_{datetime.now(UTC):%Y_%m}"

    def test_the_edge_of_a_month_belongs_to_one_partition(self, postgres: PostgresClient) -> None:
        insert(postgres, "last", received_at="2093-02-28T23:59:59.999999Z")
        insert(postgres, "first", received_at="2093-03-01T00:00:00Z")
        postgres.fetch_one("SELECT raw.ensure_partitions(0)")
        assert where(postgres, "last").endswith("_2093_02")
        assert where(postgres, "first").endswith("_2093_03")

    def test_made_once_they_are_not_made_again(self, postgres: PostgresClient) -> None:
        postgres.fetch_one("SELECT raw.ensure_partitions(3, '{14}')")
        assert postgres.fetch_one("SELECT raw.ensure_partitions(3, '{14}')") == (0,)

    def test_while_it_waits_for_a_reader_events_are_stored(self, database: Settings, postgres: PostgresClient) -> None:
        with connect(database.address("causeway_pipeline"), autocommit=True) as reader:
            with reader.transaction():
                reader.execute("SELECT count(*) FROM raw.events")
                making = threading.Thread(target=postgres.fetch_one, args=("SELECT raw.ensure_partitions(4)",))
                making.start()
                while not postgres.fetch_one("SELECT 1 FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"):
                    assert making.is_alive()
                insert(postgres, "meanwhile")
                assert making.is_alive()
            making.join()
        assert where(postgres, "meanwhile")
