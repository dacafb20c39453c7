"""Sessions: bound to one tenant, read-only where they only read, and back by themselves after an outage."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import replace

import asyncpg
import pytest

from api.database import Database, DatabaseUnavailable, as_tenant
from api.settings import Settings

NAMES = as_tenant("select coalesce(array_agg(key order by key), '{}') from registry.experiments")


@pytest.fixture(scope="module", autouse=True)
def experiments(world):
    for tenant in ("acme", "globex"):
        for number in range(3):
            world.declare(tenant, f"{tenant}-{number}")


async def with_database(settings, work):
    database = Database(settings)
    await database.open()
    try:
        return await work(database)
    finally:
        await database.close()


def test_a_query_sees_its_tenant_alone_even_if_it_names_none(api_settings):
    """The query has no condition on the tenant: row-level security alone answers, in the same statement."""

    async def work(database):
        return [await database.read(tenant).fetch_value(NAMES) for tenant in ("acme", "globex", "acme", "nobody")]

    acme, globex, again, nobody = asyncio.run(with_database(api_settings, work))
    assert acme == again == ["acme-0", "acme-1", "acme-2"]
    assert globex == ["globex-0", "globex-1", "globex-2"]
    assert nobody == []


def test_a_connection_forgets_the_tenant_after_each_statement(api_settings):
    one = replace(api_settings, read_connections=1)

    async def work(database):
        assert await database.read("acme").fetch_value(NAMES)
        async with database._reading.acquire() as connection:
            setting = await connection.fetchval("select current_setting('app.tenant_id', true)")
            rows = await connection.fetchval("select count(*) from registry.experiments")
        return setting, rows

    assert asyncio.run(with_database(one, work)) == ("", 0)


def test_a_read_session_cannot_write(api_settings):
    async def write_nonetheless(database):
        async with database._reading.acquire() as connection, connection.transaction():
            await connection.execute("select set_config('app.tenant_id', 'acme', true)")
            await connection.execute(
                "insert into raw.quarantine (tenant_id, source, code, reason, record) values ('acme', '', '', '', '')"
            )

    async def change_its_mode(database):
        mode = as_tenant("select set_config('transaction_read_only', 'off', true)")
        await database.read("acme").fetch_row(mode)

    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        asyncio.run(with_database(api_settings, write_nonetheless))
    with pytest.raises(asyncpg.ActiveSQLTransactionError):
        asyncio.run(with_database(api_settings, change_its_mode))


@pytest.mark.parametrize(
    "statement",
    [
        "select * from raw.events",
        "select * from ops.provenance",
        "select * from estimates.difference_in_means",
        "update registry.studies set key = 'mine'",
        "delete from registry.experiments",
        "update raw.sticky_assignments set variant = 'mine'",
        "insert into registry.principals values ('acme', 'a', repeat('0', 64), 'developer')",
        "delete from serving.experiments",
        "insert into raw.events (tenant_id, source, event_id, type, unit_id, occurred_at)"
        " values ('globex', 's', 'i', 't', 'u', now())",
    ],
)
def test_the_api_may_do_only_what_it_needs(api_settings, statement):
    async def work(database):
        async with database.write("acme") as session:
            await session._connection.execute(statement)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        asyncio.run(with_database(api_settings, work))


def test_a_role_that_row_level_security_does_not_bind_is_not_used(database):
    """Connected as a superuser, the API would show every tenant's rows to each."""
    settings = Settings(database_url=database.admin_address(database.database_name).url)

    async def work(unsafe):
        return await unsafe.read("acme").fetch_value(NAMES)

    with pytest.raises(DatabaseUnavailable):
        asyncio.run(with_database(settings, work))


class Cable:
    """A road to Postgres that can be cut and mended: forwards a port to the server's socket."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def mend(self) -> None:
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()

    def cut(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._socket_path)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()


def test_without_postgres_it_starts_answers_503_and_recovers_by_itself(database, world, serve, wait_until):
    """Cut before the first request, mended, cut in the middle of service, mended again: never restarted."""
    address = database.address("causeway_api")
    cable = Cable(f"{address.host}/.s.PGSQL.{address.port}")
    cable.mend()
    cable.cut()
    settings = Settings(
        database_url=f"postgresql://causeway_api@127.0.0.1:{cable.port}/{database.database_name}",
        listen_retry=0.05,
    )
    with serve(settings) as served:
        acme = served.client("acme")

        def is_down() -> bool:
            for path in ("/readyz", "/v1/experiments", "/v1/experiments/acme-0/results"):
                answer = acme.get(path)
                if answer.status_code == 200:
                    return False
                assert answer.status_code == 503
                assert answer.headers["content-type"] == "application/problem+json"
                assert int(answer.headers["retry-after"]) >= 1
                assert "127.0.0.1" not in answer.text
            return True

        def is_up() -> bool:
            paths = ("/readyz", "/v1/experiments", "/v1/experiments/acme-0/results")
            return [acme.get(path).status_code for path in paths] == [200, 200, 200]

        assert is_down()
        assert acme.get("/healthz").status_code == 200
        event = {"source": "s", "id": "1", "type": "t", "unit_id": "u", "occurred_at": "2025-01-01T00:00:00Z"}
        assert acme.post("/v1/events", json={"events": [event]}).status_code == 503
        cable.mend()
        wait_until(is_up)
        assert acme.post("/v1/events", json={"events": [event]}).json()["accepted"] == 1
        cable.cut()
        wait_until(is_down)
        cable.mend()
        wait_until(is_up)


def test_before_the_first_materialisation_it_says_so(database, api_settings, serve):
    from resources.connection import connect

    with connect(database.address("causeway_pipeline")) as pipeline:
        pipeline.execute("alter table serving.experiment_results rename to hidden")
    try:
        with serve(api_settings) as served:
            answer = served.client("acme").get("/v1/experiments/acme-0/results")
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:causeway:problem:not-materialised"
    finally:
        with connect(database.address("causeway_pipeline")) as pipeline:
            pipeline.execute("alter table serving.hidden rename to experiment_results")
