"""What revision 0008 lets the API do, and the word that it sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from resources.connection import connect
from resources.migration import current_revision, downgrade, upgrade
from resources.postgres_client import PostgresClient
from resources.settings import Settings

Connection = psycopg.Connection[Any]

PUT = "INSERT INTO registry.experiments (tenant_id, key, declaration, declaration_hash) VALUES ('acme', 'e', '{}', 'h')"


@pytest.fixture
def api(database: Settings) -> Iterator[Connection]:
    with connect(database.address("causeway_api"), tenant="acme", autocommit=True) as connection:
        yield connection


def test_the_api_declares_experiments_and_keeps_their_history(api: Connection, postgres: PostgresClient) -> None:
    api.execute(f"{PUT} ON CONFLICT (tenant_id, key) DO UPDATE SET declaration_hash = 'i'".encode())
    api.execute(b"UPDATE registry.experiments SET declaration_hash = 'j' WHERE key = 'e'")
    api.execute(
        b"INSERT INTO registry.declaration_versions (tenant_id, kind, key, declaration_hash, declaration)"
        b" VALUES ('acme', 'experiment', 'e', 'j', '{}')"
    )
    api.execute(
        b"INSERT INTO registry.life_cycle (tenant_id, experiment, status, version, by)"
        b" VALUES ('acme', 'e', 'draft', 1, 'key')"
    )
    assert postgres.fetch_all("SELECT key, declaration_hash, declared_in FROM registry.experiments") == [
        ("e", "j", None)
    ]
    postgres.execute("DELETE FROM registry.experiments")


def test_the_api_engages_and_releases_kill_switches(api: Connection) -> None:
    api.execute(b"INSERT INTO registry.kill_switches (tenant_id, key, engaged_by) VALUES ('acme', 'e', 'key')")
    api.execute(b"UPDATE registry.kill_switches SET reason = 'it burns'")
    assert api.execute(b"DELETE FROM registry.kill_switches").rowcount == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM registry.life_cycle",
        "UPDATE registry.life_cycle SET status = 'draft'",
        "INSERT INTO registry.flags (tenant_id, key, declaration, declaration_hash) VALUES ('acme', 'f', '{}', 'h')",
        "UPDATE registry.layers SET declaration = '{}'",
        "DELETE FROM registry.event_types",
        "UPDATE registry.declaration_versions SET declaration = '{}'",
        "INSERT INTO registry.kill_switches (tenant_id, key, engaged_by) VALUES ('globex', 'e', 'key')",
        "INSERT INTO registry.life_cycle (tenant_id, experiment, status, version, by)"
        " VALUES ('globex', 'e', 'draft', 1, 'key')",
        PUT.replace("acme", "globex"),
    ],
)
def test_the_api_rewrites_no_history_and_writes_to_no_other_tenant(api: Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        api.execute(statement.encode())


def test_a_status_that_nobody_knows_is_no_history(postgres: PostgresClient) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        postgres.execute(
            "INSERT INTO registry.life_cycle (tenant_id, experiment, status, version, by)"
            " VALUES ('acme', 'e', 'asleep', 1, 'key')"
        )


DECLARED = {
    "experiments": "(tenant_id, key, declaration, declaration_hash) VALUES ('globex', 'k', '{}', 'h')",
    "flags": "(tenant_id, key, declaration, declaration_hash) VALUES ('globex', 'k', '{}', 'h')",
    "layers": "(tenant_id, key, declaration, declaration_hash) VALUES ('globex', 'k', '{}', 'h')",
    "saved_groups": "(tenant_id, key, declaration, declaration_hash) VALUES ('globex', 'k', '{}', 'h')",
    "event_types": "(tenant_id, key, version, declaration, declaration_hash) VALUES ('globex', 'k', 1, '{}', 'h')",
}


@pytest.mark.parametrize("table", DECLARED)
def test_every_change_is_announced_with_its_tenant_once_a_transaction(
    database: Settings, postgres: PostgresClient, table: str
) -> None:
    with connect(database.address("causeway_api"), tenant="acme", autocommit=True) as listener:
        listener.execute("LISTEN registry_changed")
        with postgres.transaction() as transaction:
            transaction.execute(f"INSERT INTO registry.{table} {DECLARED[table]}")
            transaction.execute(f"UPDATE registry.{table} SET declaration_hash = 'i' WHERE key = 'k'")
        assert [note.payload for note in listener.notifies(timeout=20, stop_after=1)] == ["globex"]
        postgres.execute(f"DELETE FROM registry.{table} WHERE key = 'k'")
        assert [note.payload for note in listener.notifies(timeout=20, stop_after=1)] == ["globex"]
        # Sent after all else: nothing is left in between.
        postgres.execute("SELECT pg_notify('registry_changed', 'end')")
        assert [note.payload for note in listener.notifies(timeout=20, stop_after=1)] == ["end"]


def test_a_kill_switch_is_announced(api: Connection, database: Settings) -> None:
    with connect(database.address("causeway_api"), tenant="globex", autocommit=True) as listener:
        listener.execute("LISTEN registry_changed")
        api.execute(b"INSERT INTO registry.kill_switches (tenant_id, key, engaged_by) VALUES ('acme', 'k', 'key')")
        api.execute(b"DELETE FROM registry.kill_switches WHERE key = 'k'")
        assert [note.payload for note in listener.notifies(timeout=20, stop_after=2)] == ["acme", "acme"]


def test_it_can_be_undone_and_done_again(database: Settings) -> None:
    newest = current_revision(database)
    downgrade(database, "0007")
    with connect(database.address("causeway_owner")) as owner:
        left = owner.execute("SELECT count(*) FROM pg_trigger WHERE tgname = 'announce_change'").fetchone()
        columns = owner.execute("SELECT count(*) FROM pg_attribute WHERE attname = 'declared_in'").fetchone()
    assert (left, columns) == ((0,), (0,))
    upgrade(database)
    assert current_revision(database) == newest
