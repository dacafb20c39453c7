"""A small world whose records arrive one after the other; tables are kept up to date by what changed, or made anew."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl

from assets.experiments.metric_definitions import SCHEMA, rows_of
from assets.increments import Increment, increment_of
from causeway.declarations.experiment import ExperimentDeclaration
from resources.connection import connect
from resources.dbt import DbtResource, manifest
from resources.postgres_client import PostgresClient, PostgresTransaction, content_version
from resources.registry import register
from resources.settings import DatabaseAddress

TENANT, EXPERIMENT = "acme", "trial"
PARTITION = f"{TENANT}|{EXPERIMENT}"
KEYS = {"tenant_id": TENANT, "experiment": EXPERIMENT}
OF_EVENTS = ("events.unit_changes", "events.events", "events.exposures", "events.assignment_contexts")
OF_EXPERIMENTS = tuple(
    f"experiments.{name}"
    for name in (
        "experiment_variants",
        "first_exposures",
        "unit_metric_values",
        "sufficient_statistics",
        "unit_metric_days",
        "daily_statistics",
    )
)
START = datetime(2026, 3, 1, tzinfo=UTC)
AMOUNT = {"event": "buy", "column": "amount"}
METRICS: Sequence[dict[str, Any]] = (
    {"key": "bought", "type": "conversion", "event": "buy", "role": "primary"},
    {"key": "purchases", "type": "count", "event": "buy", "window_days": 10},
    {"key": "revenue", "type": "sum", **AMOUNT, "lookback_days": 14, "cap": {"upper": 50}, "exclude": {"above": 90}},
    {"key": "basket", "type": "mean", **AMOUNT, "lookback_days": 14},
    {"key": "per_visit", "type": "ratio", **AMOUNT, "denominator": {"event": "visit"}, "lookback_days": 7},
    {"key": "returned", "type": "retention", "event": "visit", "from_day": 2, "to_day": 4},
    {"key": "checkout", "type": "funnel", "steps": [{"event": "visit"}, {"event": "buy"}]},
    {"key": "waiting", "type": "time_to_event", "event": "buy", "window_days": 5},
)


class World:
    """One tenant with one experiment, in its own database; ``now`` is when the next record arrives."""

    def __init__(self, client: PostgresClient) -> None:
        self.client = client
        self.now = START
        self.numbers = count()
        self.landed: dict[str, int] = {}

    def forget(self) -> None:
        """Begin again: nothing was received, and nobody knows how far the tables were made that are there."""
        self.now = START
        self.landed = {}
        with connect(self._administrator(), autocommit=True) as admin:
            admin.execute("SET session_replication_role = replica")
            admin.execute(
                "TRUNCATE raw.events, raw.assignments, raw.event_keys, raw.assignment_keys, raw.landings, raw.erasures,"
                " ops.table_states, ops.changed_days"
            )

    def declare(self, metrics: Sequence[dict[str, Any]] = METRICS, **more: Any) -> None:
        """Put the experiment's declaration in force, and what an asset makes of its metrics."""
        declaration = ExperimentDeclaration.model_validate(
            {
                "kind": "experiment",
                "key": EXPERIMENT,
                "tenant": TENANT,
                "unit": "user",
                "control": "off",
                "variants": {"off": 1, "on": 1},
                "metrics": list(metrics),
                **more,
            }
        )
        frame = pl.DataFrame(list(rows_of(declaration)), schema=SCHEMA).with_columns(provenance_id=pl.lit("p"))
        with self.client.transaction() as transaction:
            register(transaction, declaration, Path("trial.yaml"))
            transaction.replace_partition("experiments.metric_definitions", frame, KEYS)

    def arrive(
        self, table: str, unit: str, occurred_at: datetime, *, landing: str | None = None, **columns: Any
    ) -> dict[str, Any]:
        """One record, received now."""
        self.now += timedelta(hours=1)
        row = {
            "tenant_id": TENANT,
            "source": landing or "api",
            "event_id": f"e{next(self.numbers)}",
            "type": "assignment",
            "unit_id": unit,
            "occurred_at": occurred_at,
            "received_at": self.now,
            "landing_id": landing,
            **{name: json.dumps(value) if isinstance(value, dict) else value for name, value in columns.items()},
        }
        self.client.append(f"raw.{table}", pl.DataFrame([row], infer_schema_length=None))
        return row

    def land(self, source: str, rows: Sequence[dict[str, Any]], *, accepted: bool = True) -> None:
        """A snapshot: what it said before counts no longer."""
        number = self.landed[source] = self.landed.get(source, 0) + 1
        landing = f"{source}@{number}"
        for row in rows:
            self.arrive(**row, landing=landing)
        self.client.execute(
            "INSERT INTO raw.landings (tenant_id, landing_id, source, mode, content_hash, accepted, events,"
            " assignments, quarantined, duplicates, received_at)"
            " VALUES (%s, %s, %s, 'snapshot', %s, %s, 0, 0, 0, 0, %s)",
            (TENANT, landing, source, landing, accepted, self.now),
        )

    def erase(self, unit: str) -> None:
        """The world's clock is not the server's, so the erasure is dated back."""
        self.now += timedelta(hours=1)
        self.client.execute("SELECT raw.erase_unit(%s, %s, 'asked', 'test')", (TENANT, unit))
        with connect(self._administrator(), autocommit=True) as admin:
            admin.execute("SET session_replication_role = replica")
            admin.execute(
                "UPDATE raw.erasures SET erased_at = %s WHERE erased_at > now() - interval '1 hour'", (self.now,)
            )

    def _administrator(self) -> DatabaseAddress:
        settings = self.client.settings
        return settings.admin_address(settings.database_name)

    def increment(self, models: Sequence[str], partition: str) -> Increment:
        """What would be made again now."""
        with self.client.transaction() as transaction:
            return increment_of(transaction, manifest(), models, partition=partition, known_at=self.now)

    def refresh(self) -> None:
        """As the assets do it, without the assets."""
        for models, partition in ((OF_EVENTS, ""), (OF_EXPERIMENTS, PARTITION)):
            increment = self.increment(models, partition)
            DbtResource().build(
                models,
                known_at=str(self.now),
                partition=partition,
                tests=False,
                changed_since=increment.changed_since,
                made_from=increment.made_from,
            )

    @contextmanager
    def made_anew(self) -> Iterator[PostgresTransaction]:
        """The same tables in scratch schemas."""
        scratch = self.client.with_prefix("anew_")
        scratch.create_scratch()
        try:
            with scratch.transaction() as transaction:
                for table in ("registry.experiments", "experiments.metric_definitions"):
                    transaction.execute(f"INSERT INTO {transaction.table(table)} SELECT * FROM {table}")
            for models, partition in ((OF_EVENTS, ""), (OF_EXPERIMENTS, PARTITION)):
                DbtResource(schema_prefix="anew_").build(
                    models, known_at=str(self.now), partition=partition, tests=False
                )
            with scratch.transaction(read_only=True) as transaction:
                yield transaction
        finally:
            scratch.drop_scratch()

    def differences(self) -> dict[str, tuple[Any, ...]]:
        """By table: rows that only one of the two has, and the version that is kept beside the one that is computed."""
        found: dict[str, tuple[Any, ...]] = {}
        with self.made_anew() as anew, self.client.transaction(read_only=True) as kept:
            for table in (*OF_EVENTS, *OF_EXPERIMENTS):
                rows = [
                    set(each.fetch_all(f"SELECT made::text FROM {each.table(table)} AS made")) for each in (kept, anew)
                ]
                state = kept.fetch_one(
                    "SELECT row_count, hash_sum::text FROM ops.table_states WHERE relation = %s", (table,)
                )
                version = kept.content_hash(table)
                maintained = content_version(kept.columns(table, ["provenance_id"]), *state) if state else version
                if rows[0] != rows[1] or len({version, maintained, anew.content_hash(table)}) > 1:
                    found[table] = (rows[0] - rows[1], rows[1] - rows[0], state)
        return found
