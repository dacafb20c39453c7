"""How many events a second are stored over HTTP, validated and durable, beside a bare COPY of the same rows.

One API process, one client process and Postgres on the same machine; batches of 500, every event new and held against
a JSON Schema; an answer counts when its transaction is committed. The anchor is what Postgres itself can do with these
rows: COPY by the administrator, without row-level security, ids, hashes or an answer to anybody. The two take turns.
"""

from __future__ import annotations

import re
import shutil
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from benchmarks.closed_loop import NUMBER, Latency, Load, measure
from benchmarks.figure import Figure
from causeway.declarations.event_type import EventTypeDeclaration
from cli.serving_client import serving_api
from resources import embedded_postgres
from resources.connection import connect
from resources.migration import migrate, new_key
from resources.postgres_client import PostgresClient
from resources.registry import register
from resources.settings import HOME, Settings

TENANT = "bench"
BATCH = 500
BATCHES, WARM_UP, ROUNDS, CONNECTIONS = 160, 16, 5, 6
LEAST, LEAST_SHARE = 20_000.0, 0.3
MEGABYTES = 400.0
SOURCE, KIND = "web_shop", "order"
SENT = "2025-01-31T12:01:00Z"
_SCHEMA = {
    "type": "object",
    "required": ["amount", "currency", "items"],
    "properties": {
        "amount": {"type": "number", "minimum": 0},
        "currency": {"type": "string", "enum": ["EUR", "USD", "GBP"]},
        "items": {"type": "integer", "minimum": 1},
        "channel": {"type": "string", "maxLength": 40},
        "returning": {"type": "boolean"},
    },
    "additionalProperties": False,
}

Report = Callable[[str], object]


def ingest(report: Report) -> list[Figure]:
    """Measure ingestion over HTTP and COPY, in turns; about half a minute."""
    over_http: list[Latency] = []
    copied: list[float] = []
    with _own_settings() as settings:
        report(f"an API on an empty database; batches of {BATCH} events of a declared type")
        key = _declared(settings)
        with serving_api(settings) as api:
            port = urlsplit(api.url).port or 0
            body = orjson.dumps({"events": [_event(number) for number in range(BATCH)]}).decode()
            for round_number in range(ROUNDS):
                # In its own process every round counts from 0: the source tells the rounds apart.
                path, named = {"events": "/v1/events"}, body.replace(SOURCE, f"{SOURCE}_{round_number}")
                load = Load(port, key, path, CONNECTIONS, BATCHES, WARM_UP, rounds=1, bodies={"events": named})
                over_http.append(measure(load, settings.project_root)["events"])
                copied.append(_copy(settings, round_number))
                report(
                    f"  over HTTP {over_http[-1].per_second * BATCH:,.0f} events/s, p50 {over_http[-1].p50:.1f} ms, p99"
                    f" {over_http[-1].p99:.1f} ms a batch of {len(body):,} bytes; COPY {copied[-1]:,.0f} rows/s"
                )
            megabytes = _resident(api.url)
        _check(settings)
    per_second = statistics.median(each.per_second * BATCH for each in over_http)
    bare = statistics.median(copied)
    return [
        Figure(
            "events over HTTP",
            per_second,
            "1/s",
            "COPY of the same rows",
            bare,
            f"at least {LEAST:,.0f}",
            per_second >= LEAST,
        ),
        Figure(
            "events over HTTP, of COPY",
            per_second,
            "1/s",
            "COPY of the same rows",
            bare,
            f"at least {LEAST_SHARE:g} of it",
            per_second >= LEAST_SHARE * bare,
        ),
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


def _event(number: int) -> dict[str, object]:
    return {
        "source": SOURCE,
        "id": f"order-{NUMBER}-{number:03d}",
        "type": KIND,
        "unit_id": f"customer-{number * 7919 % 100_003}",
        "occurred_at": _occurred(number),
        "sent_at": SENT,
        "properties": _properties(number),
    }


def _occurred(number: int) -> str:
    return f"2025-01-31T12:00:{number % 60:02d}.{number:03d}Z"


def _properties(number: int) -> dict[str, object]:
    return {
        "amount": number / 4 + 9.99,
        "currency": "EUR",
        "items": number % 5 + 1,
        "channel": "web",
        "returning": number % 2 == 0,
    }


def _copy(settings: Settings, round_number: int) -> float:
    """Rows a second of a bare COPY into raw.events, of as many rows as went over HTTP."""
    lines = []
    for batch in range(BATCHES):
        for number in range(BATCH):
            properties = orjson.dumps(_properties(number)).decode()
            unit, event_id = f"customer-{number * 7919 % 100_003}", f"order-{batch:09d}-{number:03d}"
            source = f"copied_{round_number}"
            columns = (TENANT, source, event_id, KIND, unit, _occurred(number), SENT, properties, "2557", "1")
            lines.append("\t".join(columns) + "\n")
    content = "".join(lines).encode()
    with connect(settings.admin_address(settings.database_name)) as admin:
        begin = time.perf_counter()
        with admin.cursor().copy(
            "COPY raw.events (tenant_id, source, event_id, type, unit_id, occurred_at, sent_at, properties,"
            " retention_days, schema_version) FROM STDIN"
        ) as copy:
            copy.write(content)
        admin.commit()
        return len(lines) / (time.perf_counter() - begin)


def _check(settings: Settings) -> None:
    """RuntimeError unless every event is there that was answered for, once, under its schema."""
    # Each connection sends as many as any other.
    batches = sum(-(-each // CONNECTIONS) * CONNECTIONS for each in (BATCHES, WARM_UP))
    expected = ROUNDS * batches * BATCH
    row = PostgresClient(settings).fetch_one(
        "SELECT count(*), count(DISTINCT (source, event_id)) FROM raw.events"
        " WHERE source LIKE %s AND schema_version = 1",
        (f"{SOURCE}%",),
    )
    if row != (expected, expected):
        raise RuntimeError(f"{expected:,} events were sent and answered for, and {row} are there")


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
    """A key of the tenant, whose event type is in force."""
    declaration = EventTypeDeclaration.model_validate(
        {"kind": "event_type", "key": KIND, "tenant": TENANT, "version": 1, "schema": _SCHEMA}
    )
    with PostgresClient(settings).transaction() as transaction:
        register(transaction, declaration, Path("ingest.yaml"))
    return new_key(settings, TENANT, expires_at=datetime.now(UTC) + timedelta(hours=1)).key


def _resident(url: str) -> float:
    """Megabytes that the API holds in memory, as it says itself."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
        metrics = response.read().decode()
    found = re.search(r"^process_resident_memory_bytes (\S+)$", metrics, re.MULTILINE)
    if found is None:
        raise RuntimeError("the API says nothing of its memory")
    return float(found[1]) / 1e6
