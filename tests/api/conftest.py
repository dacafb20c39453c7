"""The API as a process serves it: over real HTTP, as causeway_api, on a Postgres of the module's own."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
import yaml
from fastapi import FastAPI

from api.app import create_app
from api.flags_in_force import FlagsInForce, made_of
from api.settings import Settings as ApiSettings
from causeway.declarations.reading import declaration_from_document
from resources.connection import connect
from resources.migration import new_key
from resources.settings import Settings

SERVING = Path(__file__).resolve().parents[2] / "dbt_project" / "models" / "serving"
TENANTS = ("acme", "globex")
DECLARED_OF = {
    name: f"coalesce(array_agg({column} order by key), '{{}}') from registry.{name} where tenant_id = %s"
    for name, column in {
        **dict.fromkeys(("experiments", "flags", "layers", "saved_groups"), "json_build_array(key, declaration)::text"),
        "kill_switches": "key",
    }.items()
}


@dataclass(frozen=True)
class World:
    """What the pipeline has made: declarations and serving tables, filled row by row as a test needs them."""

    pipeline: psycopg.Connection[Any]
    apis: list[FastAPI] = field(default_factory=list)

    def execute(self, query: str, *parameters: Any) -> None:
        """Run a statement as causeway_pipeline, which sees every tenant."""
        self.pipeline.execute(query.encode(), parameters or None)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a query of causeway_pipeline."""
        return self.pipeline.execute(query.encode(), parameters or None).fetchall()

    def insert(self, table: str, **values: Any) -> None:
        """One row; dictionaries and lists become jsonb."""
        columns = ", ".join(values)
        marks = ", ".join(["%s"] * len(values))
        plain = [json.dumps(v) if isinstance(v, dict | list) else v for v in values.values()]
        self.execute(f"insert into {table} ({columns}) values ({marks})", *plain)

    def declare(self, tenant: str, key: str, **changes: Any) -> None:
        """Declare an experiment with the arms off and on and the metrics visit and spend."""
        document: dict[str, Any] = {
            "kind": "experiment",
            "key": key,
            "tenant": tenant,
            "name": f"Experiment {key}",
            "unit": "customer",
            "control": "off",
            "variants": {"off": 1, "on": 1},
            "metrics": [
                {"key": "visit", "type": "conversion", "column": "visit", "role": "primary"},
                {"key": "spend", "type": "mean", "column": "spend"},
            ],
            **changes,
        }
        self.put(document)

    def put(self, document: dict[str, Any]) -> None:
        """Declare anything, in place of what had its key, and wait until the module's API has heard of it."""
        declaration = declaration_from_document(document)
        table = f"registry.{document['kind']}s"
        row: dict[str, Any] = {"version": document["version"]} if document["kind"] == "event_type" else {}
        tenant, key = declaration.tenant, declaration.key
        with self.pipeline.transaction():
            same = "".join(f" and {name} = {value}" for name, value in row.items())
            self.execute(f"delete from {table} where tenant_id = %s and key = %s{same}", tenant, key)
            self.insert(
                table,
                tenant_id=tenant,
                key=key,
                declaration=declaration.document(),
                declaration_hash=declaration.declaration_hash,
                **row,
            )
        self.heard(tenant)

    def heard(self, tenant: str) -> None:
        """Return once the module's API serves what ``tenant`` declares now, if it serves anything of it."""
        rows = [self.rows(f"select {DECLARED_OF[name]}", tenant)[0][0] for name in DECLARED_OF]
        declared, _ = made_of((rows[0], rows[1], rows[2], rows[3], rows[4]), tenant)
        for api in self.apis:
            flags: FlagsInForce = api.state.flags
            come_to_pass(lambda flags=flags: flags.version(tenant) in (None, declared.version))

    def materialise(self, tenant: str, key: str, gates_passed: bool = True) -> None:
        """Serve the experiment ``key``: four results if its gate is open, the same four withheld if not."""
        reasons = [] if gates_passed else ["srm: 900 and 1100 units where equal numbers were expected"]
        self.insert(
            "serving.experiments",
            tenant_id=tenant,
            experiment=key,
            units=2000,
            gates_passed=gates_passed,
            decision="ship" if gates_passed else "hold",
            decision_reasons=reasons,
            starts_on="2024-01-01",
            computed_at="2024-02-01T00:00:00Z",
        )
        self.insert(
            "serving.experiment_health",
            tenant_id=tenant,
            experiment=key,
            check_name="srm",
            passed=gates_passed,
            blocking=True,
            p_value=0.5 if gates_passed else 7.7e-6,
            observed={"off": 900, "on": 1100},
            expected={"off": 1000, "on": 1000},
            detail=None if gates_passed else reasons[0].removeprefix("srm: "),
        )
        for metric, role, position in (("spend", "secondary", 2), ("visit", "primary", 1)):
            for segment, method in (("channel=Web", "econml_linear_dml"), (None, "difference_in_means")):
                effect = {
                    "effect": 0.1,
                    "std_error": 0.02,
                    "ci_low": 0.06,
                    "ci_high": 0.14,
                    "p_value": 5.7e-7,
                }
                self.insert(
                    "serving.experiment_results",
                    tenant_id=tenant,
                    experiment=key,
                    metric=metric,
                    metric_role=role,
                    position=position,
                    segment=segment,
                    variant="on",
                    control="off",
                    method=method,
                    interval="fixed_horizon",
                    is_headline=segment is None,
                    status="ok" if gates_passed else "withheld",
                    n=1100,
                    n_control=900,
                    mean=0.3,
                    mean_control=0.2,
                    **(effect if gates_passed else {}),
                    reasons=reasons,
                    settings={"confidence": 0.95},
                    provenance_id=f"{key}-{metric}",
                )

    def publish(self, tenant: str) -> None:
        """Tell whoever listens that ``tenant`` has new tables."""
        self.execute("select pg_notify('serving_changed', %s)", tenant)


@dataclass
class Served:
    """An API that listens on ``port``, and the keys with which to call it."""

    port: int
    keys: dict[str, str]
    app: FastAPI
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, tenant: str | None) -> httpx.Client:
        """A client with the key of ``tenant``, or with none."""
        headers = {} if tenant is None else {"Authorization": f"Bearer {self.keys[tenant]}"}
        self.clients.append(httpx.Client(base_url=self.url, headers=headers, timeout=10))
        return self.clients[-1]


@contextmanager
def serving(settings: ApiSettings, keys: dict[str, str]) -> Iterator[Served]:
    """Serve the API of ``settings`` on a free port, in a thread."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        app = create_app(settings)
        config = uvicorn.Config(app, log_level="critical", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        come_to_pass(lambda: server.started)
        served = Served(listener.getsockname()[1], keys, app)
        try:
            yield served
        finally:
            for client in served.clients:
                client.close()
            server.should_exit = True
            thread.join(timeout=10)


def serving_tables() -> Iterator[tuple[str, str]]:
    """Name and columns of each table of serving by dbt's contract: what dbt makes, without a run of it."""
    for path in sorted(SERVING.glob("*.yml")):
        for model in yaml.safe_load(path.read_text())["models"]:
            columns = [f"{column['name']} {column['data_type']}" for column in model["columns"]]
            yield f"serving.{model['name']}", ", ".join(columns)


def come_to_pass(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    """Return once ``is_so()``; fail if it is not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """``wait_until(is_so, seconds=10)``."""
    return come_to_pass


@pytest.fixture
def serve(keys: dict[str, str]) -> Callable[[ApiSettings], AbstractContextManager[Served]]:
    """``with serve(settings) as served``: an API of the test's own."""
    return lambda settings: serving(settings, keys)


@pytest.fixture(scope="module")
def world(database: Settings) -> Iterator[World]:
    """The module's database with empty serving tables."""
    with connect(database.address("causeway_pipeline"), autocommit=True) as pipeline:
        world = World(pipeline)
        for table, columns in serving_tables():
            world.execute(f"create table {table} ({columns})")
            world.execute(f"alter table {table} enable row level security, force row level security")
            world.execute(
                f"create policy tenant_isolation on {table} using (tenant_id = current_setting('app.tenant_id', true))"
            )
            world.execute(f"create policy pipeline_all_tenants on {table} to causeway_pipeline using (true)")
            world.execute(f"grant select on {table} to causeway_api")
        yield world


@pytest.fixture(scope="module")
def keys(database: Settings) -> dict[str, str]:
    """A key of each tenant."""
    return {tenant: new_key(database, tenant).key for tenant in TENANTS}


@pytest.fixture(scope="module")
def api_settings(database: Settings) -> ApiSettings:
    """The module's database as the API reaches it."""
    return ApiSettings(database_url=database.url("causeway_api"))


@pytest.fixture(scope="module")
def served(world: World, keys: dict[str, str], api_settings: ApiSettings) -> Iterator[Served]:
    """The API over the module's database."""
    with serving(api_settings, keys) as served:
        world.apis.append(served.app)
        yield served
        world.apis.remove(served.app)


@pytest.fixture(scope="module")
def acme(served: Served) -> httpx.Client:
    """A client of the tenant acme."""
    return served.client("acme")


@pytest.fixture(scope="module")
def globex(served: Served) -> httpx.Client:
    """A client of the tenant globex."""
    return served.client("globex")


@pytest.fixture(scope="module")
def stranger(served: Served) -> httpx.Client:
    """A client without a key."""
    return served.client(None)
