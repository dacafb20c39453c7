"""Bring a server to the state that this version of the code needs: databases, roles, pgvector, tables, keys.

Everything here may be run again, and by several processes at once: what exists is left as it is.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from resources.connection import DatabaseProblem, connect
from resources.settings import DATABASES, ROLES, Database, Settings, SettingsError

Report = Callable[[str], None]

_TENANT = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MIGRATIONS = Path(__file__).resolve().parents[1] / "migrations"
_MONTHS_AHEAD = 3
# Any number will do, as long as nothing else on the server uses it.
_ADVISORY_LOCK = 4_268_793_921_001
_BUILTIN_LOCALE_SINCE = 17

# A sum of floats depends on the order of its rows: these two let a query see them in the same order every
# time.
_REPRODUCIBLE = {"max_parallel_workers_per_gather": "0", "synchronize_seqscans": "off"}


@dataclass(frozen=True, kw_only=True)
class DeveloperKey:
    """A key as it is shown, once, to whoever asked for it. The database keeps its hash only."""

    tenant: str
    key_id: str
    role: str
    key: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class MigrationReport:
    """What a migration found and did."""

    server_version: str
    created_databases: tuple[str, ...]
    created_roles: tuple[str, ...]
    revision_before: str | None
    revision: str
    new_keys: tuple[DeveloperKey, ...]

    @property
    def changed(self) -> bool:
        """Whether anything had to be done."""
        return bool(
            self.created_databases or self.created_roles or self.new_keys or self.revision_before != self.revision
        )


def migrate(
    settings: Settings, report: Report = lambda line: None, tenants: Sequence[str] = ("default",)
) -> MigrationReport:
    """Create what is missing, run the revisions of migrations/ to the newest, and see that every tenant has a
    key.

    ``settings`` must reach a server (``ensure_database``); ``report`` gets one line for each thing that is
    done; ``tenants`` are made if they do not exist. Raises SettingsError if passwords are missing and
    DatabaseProblem if the server cannot be used; both messages fit in a line.
    """
    missing = settings.missing_passwords()
    if missing:
        raise SettingsError(f"set {', '.join(missing)}: roles of an external database log in with passwords")
    for tenant in tenants:
        _require_tenant_name(tenant)
    with connect(settings.admin_address(), autocommit=True) as admin:
        # Roles belong to the whole server, so the lock is taken where everybody who migrates on it starts.
        with _advisory_lock(admin):
            created_roles = _create_roles(admin, settings)
            for role in created_roles:
                report(f"created role {role}")
            created_databases = _create_databases(admin, settings)
            for name in created_databases:
                report(f"created database {name}")
            create_extension(settings)
            before, after = upgrade(settings)
            if before != after:
                report(f"migrated {settings.database_name} from revision {before or 'none'} to {after}")
            _ensure_partitions(settings)
            new_keys = _first_keys(settings, tenants)
            for key in new_keys:
                report(f"made a developer key for tenant {key.tenant}")
        version = admin.info.parameter_status("server_version") or str(admin.info.server_version)
    return MigrationReport(
        server_version=version,
        created_databases=created_databases,
        created_roles=created_roles,
        revision_before=before,
        revision=after,
        new_keys=new_keys,
    )


def current_revision(settings: Settings) -> str | None:
    """The revision that the data database is at; null if it was never migrated."""
    with connect(settings.address("causeway_owner")) as owner:
        return _revision(owner)


def upgrade(settings: Settings, revision: str = "head") -> tuple[str | None, str]:
    """Run the revisions up to ``revision`` as causeway_owner; return the revisions before and after."""
    return _run_alembic(settings, "upgrade", revision)


def downgrade(settings: Settings, revision: str) -> tuple[str | None, str]:
    """Undo the revisions down to ``revision`` ("base": all of them). What they hold is lost."""
    return _run_alembic(settings, "downgrade", revision)


def create_database(
    admin: psycopg.Connection[Any], settings: Settings, database: Database, template: str | None = None
) -> bool:
    """Create ``database`` with its owner, privileges and defaults unless it exists; return whether it was
    created.

    Text sorts by code point in every one of them, so that no answer depends on the locale of a server.
    ``template`` names a database to copy, to which nobody may be connected. ``admin`` must be in autocommit.
    """
    name = sql.Identifier(settings.name_of(database))
    owner = sql.Identifier("causeway_owner" if database == "causeway" else "causeway_pipeline")
    exists = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (settings.name_of(database),)).fetchone()
    if not exists:
        origin = sql.SQL("TEMPLATE {}").format(sql.Identifier(template or "template0"))
        if template is None:
            origin += sql.SQL(" ENCODING 'UTF8' LOCALE 'C'")
            if admin.info.server_version // 10_000 >= _BUILTIN_LOCALE_SINCE:
                # The same order, and upper and lower case of more than the Latin alphabet.
                origin += sql.SQL(" LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'")
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {} {}").format(name, owner, origin))
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    if database == "causeway":
        admin.execute(sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO causeway_pipeline").format(name))
        admin.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO causeway_api, causeway_analyst").format(name))
        for parameter, value in _REPRODUCIBLE.items():
            admin.execute(
                sql.SQL("ALTER DATABASE {} SET {} = {}").format(name, sql.Identifier(parameter), sql.Literal(value))
            )
    return not exists


def create_extension(settings: Settings, extension: str = "vector") -> None:
    """Create pgvector in the data database; DatabaseProblem if the server does not have it."""
    with connect(settings.admin_address(settings.database_name), autocommit=True) as admin:
        try:
            admin.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension)))
        except psycopg.Error as error:
            reason = (error.diag.message_primary or str(error)).strip()
            raise DatabaseProblem(
                f"CREATE EXTENSION {extension} failed: install pgvector on the server of"
                f" {settings.admin_address()} ({reason})"
            ) from error


def ensure_tenant(settings: Settings, tenant: str) -> bool:
    """Make ``tenant`` unless it exists; return whether it was made. SettingsError for an impossible name."""
    _require_tenant_name(tenant)
    with connect(settings.address("causeway_owner"), tenant=tenant) as owner:
        made = owner.execute("INSERT INTO registry.tenants (tenant_id) VALUES (%s) ON CONFLICT DO NOTHING", (tenant,))
        return made.rowcount == 1


def new_key(
    settings: Settings, tenant: str, role: str = "developer", expires_at: datetime | None = None
) -> DeveloperKey:
    """Make a key for an existing tenant: ``cw_<tenant>_<key id>_<secret>``. Nothing can show it a second
    time.

    Raises SettingsError if there is no such tenant.
    """
    _require_tenant_name(tenant)
    if expires_at is not None and expires_at.tzinfo is None:
        raise SettingsError("expires_at needs a time zone")
    key_id = secrets.token_hex(6)
    key = f"cw_{tenant}_{key_id}_{secrets.token_hex(24)}"
    with connect(settings.address("causeway_owner"), tenant=tenant) as owner:
        try:
            owner.execute(
                "INSERT INTO registry.principals (tenant_id, key_id, key_hash, role, expires_at)"
                " VALUES (%s, %s, %s, %s, %s)",
                (tenant, key_id, hashlib.sha256(key.encode()).hexdigest(), role, expires_at),
            )
        except psycopg.errors.ForeignKeyViolation:
            raise SettingsError(f"there is no tenant {tenant!r}") from None
    return DeveloperKey(tenant=tenant, key_id=key_id, role=role, key=key, expires_at=expires_at)


def _require_tenant_name(tenant: str) -> None:
    if not _TENANT.fullmatch(tenant):
        raise SettingsError(
            f"a tenant is named by up to 63 lower-case letters, digits and _, beginning with a letter, not {tenant!r}"
        )


@contextmanager
def _advisory_lock(admin: psycopg.Connection[Any]) -> Iterator[None]:
    admin.execute("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
    try:
        yield
    finally:
        if not admin.closed:
            admin.execute("SELECT pg_advisory_unlock(%s)", (_ADVISORY_LOCK,))


def _ensure_partitions(settings: Settings) -> None:
    """Partitions for the months to come: where nothing runs by the clock, what runs by hand sees to it.

    Whoever reads for long holds it up; then the rows find a partition later.
    """
    with suppress(psycopg.errors.LockNotAvailable), connect(settings.address("causeway_pipeline")) as pipeline:
        pipeline.execute("SELECT raw.ensure_partitions(%s)", (_MONTHS_AHEAD,))


def _create_roles(admin: psycopg.Connection[Any], settings: Settings) -> tuple[str, ...]:
    existing = {name for (name,) in admin.execute("SELECT rolname FROM pg_roles")}
    created = tuple(role for role in ROLES if role not in existing)
    for role in created:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN NOINHERIT").format(sql.Identifier(role)))
    if settings.needs_passwords:
        for role in ROLES:
            # Encrypted here, so that the server's log never holds the password itself.
            secret = admin.pgconn.encrypt_password(settings.passwords[role].encode(), role.encode(), b"scram-sha-256")
            admin.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(secret.decode()))
            )
    _let_pipeline_see_transactions(admin, settings)
    superuser = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if superuser is not None and not superuser[0]:
        # A managed server's administrator may only create a database for a role that it belongs to.
        admin.execute("GRANT causeway_owner, causeway_pipeline TO CURRENT_USER")
    return created


def _let_pipeline_see_transactions(admin: psycopg.Connection[Any], settings: Settings) -> None:
    """The pipeline asks which transactions are still under way before it settles on a cut-off.

    Without this privilege those of others would look finished, and a number could not be made again: so it is
    not optional, although not every administrator may grant it.
    """
    has_it = admin.execute("SELECT pg_has_role('causeway_pipeline', 'pg_read_all_stats', 'USAGE')").fetchone()
    if has_it == (True,):
        return
    try:
        admin.execute("GRANT pg_read_all_stats TO causeway_pipeline WITH INHERIT TRUE")
    except psycopg.errors.InsufficientPrivilege as error:
        raise DatabaseProblem(
            f"{settings.admin_address()} may not GRANT pg_read_all_stats TO causeway_pipeline"
            " WITH INHERIT TRUE: have the server's operator do it"
        ) from error


def _create_databases(admin: psycopg.Connection[Any], settings: Settings) -> tuple[str, ...]:
    created = [database for database in DATABASES if create_database(admin, settings, database)]
    return tuple(settings.name_of(database) for database in created)


def _first_keys(settings: Settings, tenants: Sequence[str]) -> tuple[DeveloperKey, ...]:
    for tenant in tenants:
        ensure_tenant(settings, tenant)
    with connect(settings.address("causeway_pipeline")) as pipeline:
        everybody = [tenant for (tenant,) in pipeline.execute("SELECT tenant_id FROM registry.tenants ORDER BY 1")]
    without = [tenant for tenant in everybody if not _has_a_key(settings, tenant)]
    return tuple(new_key(settings, tenant) for tenant in without)


def _has_a_key(settings: Settings, tenant: str) -> bool:
    with connect(settings.address("causeway_owner"), tenant=tenant) as owner:
        return owner.execute("SELECT 1 FROM registry.principals LIMIT 1").fetchone() is not None


def _revision(connection: psycopg.Connection[Any]) -> str | None:
    known = connection.execute("SELECT to_regclass('public.alembic_version') IS NOT NULL").fetchone()
    if known is None or not known[0]:
        return None
    row = connection.execute("SELECT version_num FROM public.alembic_version").fetchone()
    return None if row is None else str(row[0])


def _run_alembic(settings: Settings, command_name: str, revision: str) -> tuple[str | None, str]:
    before, newest = current_revision(settings), _newest_revision()
    if before is not None and before > newest:
        raise DatabaseProblem(
            f"database {settings.database_name} is at revision {before}, newer than this code ({newest}):"
            " update the code"
        )
    if command_name == "upgrade" and revision == "head" and before == newest:
        return newest, newest  # Alembic and SQLAlchemy take half a second to say the same

    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    engine = sqlalchemy.create_engine(
        settings.address("causeway_owner").sqlalchemy_url, poolclass=sqlalchemy.pool.NullPool
    )
    config = Config(_MIGRATIONS / "alembic.ini")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        getattr(command, command_name)(config, revision)
    return before, current_revision(settings) or "base"


def _newest_revision() -> str:
    """The last revision of migrations/versions, whose files are numbered in order."""
    return max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))
