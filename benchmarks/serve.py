"""How fast the API evaluates and assigns, beside the empty route of the same server in the same run.

One API process on an empty Postgres of its own, one client process, 16 connections, paths taking turns. Every request
is for another unit: an OFREP evaluation finds nothing stored, and an assignment is stored before it is answered.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.closed_loop import Latency, Load, measure
from benchmarks.figure import Figure
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.flag import FlagDeclaration
from cli.serving_client import serving_api
from resources import embedded_postgres
from resources.migration import migrate, new_key
from resources.postgres_client import PostgresClient
from resources.registry import register
from resources.settings import HOME, Settings

TENANT = "bench"
OFREP_SHARE, ASSIGNMENT_SHARE = 0.6, 0.3
P99_MILLISECONDS = 15.0
MEGABYTES = 400.0
REQUESTS = 20_000

EMPTY = "empty route"
PATHS: Mapping[str, str] = {
    EMPTY: "/healthz",
    "OFREP, flag": "/ofrep/v1/evaluate/flags/banner",
    "OFREP, experiment": "/ofrep/v1/evaluate/flags/checkout",
    "assignment": "/v1/assignments",
}
_CONTEXT = '"country": "DE", "age": 31, "plan": "gold"'
_OFREP = f'{{"context": {{"targetingKey": "customer-{{n}}", {_CONTEXT}}}}}'
BODIES: Mapping[str, str] = {
    "OFREP, flag": _OFREP,
    "OFREP, experiment": _OFREP,
    "assignment": f'{{"experiment": "checkout", "unit_id": "customer-{{n}}", "context": {{{_CONTEXT}}}}}',
}
_TARGETING = {"country": {"$in": ["DE", "AT"]}, "age": {"$gte": 18}}

Report = Callable[[str], object]


def serve(report: Report) -> list[Figure]:
    """Measure one flag, one experiment and one stored assignment; about a minute."""
    with _own_settings() as settings:
        report("an API on an empty database: one flag and one experiment, both with targeting")
        key = _declared(settings)
        with serving_api(settings) as api:
            load = Load(urlsplit(api.url).port or 0, key, PATHS, requests=REQUESTS, bodies=BODIES)
            report(f"  {load.requests:,} requests a path at {load.connections} connections, every one for another unit")
            found = measure(load, settings.project_root)
            megabytes = _resident(api.url)
    for name, latency in found.items():
        report(
            f"  {PATHS[name]}: {latency.per_second:,.0f} a second, answers of {latency.bytes:,} bytes, p50"
            f" {latency.p50:.2f} ms, p99 {latency.p99:.2f} ms, highest {latency.highest:.2f} ms"
        )
    return [
        *_figures("OFREP, flag", OFREP_SHARE, found),
        *_figures("OFREP, experiment", OFREP_SHARE, found),
        *_figures("assignment", ASSIGNMENT_SHARE, found),
        Figure(
            "memory of the API",
            megabytes,
            "MB",
            "limit",
            MEGABYTES,
            f"below {MEGABYTES:g} MB",
            megabytes < MEGABYTES,
        ),
    ]


def _figures(name: str, share: float, found: Mapping[str, Latency]) -> Iterator[Figure]:
    path, empty = found[name], found[EMPTY]
    yield Figure(
        name,
        path.per_second,
        "1/s",
        EMPTY,
        empty.per_second,
        f"at least {share:g} of it",
        path.per_second >= share * empty.per_second,
    )
    yield Figure(
        f"{name}, p99",
        path.p99,
        "ms",
        EMPTY,
        empty.p99,
        f"at most {P99_MILLISECONDS:g} ms",
        path.p99 <= P99_MILLISECONDS,
    )


@contextmanager
def _own_settings() -> Iterator[Settings]:
    """A migrated Postgres in a CAUSEWAY_HOME that nobody else uses, which is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="causeway-bench-"))
    home = folder / "home"
    home.mkdir()
    # As root the server runs as a user of its own, who has to pass through.
    folder.chmod(0o755)
    try:
        settings = Settings.from_environment({HOME: str(home)}).with_admin_url(embedded_postgres.start(home))
        migrate(settings, tenants=[TENANT])
        yield settings
    finally:
        embedded_postgres.stop(home)
        shutil.rmtree(folder)


def _declared(settings: Settings) -> str:
    """A key of the tenant, whose flag and experiment are in force."""
    experiment = ExperimentDeclaration.model_validate(
        {
            "kind": "experiment",
            "key": "checkout",
            "tenant": TENANT,
            "unit": "customer",
            "control": "off",
            "variants": {"off": 1, "on": 1},
            "configs": {"off": {"steps": 3}, "on": {"steps": 1}},
            "metrics": [{"key": "paid", "type": "conversion", "column": "paid"}],
            "targeting": _TARGETING,
        }
    )
    flag = FlagDeclaration.model_validate(
        {
            "kind": "flag",
            "key": "banner",
            "tenant": TENANT,
            "type": "string",
            "default": "plain",
            "rules": [{"id": "grown_up", "if": _TARGETING, "value": "wine"}],
        }
    )
    with PostgresClient(settings).transaction() as transaction:
        for declaration in (experiment, flag):
            register(transaction, declaration, Path("serve.yaml"))
    return new_key(settings, TENANT, expires_at=datetime.now(UTC) + timedelta(hours=1)).key


def _resident(url: str) -> float:
    """Megabytes that the API holds in memory, as it says itself."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
        metrics = response.read().decode()
    found = re.search(r"^process_resident_memory_bytes (\S+)$", metrics, re.MULTILINE)
    if found is None:
        raise RuntimeError("the API says nothing of its memory")
    return float(found[1]) / 1e6
