"""What it costs to keep an experiment's daily statistics fresh, on top of how much history.

Every day brings the same number of events, of units that were exposed on that day and of some that were before. The
figures are the seconds that dbt spends in the models and tests of the events stage and of one experiment, from raw
events to sufficient statistics, when one more day has arrived: on a history of ten and of sixty days, held against a
history of one. Planning, which is the same for all, is not in them; it is reported beside.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from assets.experiments.metric_definitions import SCHEMA, rows_of
from assets.increments import increment_of
from benchmarks.figure import Figure
from benchmarks.own_house import own_settings
from causeway.declarations.experiment import ExperimentDeclaration
from resources.connection import connect
from resources.dbt import DbtResource, manifest
from resources.postgres_client import PostgresClient
from resources.registry import register
from resources.settings import Settings

TENANT, EXPERIMENT = "bench", "shop"
PARTITION = f"{TENANT}|{EXPERIMENT}"
HISTORIES, REPEATS = (1, 10, 60), 3
NEW_UNITS, EVENTS_A_UNIT, DAYS_ACTIVE = 1_000, 6, 3
MOST = 1.25
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
OF_EVENTS = ("unit_changes", "events", "exposures", "assignment_contexts", "quarantine_counts")
OF_EXPERIMENTS = (
    "experiment_variants",
    "first_exposures",
    "known_units",
    "switchback_windows",
    "enrolment",
    "assignment_counts",
    "unit_metric_values",
    "unit_metric_days",
    "daily_statistics",
    "sufficient_statistics",
)
METRICS: Sequence[dict[str, Any]] = (
    {"key": "bought", "type": "conversion", "event": "buy", "role": "primary"},
    {"key": "purchases", "type": "count", "event": "buy"},
    {"key": "revenue", "type": "sum", "event": "buy", "column": "amount", "lookback_days": 14},
    {"key": "per_visit", "type": "ratio", "event": "buy", "column": "amount", "denominator": {"event": "visit"}},
    {"key": "returned", "type": "retention", "event": "visit", "from_day": 1, "to_day": 2},
)

# A unit is exposed at noon of its first day and active on that day and the next ones. Of those of earlier days a
# hundredth comes a day late.
_UNITS = """
    INSERT INTO raw.assignments
        (tenant_id, source, event_id, type, unit_id, occurred_at, received_at, experiment, variant)
    SELECT %(tenant)s, 'api', 'a' || %(day)s || '-' || unit, 'assignment', 'u' || %(day)s || '-' || unit,
        %(start)s + interval '12 hours', %(received)s, %(experiment)s, CASE unit %% 2 WHEN 0 THEN 'off' ELSE 'on' END
    FROM generate_series(1, %(units)s) AS unit
"""
_EVENTS = """
    INSERT INTO raw.events (tenant_id, source, event_id, type, unit_id, occurred_at, received_at, properties)
    SELECT %(tenant)s, 'api', 'e' || %(day)s || '-' || exposed || '-' || unit || '-' || number,
        CASE number %% 3 WHEN 0 THEN 'buy' ELSE 'visit' END, 'u' || exposed || '-' || unit,
        %(start)s + interval '13 hours' + number * interval '7 minutes'
        - CASE WHEN unit %% 100 = 0 AND exposed < %(day)s THEN interval '1 day' ELSE interval '0' END,
        %(received)s, jsonb_build_object('amount', round((unit * 7919 %% 10007) / 100.0, 2))
    FROM generate_series(%(day)s - %(active)s + 1, %(day)s) AS exposed,
        generate_series(1, %(units)s) AS unit, generate_series(1, %(events)s) AS number
"""

Report = Callable[[str], object]


def analysis(report: Report) -> list[Figure]:
    """Measure the refresh of one more day on three lengths of history; some minutes."""
    with own_settings([TENANT]) as settings:
        client = PostgresClient(settings)
        _declare(client)
        day, measured = 0, {}
        for history in HISTORIES:
            while day < history:
                day += 1
                _arrive(settings, day)
            _refresh(client, day)
            runs = []
            for _ in range(REPEATS):
                day += 1
                _arrive(settings, day)
                begin = time.perf_counter()
                runs.append((*_refresh(client, day), time.perf_counter() - begin))
            by_model = {name: statistics.median(run[1][name] for run in runs) for name in runs[0][1]}
            measured[history] = statistics.median(run[0] for run in runs)
            slowest = sorted(by_model.items(), key=lambda each: -each[1])[:5]
            whole = statistics.median(run[2] for run in runs)
            report(
                f"  on {history} days: {measured[history]:.2f} s of SQL, {whole:.2f} s with planning;"
                f" {', '.join(f'{name} {each:.2f}' for name, each in slowest)}"
            )
    return [
        Figure(
            f"a day of {NEW_UNITS * EVENTS_A_UNIT * DAYS_ACTIVE:,} events on {history} days",
            measured[history],
            "s",
            "on one day",
            measured[1],
            f"at most {MOST:g} times",
            measured[history] <= MOST * measured[1],
        )
        for history in HISTORIES[1:]
    ]


def _declare(client: PostgresClient) -> None:
    declaration = ExperimentDeclaration.model_validate(
        {
            "kind": "experiment",
            "key": EXPERIMENT,
            "tenant": TENANT,
            "unit": "user",
            "control": "off",
            "variants": {"off": 1, "on": 1},
            "metrics": list(METRICS),
        }
    )
    frame = pl.DataFrame(list(rows_of(declaration)), schema=SCHEMA).with_columns(provenance_id=pl.lit("p"))
    with client.transaction() as transaction:
        register(transaction, declaration, Path("shop.yaml"))
        transaction.replace_partition(
            "experiments.metric_definitions", frame, {"tenant_id": TENANT, "experiment": EXPERIMENT}
        )


def _arrive(settings: Settings, day: int) -> None:
    start = FIRST_DAY + timedelta(days=day)
    values = {
        "tenant": TENANT,
        "experiment": EXPERIMENT,
        "day": day,
        "start": start,
        "received": start + timedelta(hours=23),
        "units": NEW_UNITS,
        "active": DAYS_ACTIVE,
        "events": EVENTS_A_UNIT,
    }
    with connect(settings.admin_address(settings.database_name)) as admin:
        admin.execute(_UNITS, values)
        admin.execute(_EVENTS, values)
        admin.commit()


def _refresh(client: PostgresClient, day: int) -> tuple[float, dict[str, float]]:
    """Seconds in dbt's nodes, in all and by model."""
    known_at = FIRST_DAY + timedelta(days=day + 1)
    seconds: dict[str, float] = {}
    for stage, names, partition in (("events", OF_EVENTS, ""), ("experiments", OF_EXPERIMENTS, PARTITION)):
        models = [f"{stage}.{name}" for name in names]
        with client.transaction() as transaction:
            increment = increment_of(transaction, manifest(), models, partition=partition, known_at=known_at)
        outcomes = DbtResource().build(
            models,
            known_at=str(known_at),
            partition=partition,
            changed_since=increment.changed_since,
            made_from=increment.made_from,
        )
        broken = [outcome for outcome in outcomes if outcome.is_test and outcome.status != "pass"]
        if broken:
            raise RuntimeError(f"{broken[0].unique_id}: {broken[0].message}")
        for outcome in outcomes:
            name = "tests" if outcome.is_test else outcome.unique_id.rpartition(".")[2]
            seconds[name] = seconds.get(name, 0.0) + outcome.seconds
    return sum(seconds.values()), seconds
