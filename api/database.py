"""Postgres as one tenant sees it: sessions that read, sessions that write, and notice of what has changed.

The tenant is set for one transaction only, so that a pooled connection carries nothing from one request to
the next; row-level security does the rest, and with no tenant set it shows no rows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NewType

import asyncpg

from api.settings import Settings

TenantQuery = NewType("TenantQuery", str)
Appending = NewType("Appending", str)

logger = logging.getLogger(__name__)


class DatabaseUnavailable(Exception):
    """Postgres cannot be reached, is restarting, is overloaded, or may not be used as this role."""


class Locked(DatabaseUnavailable):
    """Somebody else's transaction, not yet committed, holds what a statement needs."""


class NotMaterialised(Exception):
    """A serving table does not exist yet."""


class TextRefused(Exception):
    """Postgres does not take the text, such as one with a NUL in it."""


def as_tenant(query: str) -> TenantQuery:
    """``query`` made to run as the tenant that is its parameter $1, in the same round trip.

    The condition on the tenant's row and the ``offset 0`` keep the planner from starting on the query before
    the setting is made. Should it ever do so all the same, row-level security shows no rows: it fails closed.
    """
    return TenantQuery(
        "with tenant as materialized (select set_config('app.tenant_id', $1::text, true) as id) "
        "select answer.* from tenant cross join lateral "
        f"(select query.* from ({query}) as query where tenant.id = $1::text offset 0) as answer"
    )


def appending(common_table_expressions: str, answer: str) -> Appending:
    """One statement that stores rows as the tenant that is its parameter $1, and is committed by itself.

    The rows of every INSERT must be selected ``from tenant``: they are made after the setting is, which the
    policies look at row by row.
    """
    return Appending(
        "with tenant as materialized (select set_config('app.tenant_id', $1::text, true) as id), "
        f"{common_table_expressions} {answer}"
    )


class ReadSession:
    """What a request may read: single statements as one tenant, in transactions that are read-only."""

    def __init__(self, pool: asyncpg.Pool, settings: Settings, tenant: str) -> None:
        self._pool = pool
        self._timeout = settings.acquire_timeout
        self.tenant = tenant

    async def fetch_row(self, query: TenantQuery, *arguments: object) -> asyncpg.Record | None:
        """The first row of ``query``, where $1 is the tenant and $2 the first argument, or None."""
        with _translated():
            async with self._pool.acquire(timeout=self._timeout) as connection:
                return await connection.fetchrow(query, self.tenant, *arguments)

    async def fetch_rows(self, query: TenantQuery, *arguments: object) -> list[asyncpg.Record]:
        """All rows of ``query``, where $1 is the tenant and $2 the first argument."""
        with _translated():
            async with self._pool.acquire(timeout=self._timeout) as connection:
                rows: list[asyncpg.Record] = await connection.fetch(query, self.tenant, *arguments)
                return rows

    async def fetch_value(self, query: TenantQuery, *arguments: object) -> Any:
        """The first column of ``fetch_row``; None if there is no row."""
        row = await self.fetch_row(query, *arguments)
        return None if row is None else row[0]


class WriteSession:
    """One transaction of one tenant, which commits when the request's work is done."""

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy, tenant: str) -> None:
        self._connection = connection
        self.tenant = tenant

    async def fetch_row(self, query: str, *arguments: object) -> asyncpg.Record | None:
        """The first row of ``query``, whose $1 is the tenant; None if there is none."""
        return await self._connection.fetchrow(query, self.tenant, *arguments)

    async def insert(self, query: str, *arguments: object) -> int:
        """Run an INSERT whose $1 is the tenant; the number of rows that it added."""
        status: str = await self._connection.execute(query, self.tenant, *arguments)
        return int(status.rsplit(" ", 1)[1])

    @contextlib.asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part of the transaction that is undone alone if it raises."""
        async with self._connection.transaction():
            yield


class Database:
    """Pools for reading, for writing and for appending. Opening them connects to nothing: Postgres may come and go.

    Appending has connections of its own, so that the short statement for which many wait does not wait itself for the
    long transactions of large batches.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reading: asyncpg.Pool
        self._writing: asyncpg.Pool
        self._appending: asyncpg.Pool

    async def open(self) -> None:
        """Make the pools; they connect when they are first used."""
        self._reading = await self._pool(self._settings.read_connections, read_only=True)
        self._writing = await self._pool(self._settings.write_connections, read_only=False)
        self._appending = await self._pool(
            self._settings.append_connections,
            read_only=False,
            lock_timeout=f"{self._settings.lock_timeout * 1000:.0f}",
        )

    async def close(self) -> None:
        """Close every connection, the busy ones too."""
        self._reading.terminate()
        self._writing.terminate()
        self._appending.terminate()

    def read(self, tenant: str) -> ReadSession:
        """A read-only session of ``tenant``."""
        return ReadSession(self._reading, self._settings, tenant)

    @contextlib.asynccontextmanager
    async def write(self, tenant: str) -> AsyncIterator[WriteSession]:
        """A transaction of ``tenant``; it is rolled back if the block raises."""
        with _translated():
            async with (
                self._writing.acquire(timeout=self._settings.acquire_timeout) as connection,
                connection.transaction(),
            ):
                await connection.execute("select set_config('app.tenant_id', $1, true)", tenant)
                yield WriteSession(connection, tenant)

    async def append(self, tenant: str, statement: Appending, *arguments: object) -> list[asyncpg.Record]:
        """Run ``statement`` as ``tenant``; its rows are stored for good when this returns.

        Locked if a transaction that is long under way, such as a landing's, holds one of them.
        """
        with _translated():
            async with self._appending.acquire(timeout=self._settings.acquire_timeout) as connection:
                rows: list[asyncpg.Record] = await connection.fetch(statement, tenant, *arguments)
                return rows

    async def store(self, tenant: str, statement: Appending, *arguments: object) -> None:
        """As ``append``, on the connections for large batches. What breaks a constraint is for the caller to catch."""
        with _translated():
            async with self._writing.acquire(timeout=self._settings.acquire_timeout) as connection:
                await connection.execute(statement, tenant, *arguments)

    async def ping(self) -> None:
        """Return if Postgres answers; DatabaseUnavailable if not."""
        with _translated():
            async with self._reading.acquire(timeout=self._settings.acquire_timeout) as connection:
                await connection.execute("select 1")

    async def listen(self, on: Mapping[str, Callable[[str], None]], *, on_link: Callable[[bool], None]) -> None:
        """Call ``on[channel](tenant)`` at every notification, for ever; ``on_link`` says whether we can hear."""
        while True:
            # A link that is down is no error here: requests find that out, and meanwhile no answer is kept.
            with contextlib.suppress(DatabaseUnavailable), _translated():
                await self._listen_while_connected(on, on_link)
            await asyncio.sleep(self._settings.listen_retry)

    async def _listen_while_connected(
        self, on: Mapping[str, Callable[[str], None]], on_link: Callable[[bool], None]
    ) -> None:
        connection = await asyncpg.connect(
            self._settings.database_url,
            timeout=self._settings.connect_timeout,
            server_settings=self._server_settings(read_only=True),
        )
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            for channel in on:
                await connection.add_listener(channel, lambda _connection, _pid, channel, tenant: on[channel](tenant))
            logger.info("connected to Postgres; listening for what changes")
            on_link(True)
            await lost.wait()
            logger.warning("lost the connection to Postgres; connecting again")
        finally:
            on_link(False)
            connection.terminate()

    async def _pool(self, size: int, *, read_only: bool, **server_settings: str) -> asyncpg.Pool:
        async def nothing_to_reset(_: object) -> None:
            """No connection has a state that outlives its transaction, so all are spared the round trip."""

        return await asyncpg.create_pool(
            self._settings.database_url,
            min_size=0,
            max_size=size,
            init=_refuse_unsafe_role,
            reset=nothing_to_reset,
            timeout=self._settings.connect_timeout,
            server_settings=self._server_settings(read_only=read_only) | server_settings,
        )

    def _server_settings(self, *, read_only: bool) -> dict[str, str]:
        return {
            "application_name": "causeway api",
            "default_transaction_read_only": "on" if read_only else "off",
            "statement_timeout": f"{self._settings.statement_timeout * 1000:.0f}",
            "idle_in_transaction_session_timeout": f"{self._settings.statement_timeout * 1000:.0f}",
            "timezone": "UTC",
            # The queries are short: compiling one takes longer than running it.
            "jit": "off",
            # The size of a group decides how it is best joined, and a group has one row or thousands.
            "plan_cache_mode": "auto" if read_only else "force_custom_plan",
        }


async def _refuse_unsafe_role(connection: asyncpg.Connection) -> None:
    """Row-level security does not bind superusers: serve nothing rather than serve every tenant to each."""
    unsafe = await connection.fetchval(
        "select rolsuper or rolbypassrls from pg_catalog.pg_roles where rolname = current_user"
    )
    if unsafe:
        logger.error("the API connects as a role that bypasses row-level security: let it connect as causeway_api")
        raise DatabaseUnavailable("the role bypasses row-level security")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's errors into the few that a caller can act upon."""
    try:
        yield
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise NotMaterialised(str(error)) from error
    except (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError) as error:
        raise TextRefused(str(error)) from error
    except asyncpg.LockNotAvailableError as error:
        raise Locked(str(error)) from error
    except (
        OSError,
        TimeoutError,
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
        asyncpg.InsufficientResourcesError,
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.TransactionRollbackError,
        asyncpg.IdleInTransactionSessionTimeoutError,
        asyncpg.InternalClientError,
    ) as error:
        raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
    except asyncpg.InterfaceError as error:
        # The driver's word for an argument that it cannot encode: text without a UTF-8 form.
        if isinstance(error, ValueError) and not isinstance(error, asyncpg.ClientConfigurationError):
            raise TextRefused(str(error)) from error
        raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
