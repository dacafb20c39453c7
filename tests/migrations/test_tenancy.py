"""Nobody sees, writes or changes a row of another tenant; these are the attempts, made on a real server."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from migrations.tenancy import create_table, tenant_id, text
from resources.connection import connect
from resources.migration import new_key
from resources.postgres_client import NEVER_PREFIXED, STAGES, PostgresClient
from resources.settings import ROLES, Role, Settings

Connection = psycopg.Connection[Any]
OURS = [*STAGES, *NEVER_PREFIXED]
EVENT = (
    "INSERT INTO raw.events (tenant_id, source, event_id, type, unit_id, occurred_at)"
    " VALUES (%s, 's', %s, 'outcome', %s, now())"
)
ASSIGNMENT = (
    "INSERT INTO raw.assignments (tenant_id, source, event_id, type, unit_id, occurred_at, experiment,"
    " variant) VALUES (%s, 's', %s, 'assignment', %s, now(), 'e', 'a')"
)
KEY = "INSERT INTO raw.event_keys (tenant_id, source, event_id) VALUES (%s, 's', %s)"
STICKY = (
    "INSERT INTO raw.sticky_assignments (tenant_id, experiment, bucket_version, unit_id, variant, source)"
    " VALUES (%s, 'e', 0, %s, 'a', 's')"
)
EXPERIMENT = (
    "INSERT INTO registry.experiments (tenant_id, key, declaration, declaration_hash) VALUES (%s, %s, '{}', 'h')"
)


@pytest.fixture(scope="module", autouse=True)
def two_tenants(postgres: PostgresClient, database: Settings) -> None:
    """acme and globex each have an event, an assignment that holds, an experiment, a health check and a key."""
    for tenant in ("acme", "globex"):
        postgres.execute(EVENT, (tenant, "1", f"unit of {tenant}"))
        postgres.execute(ASSIGNMENT, (tenant, "1", f"unit of {tenant}"))
        postgres.execute(STICKY, (tenant, f"unit of {tenant}"))
        postgres.execute(EXPERIMENT, (tenant, f"experiment of {tenant}"))
        postgres.execute(
            "INSERT INTO experiments.health (tenant_id, experiment, check_name, blocking, provenance_id)"
            " VALUES (%s, 'e', 'c', true, 'p')",
            (tenant,),
        )
        new_key(database, tenant)


def session(database: Settings, role: Role, tenant: str | None) -> Connection:
    return connect(database.address(role), tenant=tenant, autocommit=True)


@pytest.fixture
def api(database: Settings) -> Iterator[Connection]:
    """The API as it serves acme."""
    with session(database, "causeway_api", "acme") as connection:
        yield connection


def column(connection: Connection, query: str) -> list[Any]:
    return [row[0] for row in connection.execute(query.encode())]


class TestEveryTable:
    def test_has_a_tenant_and_forced_row_level_security_with_the_two_policies(self, postgres: PostgresClient) -> None:
        tables = postgres.fetch_all(
            """
            SELECT c.oid::regclass::text, c.relrowsecurity, c.relforcerowsecurity,
                   EXISTS (SELECT FROM pg_attribute a
                           WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnotnull),
                   (SELECT array_agg(p.polname::text || ' ' || p.polroles::regrole[]::text ORDER BY p.polname)
                    FROM pg_policy p WHERE p.polrelid = c.oid)
            FROM pg_class c WHERE c.relkind IN ('r', 'p', 'm', 'f') AND c.relnamespace::regnamespace::text =
            ANY(%s)
            """,
            (OURS,),
        )
        assert len(tables) >= 20
        policies = ["pipeline_all_tenants {causeway_pipeline}", "tenant_isolation {-}"]
        for name, enabled, forced, has_tenant, found in tables:
            assert (enabled, forced, has_tenant) == (True, True, True), name
            assert found == policies, name

    def test_says_what_a_row_is_and_what_each_column_means(self, postgres: PostgresClient) -> None:
        silent = postgres.fetch_all(
            """
            SELECT c.oid::regclass::text, a.attname FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relkind IN ('r', 'v') AND c.relnamespace::regnamespace::text = ANY(%s)
              AND col_description(c.oid, a.attnum) IS NULL
            """,
            (OURS,),
        )
        assert silent == []
        tables = postgres.fetch_all(
            "SELECT oid::regclass::text, obj_description(oid, 'pg_class') FROM pg_class"
            " WHERE relkind IN ('r', 'v') AND relnamespace::regnamespace::text = ANY(%s)",
            (OURS,),
        )
        for name, comment in tables:
            assert " Grain: one row per " in comment, name

    def test_cannot_be_declared_without_a_tenant_or_without_comments(self) -> None:
        with pytest.raises(ValueError, match="no tenant_id"):
            create_table("ops.loose", text("a", "a"), comment="c", grain="g")
        with pytest.raises(ValueError, match="without a comment: a"):
            create_table("ops.loose", tenant_id(), text("a", ""), comment="c", grain="g")

    def test_belongs_to_the_owner_of_the_migrations(self, postgres: PostgresClient) -> None:
        owners = postgres.fetch_all(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class"
            " WHERE relkind IN ('r', 'v') AND relnamespace::regnamespace::text = ANY(%s)",
            (OURS,),
        )
        assert owners == [("causeway_owner",)]


def test_no_role_may_go_round_row_level_security(postgres: PostgresClient) -> None:
    roles = postgres.fetch_all(
        "SELECT rolname::text, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles"
        " WHERE rolname = ANY(%s)",
        (list(ROLES),),
    )
    assert sorted(roles) == sorted((role, True, False, False, False, False) for role in ROLES)
    memberships = postgres.fetch_all(
        "SELECT member::regrole::text, roleid::regrole::text FROM pg_auth_members"
        " WHERE member::regrole::text = ANY(%s)",
        (list(ROLES),),
    )
    assert memberships == [("causeway_pipeline", "pg_read_all_stats")]


class TestReading:
    def test_the_api_sees_its_own_tenant(self, api: Connection) -> None:
        assert column(api, "SELECT key FROM registry.experiments") == ["experiment of acme"]
        assert column(api, "SELECT tenant_id FROM registry.tenants") == ["acme"]
        assert set(column(api, "SELECT tenant_id FROM registry.principals")) == {"acme"}
        assert column(api, "SELECT unit_id FROM serving.unit_assignments") == ["unit of acme"]

    @pytest.mark.parametrize(
        "condition", ["tenant_id = 'globex'", "true OR tenant_id = 'globex'", "tenant_id <> 'acme'"]
    )
    def test_no_condition_brings_back_another_tenant(self, api: Connection, condition: str) -> None:
        for table in ("registry.experiments", "registry.principals", "serving.unit_assignments"):
            assert "globex" not in column(api, f"SELECT tenant_id FROM {table} WHERE {condition}")

    def test_a_function_in_a_condition_is_not_shown_rows_of_others(self, database: Settings) -> None:
        """A cheap function that raises with its argument would give away rows that are filtered after it."""
        with session(database, "causeway_analyst", "acme") as analyst:
            query = b"SELECT 1 FROM serving.unit_assignments WHERE (unit_id || 'x')::int > 0"
            with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="unit of acme"):
                analyst.execute(query)

    @pytest.mark.parametrize("role", ["causeway_api", "causeway_analyst", "causeway_owner"])
    @pytest.mark.parametrize("tenant", [None, "", "nobody", "acme'", "acme,globex", "%"])
    def test_without_a_tenant_of_its_own_a_session_sees_nothing(
        self, database: Settings, role: Role, tenant: str | None
    ) -> None:
        with session(database, role, tenant) as connection:
            assert column(connection, "SELECT unit_id FROM serving.unit_assignments") == []
            if role != "causeway_analyst":
                assert column(connection, "SELECT key FROM registry.experiments") == []
                assert column(connection, "SELECT key_hash FROM registry.principals") == []

    def test_a_tenant_that_was_set_for_one_transaction_is_gone_after_it(self, database: Settings) -> None:
        with session(database, "causeway_api", None) as connection:
            with connection.transaction():
                connection.execute("SELECT set_config('app.tenant_id', 'acme', true)")
                assert column(connection, "SELECT key FROM registry.experiments") == ["experiment of acme"]
            assert column(connection, "SELECT key FROM registry.experiments") == []
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(EVENT, ("acme", "after", "u"))

    def test_the_pipeline_sees_every_tenant_but_no_keys(self, database: Settings) -> None:
        with session(database, "causeway_pipeline", None) as pipeline:
            assert set(column(pipeline, "SELECT tenant_id FROM raw.events")) == {"acme", "globex"}
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                pipeline.execute("SELECT 1 FROM registry.principals")

    @pytest.mark.parametrize(
        "table",
        ["raw.events", "raw.assignments", "raw.landings", "estimates.adjusted_effects", "ops.provenance"],
    )
    def test_neither_api_nor_analyst_reads_behind_serving(self, database: Settings, table: str) -> None:
        for role in ("causeway_api", "causeway_analyst"):
            with (
                session(database, role, "acme") as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege),
            ):
                connection.execute(f"SELECT 1 FROM {table}".encode())

    def test_the_analyst_reads_no_registry(self, database: Settings) -> None:
        with session(database, "causeway_analyst", "acme") as analyst:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                analyst.execute("SELECT 1 FROM registry.principals")
            assert column(analyst, "SELECT unit_id FROM serving.unit_assignments") == ["unit of acme"]


class TestWriting:
    def test_the_api_appends_for_its_own_tenant_and_a_second_record_of_one_id_is_dropped(
        self, api: Connection, postgres: PostgresClient
    ) -> None:
        for inserted in (1, 0):
            assert api.execute(KEY + " ON CONFLICT DO NOTHING", ("acme", "twice")).rowcount == inserted
            assert api.execute(STICKY + " ON CONFLICT DO NOTHING", ("acme", "twice")).rowcount == inserted
        assert postgres.fetch_one("SELECT count(*) FROM raw.event_keys WHERE event_id = 'twice'") == (1,)

    @pytest.mark.parametrize("statement", [EVENT, ASSIGNMENT, KEY, STICKY])
    def test_it_cannot_append_for_another_tenant(self, api: Connection, statement: str) -> None:
        unit = ("u",) * (statement.count("%s") - 2)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            api.execute(statement, ("globex", "forged", *unit))
        # An id that globex used is no conflict for acme, so nothing can be learnt from one either.
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            api.execute(statement + " ON CONFLICT DO NOTHING", ("globex", "1", *unit))

    @pytest.mark.parametrize("tenant", [None, ""])
    def test_without_a_tenant_nothing_can_be_appended(self, database: Settings, tenant: str | None) -> None:
        with session(database, "causeway_api", tenant) as connection:
            for claimed in ("acme", "", "globex"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(EVENT, (claimed, "x", "u"))

    @pytest.mark.parametrize("claimed", ["", "Acme", "a b", "a'b", "x" * 64, "1a"])
    def test_not_even_the_pipeline_writes_a_tenant_that_cannot_be_one(
        self, postgres: PostgresClient, claimed: str
    ) -> None:
        with pytest.raises(psycopg.errors.CheckViolation):
            postgres.execute(EVENT, (claimed, "x", "u"))

    @pytest.mark.parametrize(
        "attack",
        [
            "'; DROP TABLE raw.events; --",
            "$$; SELECT 1; $$",
            "\\'; --",
            '"',
            "%s",
            "a\nb",
            "🙂",
            "x" * 10_000,
        ],
    )
    def test_sql_in_an_id_is_an_id(self, api: Connection, postgres: PostgresClient, attack: str) -> None:
        api.execute(EVENT, ("acme", attack[:50], attack))
        found = postgres.fetch_one("SELECT unit_id, tenant_id FROM raw.events WHERE event_id = %s", (attack[:50],))
        assert found == (attack, "acme")

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE raw.events SET unit_id = 'x'",
            "DELETE FROM raw.events",
            "TRUNCATE raw.events",
            "UPDATE raw.event_keys SET body_hash = NULL",
            "DELETE FROM raw.event_keys",
            "UPDATE raw.sticky_assignments SET variant = 'b'",
            "DELETE FROM ops.audit",
            "SELECT 1 FROM ops.audit",
            "DELETE FROM ops.idempotency_keys",
            "SELECT raw.drop_expired(now())",
            "SELECT raw.ensure_partitions(1)",
            "SELECT raw.lift('raw.events_default', true)",
            "SELECT raw.add_partition('raw.events', 'x', 'DEFAULT', '', '')",
            "INSERT INTO raw.landings (tenant_id, landing_id, source, mode, content_hash, accepted, events,"
            " assignments, quarantined, duplicates)"
            " VALUES ('acme', 'l', 's', 'append', 'h', true, 0, 0, 0, 0)",
            "UPDATE registry.experiments SET tenant_id = 'globex'",
            "DELETE FROM registry.experiments",
            "INSERT INTO registry.principals (tenant_id, key_id, key_hash, role) VALUES ('acme', 'k', 'h', 'admin')",
            "UPDATE registry.principals SET role = 'admin'",
            "INSERT INTO registry.tenants (tenant_id) VALUES ('acme2')",
            "INSERT INTO decisions.experiment_decisions SELECT",
            "INSERT INTO serving.unit_assignments (tenant_id) VALUES ('acme')",
        ],
    )
    def test_the_api_changes_nothing_else(self, api: Connection, statement: str) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            api.execute(statement.encode())

    def test_the_pipeline_rewrites_neither_keys_nor_provenance(self, postgres: PostgresClient) -> None:
        for statement in (
            "UPDATE registry.principals SET role = 'admin'",
            "UPDATE ops.provenance SET seed = 1",
            "DELETE FROM ops.provenance",
            "DELETE FROM registry.tenants",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                postgres.execute(statement)


class TestEscape:
    @pytest.mark.parametrize(
        "statement",
        [
            "SET ROLE causeway_pipeline",
            "SET ROLE causeway_owner",
            "SET ROLE postgres",
            "SET SESSION AUTHORIZATION causeway_owner",
            "CREATE TABLE raw.mine (a int)",
            "CREATE TABLE serving.mine (a int)",
            "CREATE TABLE public.mine (a int)",
            "CREATE TEMPORARY TABLE mine (a int)",
            "CREATE SCHEMA mine",
            "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "ALTER TABLE raw.events DISABLE ROW LEVEL SECURITY",
            "ALTER TABLE raw.events DISABLE TRIGGER append_only",
            "DROP POLICY tenant_isolation ON raw.events",
            "CREATE POLICY mine ON raw.events USING (true)",
            "GRANT SELECT ON ops.provenance TO causeway_api",
            "ALTER ROLE causeway_api BYPASSRLS",
            "SET session_replication_role = replica",
            "COPY raw.events TO PROGRAM 'cat'",
            "COPY raw.events TO STDOUT",
        ],
    )
    def test_the_api_cannot_leave_its_role(self, api: Connection, statement: str) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            api.execute(statement.encode())

    def test_turning_row_security_off_turns_the_query_off(self, api: Connection) -> None:
        api.execute("SET row_security = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            api.execute("SELECT 1 FROM registry.experiments")

    @pytest.mark.parametrize("name", ["dagster", "mlflow"])
    def test_api_and_analyst_cannot_enter_the_databases_of_dagster_and_mlflow(
        self, postgres_server: Settings, name: str
    ) -> None:
        for role in ("causeway_api", "causeway_analyst"):
            with pytest.raises(RuntimeError, match="permission denied for database"):
                connect(postgres_server.address(role, name))  # type: ignore[arg-type]


class TestPartitions:
    """Whoever knows the name of a partition gets no further than by the name of its table."""

    @pytest.fixture(scope="class")
    def partitions(self, postgres: PostgresClient) -> list[str]:
        postgres.execute(EVENT.replace("now())", "'2001-02-03')"), ("globex", "long ago", "u"))
        found = postgres.fetch_all(
            "SELECT oid::regclass::text FROM pg_class WHERE relispartition AND relkind IN ('r', 'p')"
            " AND relnamespace = 'raw'::regnamespace"
        )
        assert len(found) >= 3 * 6
        return [name for (name,) in found]

    @pytest.mark.parametrize("role", ["causeway_api", "causeway_analyst", "causeway_pipeline"])
    def test_no_role_has_a_privilege_on_one(self, database: Settings, partitions: list[str], role: Role) -> None:
        with session(database, role, "acme") as connection:
            for name in partitions:
                for statement in (f"SELECT 1 FROM {name}", f"INSERT INTO {name} SELECT", f"DELETE FROM {name}"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(statement.encode())

    def test_even_the_owner_sees_one_tenant_and_changes_nothing(
        self, database: Settings, partitions: list[str]
    ) -> None:
        seen: list[str] = []
        with session(database, "causeway_owner", "acme") as owner:
            for name in partitions:
                seen += column(owner, f"SELECT tenant_id FROM {name}")
                for statement in (f"DELETE FROM {name}", f"UPDATE {name} SET source = 'x'", f"TRUNCATE {name}"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is append-only"):
                        owner.execute(statement.encode())
        assert set(seen) == {"acme"}

    @pytest.mark.parametrize("table", ["events", "assignments", "quarantine"])
    def test_every_new_one_is_as_guarded_as_the_old(self, postgres: PostgresClient, table: str) -> None:
        postgres.fetch_one("SELECT raw.ensure_partitions(6, '{30}')")
        unguarded = postgres.fetch_all(
            """
            SELECT relid FROM pg_partition_tree(%s) JOIN pg_class ON oid = relid
            WHERE NOT (relrowsecurity AND relforcerowsecurity)
                OR (SELECT count(*) FROM pg_policy WHERE polrelid = relid) <> 2
                OR NOT EXISTS (
                    SELECT FROM pg_trigger WHERE tgrelid = relid AND tgname = 'append_only' AND tgenabled = 'O'
                )
            """,
            (f"raw.{table}",),
        )
        assert unguarded == []


class TestAppendOnly:
    @pytest.mark.parametrize(
        "table",
        [
            "events", "assignments", "quarantine", "landings", "event_keys", "assignment_keys", "sticky_assignments",
            "replays",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET tenant_id = 'x'", "TRUNCATE {}"])
    def test_not_even_the_owner_or_an_administrator_changes_what_was_received(
        self, database: Settings, table: str, statement: str
    ) -> None:
        change = statement.format(f"raw.{table}").encode()
        for address in (database.address("causeway_owner"), database.admin_address(database.database_name)):
            with (
                connect(address, tenant="acme") as connection,
                pytest.raises(psycopg.errors.InsufficientPrivilege, match=f"raw.{table} is append-only"),
            ):
                connection.execute(change)

    def test_the_pipeline_has_no_privilege_to_try(self, postgres: PostgresClient) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
            postgres.execute("DELETE FROM raw.events")


class TestHonestResults:
    """A row that is not ok cannot hold a number, whatever Python may try."""

    def write(self, postgres: PostgresClient, status: str, **numbers: float) -> int:
        columns = {"status": status, **numbers}
        return postgres.execute(
            "INSERT INTO estimates.adjusted_effects (tenant_id, experiment, metric, variant, control, method,"
            f" n, n_control, settings, provenance_id, {', '.join(columns)})"
            " VALUES ('acme', %s, 'm', 'b', 'a', 'adjusted',"
            f" 1, 1, '{{}}', 'p', {', '.join(['%s'] * len(columns))})",
            (json.dumps(columns), *columns.values()),
        )

    def test_ok_has_an_effect_and_anything_else_has_none(self, postgres: PostgresClient) -> None:
        assert self.write(postgres, "ok", effect=0.5) == 1
        assert self.write(postgres, "withheld", mean=1.0) == 1
        for status, numbers in (
            ("ok", {}),
            ("withheld", {"effect": 0.5}),
            ("zero_variance", {"p_value": 1.0}),
            ("no_units", {"relative_effect": 0.0}),
            ("fine", {"effect": 0.5}),
        ):
            with pytest.raises(psycopg.errors.CheckViolation):
                self.write(postgres, status, **numbers)

    def test_a_result_for_everybody_is_there_once(self, postgres: PostgresClient) -> None:
        assert self.write(postgres, "ok", effect=7.0) == 1
        with pytest.raises(psycopg.errors.UniqueViolation):
            self.write(postgres, "ok", effect=7.0)
