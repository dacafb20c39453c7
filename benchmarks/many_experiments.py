"""What it costs to refresh many experiments, beyond the SQL that makes their numbers.

200 experiments of 20 metrics each read the same events, and nothing was ever made of them. The figure is the seconds
from the moment that the events are typed to the last answer that nothing is left to do (planning, dbt, estimates,
pictures, the event log in the server's own database), without the seconds in which the data database was at work,
divided by the number of experiments. On a machine that does other things too, the seconds of processor time say more.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from benchmarks.own_house import own_settings
from causeway.declarations.experiment import ExperimentDeclaration
from resources.connection import connect
from resources.postgres_client import PostgresClient
from resources.registry import register
from resources.settings import Settings

TENANT = "bench"
EXPERIMENTS, METRICS, UNITS = 200, 20, 500
MOST = 0.25
KINDS: Sequence[dict[str, Any]] = (
    {"type": "conversion", "event": "buy"},
    {"type": "count", "event": "buy"},
    {"type": "sum", "event": "buy", "column": "amount", "lookback_days": 14},
    {"type": "ratio", "event": "buy", "column": "amount", "denominator": {"event": "visit"}},
    {"type": "retention", "event": "visit", "from_day": 1, "to_day": 2},
)

# Two units a day and variant, so that no gate closes and everything is made.
_ASSIGNMENTS = """
    INSERT INTO raw.assignments
        (tenant_id, source, event_id, type, unit_id, occurred_at, received_at, experiment, variant)
    SELECT %(tenant)s, 'api', 'a' || number || '-' || unit, 'assignment', 'u' || unit,
        timestamptz '2026-01-01' + (unit / 2 %% 20) * interval '1 day', timestamptz '2026-02-01', 'e' || number,
        CASE (unit * 31 + number * 17) %% 2 WHEN 0 THEN 'off' ELSE 'on' END
    FROM generate_series(0, %(experiments)s - 1) AS number, generate_series(1, %(units)s) AS unit
"""
_EVENTS = """
    INSERT INTO raw.events (tenant_id, source, event_id, type, unit_id, occurred_at, received_at, properties)
    SELECT %(tenant)s, 'api', 'e' || unit || '-' || number, CASE number %% 3 WHEN 0 THEN 'buy' ELSE 'visit' END,
        'u' || unit, timestamptz '2026-01-01' + (unit / 2 %% 20 + number * 0.7 - 2) * interval '1 day',
        timestamptz '2026-02-01', jsonb_build_object('amount', (unit * 7919 + number) %% 1000 / 10.0)
    FROM generate_series(1, %(units)s) AS unit, generate_series(1, 6) AS number
"""

Report = Callable[[str], object]


@dataclass
class Meter:
    """Seconds in which at least one statement was under way: dbt sends two at a time."""

    seconds: float = 0.0
    _under_way: int = 0
    _since: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._lock:
            if self._under_way == 0:
                self._since = time.perf_counter()
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                if self._under_way == 0:
                    self.seconds += time.perf_counter() - self._since

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Around every statement to the data database, of our own and of dbt."""
        import psycopg
        from dbt.adapters.sql.connections import SQLConnectionManager

        execute, copy, of_dbt = psycopg.Cursor.execute, psycopg.Cursor.copy, SQLConnectionManager.add_query

        def executed(*arguments: Any, **named: Any) -> Any:
            with self.running():
                return execute(*arguments, **named)

        @contextmanager
        def copied(*arguments: Any, **named: Any) -> Iterator[Any]:
            with self.running(), copy(*arguments, **named) as copying:
                yield copying

        def added(*arguments: Any, **named: Any) -> Any:
            with self.running():
                return of_dbt(*arguments, **named)

        try:
            psycopg.Cursor.execute, psycopg.Cursor.copy = executed, copied  # type: ignore[method-assign]
            SQLConnectionManager.add_query = added
            yield
        finally:
            psycopg.Cursor.execute, psycopg.Cursor.copy = execute, copy  # type: ignore[method-assign]
            SQLConnectionManager.add_query = of_dbt


def many_experiments(report: Report, experiments: int = EXPERIMENTS, units: int = UNITS) -> list[Figure]:
    """Measure the first refresh of many experiments; some minutes, most of them in the database."""
    with own_settings([TENANT]) as settings, _dagster_home(settings) as instance:
        _arrive(settings, experiments, units)
        each = _refresh(settings, instance, report, experiments)
    return [
        Figure(
            f"one of {experiments} experiments x {METRICS} metrics, beyond SQL",
            each.beyond,
            "s",
            "in SQL",
            each.sql,
            f"at most {MOST:g} s",
            each.beyond <= MOST,
        )
    ]


@dataclass(frozen=True)
class Each:
    """Seconds an experiment."""

    beyond: float
    sql: float
    processor: float


def _refresh(settings: Settings, instance: Any, report: Report, experiments: int) -> Each:
    import dagster as dg

    from definitions import defs
    from jobs.observe import observe
    from jobs.refresh import refresh
    from resources.mlflow import MlflowResource

    quiet = dg.Definitions(
        assets=defs.assets,
        jobs=defs.jobs,
        resources={**(defs.resources or {}), "mlflow": MlflowResource(enabled=False)},
        executor=dg.in_process_executor,
    )
    client, meter = PostgresClient(settings), Meter()
    marks: dict[str, tuple[float, float, float]] = {}

    def mark(name: str) -> None:
        marks[name] = (time.perf_counter(), meter.seconds, time.process_time())

    ran = []
    with meter.installed():
        for each in refresh(quiet, instance, lambda: observe(instance, client)):
            mark(each.work.job)
            ran.append(each)
            if each.failures or (each.closed_gates and each.work.job != "conform"):
                raise RuntimeError(f"{each.work.partition}: {each.failures or each.closed_gates}")
        mark("nothing left")
    spent: list[Each] = []
    for before, after in (
        ("conform", "analyse_experiment"),
        ("analyse_experiment", "publish_experiment"),
        ("publish_experiment", "nothing left"),
        ("conform", "nothing left"),
    ):
        wall, sql, processor = (late - early for early, late in zip(marks[before], marks[after], strict=True))
        spent.append(Each((wall - sql) / experiments, sql / experiments, processor / experiments))
        report(
            f"  {before} to {after}: {wall:.1f} s, {sql:.1f} s in SQL; each {spent[-1].beyond:.3f} s beyond it,"
            f" {spent[-1].processor:.3f} s of processor time"
        )
    made = {each.work.partition for each in ran if each.work.job == "publish_experiment"}
    if len(made) != experiments:
        raise RuntimeError(f"{len(made)} of {experiments} experiments were published")
    return spent[-1]


def _arrive(settings: Settings, experiments: int, units: int) -> None:
    client = PostgresClient(settings)
    metrics = []
    for number in range(METRICS):
        kind = KINDS[number % len(KINDS)]
        window = {} if kind["type"] == "retention" else {"window_days": 3 + number}
        metrics.append({"key": f"m{number}", **kind, **window})
    with client.transaction() as transaction:
        for number in range(experiments):
            document = {
                "kind": "experiment",
                "key": f"e{number}",
                "tenant": TENANT,
                "unit": "user",
                "control": "off",
                "variants": {"off": 1, "on": 1},
                "metrics": metrics,
            }
            register(transaction, ExperimentDeclaration.model_validate(document), Path(f"e{number}.yaml"))
    values = {"tenant": TENANT, "experiments": experiments, "units": units}
    with connect(settings.admin_address(settings.database_name), autocommit=True) as admin:
        admin.execute(_ASSIGNMENTS, values)
        admin.execute(_EVENTS, values)
        admin.execute("ANALYZE raw.events, raw.assignments")


@contextmanager
def _dagster_home(settings: Settings) -> Iterator[Any]:
    """The instance that a refresh from the command line has: its event log lies in a database of the same server."""
    from cli.house import dagster_instance, prepare_environment

    before = dict(os.environ)
    prepare_environment(settings)
    try:
        with dagster_instance() as instance:
            yield instance
    finally:
        os.environ.clear()
        os.environ.update(before)
