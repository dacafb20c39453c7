"""What one large experiment costs: its sums and its estimates, held against hand-written queries for the same sums.

Ten metrics with a past and one declared covariate, two variants, units of thirty days. Ours are the dbt models that add
up days and arms, and the estimates: differences in means, CUPED with the covariate, and every daily look. The anchor
is the best that we could write by hand on the same tables of the same server: one query for the sums of each day, one
for the co-moments with the covariate. Both are exact. What the second would cost in float8 is reported beside.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from assets import declared
from assets.estimates import cuped_effects, daily_looks
from assets.estimates.moments import by_everybody
from assets.estimates.sums_of_days import by_day
from assets.experiments.metric_definitions import SCHEMA, rows_of
from benchmarks.figure import Figure
from benchmarks.own_house import own_settings
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.difference_in_means import difference_in_means
from resources.connection import connect
from resources.dbt import DbtResource
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresClient
from resources.registry import register

UNITS, METRICS, DAYS = 10_000_000, 10, 30
MOST, MOST_MEGABYTES = 1.3, 500
TENANT, EXPERIMENT = "bench", "large"
PARTITION = f"{TENANT}|{EXPERIMENT}"
KNOWN_AT = datetime(2026, 3, 1, tzinfo=UTC)
OF_STATISTICS = ("experiments.daily_statistics", "experiments.sufficient_statistics")
TABLES = ("unit_metric_days", "unit_metric_values")

Report = Callable[[str], object]

_VALUE = "round(((unit::bigint * 7919 + metric * 104729) % 10007) / 100.0, 2)"
_BEFORE = "round(((unit::bigint * 6101 + metric * 31) % 10007) / 100.0, 2)"
_KEY = "'bench', 'large', 'm' || metric, 'u' || unit, CASE unit % 2 WHEN 0 THEN 'off' ELSE 'on' END"
_ROWS = "FROM generate_series(1, {units}) AS unit, generate_series(1, {metrics}) AS metric"
_DAYS = f"""
    INSERT INTO experiments.unit_metric_days
        (tenant_id, experiment, metric, unit_id, variant, day, status, value, pre_value)
    SELECT {_KEY}, date '2026-01-01' + unit % {DAYS}, 'measured', {_VALUE}, {_BEFORE} {_ROWS}
"""
_VALUES = f"""
    INSERT INTO experiments.unit_metric_values
        (tenant_id, experiment, metric, unit_id, variant, value, pre_value, is_observed, status)
    SELECT {_KEY}, {_VALUE}, {_BEFORE}, false, 'measured' {_ROWS}
"""
_COVARIATES = """
    INSERT INTO features.unit_covariates
        (tenant_id, experiment, unit_id, covariate, as_of, known_at, value_text, value_number)
    SELECT 'bench', 'large', 'u' || unit, 'age', now(), now(), (18 + unit * 31 % 60)::text, 18 + unit * 31 % 60
    FROM generate_series(1, {units}) AS unit
"""

_OF_DAYS_BY_HAND = """
    SELECT metric, variant, day, count(*), count(value), {sums}
    FROM experiments.unit_metric_days WHERE tenant_id = 'bench' AND experiment = 'large'
    GROUP BY metric, variant, day
"""
_OF_DAYS_BY_US = """
    SELECT metric, variant, day, units, n, sum_y, sum_yy, sum_x, sum_xx, sum_xy, n_with_past
    FROM experiments.daily_statistics WHERE tenant_id = 'bench' AND experiment = 'large'
"""
_OF_COVARIATES_BY_HAND = """
    SELECT metric, variant, count(*), {sums}
    FROM experiments.unit_metric_values AS v
    INNER JOIN (
        SELECT unit_id, value_number{cast} AS age FROM features.unit_covariates
        WHERE tenant_id = 'bench' AND experiment = 'large' AND covariate = 'age'
        OFFSET 0
    ) AS known USING (unit_id)
    WHERE tenant_id = 'bench' AND experiment = 'large' AND value IS NOT NULL
    GROUP BY metric, variant
"""


def large_experiment(report: Report, units: int = UNITS) -> list[Figure]:
    """Fill the tables, then measure both ways in turn; about half an hour of ten million units."""
    with own_settings([TENANT]) as settings:
        client = PostgresClient(settings)
        _declare(client)
        begin = time.perf_counter()
        with connect(settings.admin_address(settings.database_name), autocommit=True) as admin:
            _fill(admin, units)
            report(f"  {units:,} units x {METRICS} metrics are there after {time.perf_counter() - begin:.0f} s")
            # As in our own transactions: the server may take a table for small and probe an index once a row.
            admin.execute("SET enable_nestloop = off")
            # The one that is only reported goes first, and finds the tables cold.
            in_floats = _by_hand(admin, exact=False)
            by_hand = _by_hand(admin, exact=True)
            ours = _ours(PostgresResource())
            _are_the_same(admin)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        in_duckdb = _in_duckdb(settings.home, units)
    measured = {"by hand": by_hand, "ours": ours, "by hand, in float8": in_floats, **in_duckdb}
    for name, seconds in measured.items():
        parts = ", ".join(f"{part} {each:.1f} s" for part, each in seconds.items())
        report(f"  {name}: {sum(seconds.values()):.1f} s ({parts})")
    megabytes = peak / (1e6 if sys.platform == "darwin" else 1e3)
    total, anchor = sum(ours.values()), sum(by_hand.values())
    named = f"{units:,} units x {METRICS} metrics"
    return [
        Figure(
            f"statistics and estimates of {named}",
            total,
            "s",
            "queries written by hand for the same sums",
            anchor,
            f"at most {MOST:g} times",
            total <= MOST * anchor,
        ),
        Figure(
            f"memory of Python, {named}",
            megabytes,
            "MB",
            "limit",
            MOST_MEGABYTES,
            "below the limit",
            megabytes < MOST_MEGABYTES,
        ),
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
            "metrics": [
                {"key": f"m{number}", "type": "sum", "event": "buy", "column": "amount", "lookback_days": 14}
                for number in range(1, METRICS + 1)
            ],
            "covariates": ["age"],
        }
    )
    frame = pl.DataFrame(list(rows_of(declaration)), schema=SCHEMA).with_columns(provenance_id=pl.lit("p"))
    with client.transaction() as transaction:
        register(transaction, declaration, Path("large.yaml"))
        transaction.replace_partition(
            "experiments.metric_definitions", frame, {"tenant_id": TENANT, "experiment": EXPERIMENT}
        )
    # Empty, as dbt makes them.
    for stage in ("events", "experiments", "features"):
        DbtResource().build(_models(stage), known_at=str(KNOWN_AT), partition=PARTITION if stage != "events" else "")


def _models(stage: str) -> Sequence[str]:
    of_stage: Mapping[str, Sequence[str]] = {
        "events": ("unit_changes", "events", "exposures"),
        "experiments": ("experiment_variants", "first_exposures", *TABLES, "daily_statistics"),
        "features": ("unit_covariates",),
    }
    return [f"{stage}.{name}" for name in of_stage[stage]]


def _fill(admin: Any, units: int) -> None:
    """The big tables, without log and index: what is measured scans them."""
    for table in (*(f"experiments.{name}" for name in TABLES), "features.unit_covariates"):
        admin.execute(f"ALTER TABLE {table} SET UNLOGGED")
        for (index,) in admin.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = %s::regclass", (table,)
        ).fetchall():
            admin.execute(f"DROP INDEX {index}")
    for statement in (_DAYS, _VALUES, _COVARIATES):
        admin.execute(statement.format(units=units, metrics=METRICS))
    for table in (*(f"experiments.{name}" for name in TABLES), "features.unit_covariates"):
        # Hint bits are set once, by whoever reads first: that should be neither of the two.
        admin.execute(f"VACUUM (FREEZE, ANALYZE) {table}")


def _sums_of_days(y: str, x: str) -> str:
    sums = f"sum({y}), sum({y} * {y}), sum({x}), sum({x} * {x}), sum({x} * {y}), count(pre_value)"
    return _OF_DAYS_BY_HAND.format(sums=sums)


def _are_the_same(admin: Any) -> None:
    """RuntimeError unless our sums are those of the query that was written by hand, to the last digit."""
    by_hand, ours = (
        sorted(admin.execute(query).fetchall()) for query in (_sums_of_days("value", "pre_value"), _OF_DAYS_BY_US)
    )
    if by_hand != ours:
        raise RuntimeError("the sums differ from those of the query that was written by hand")


def _by_hand(admin: Any, *, exact: bool) -> dict[str, float]:
    y, x = ("value", "pre_value") if exact else ("value::float8", "pre_value::float8")
    pairs = f"sum({y}), sum({y} * {y}), sum({x}), sum({x} * {x}), sum({x} * {y}), sum(age), sum(age * age)"
    queries = {
        "days": _sums_of_days(y, x),
        "covariate": _OF_COVARIATES_BY_HAND.format(
            sums=f"{pairs}, sum(age * {y}), sum(age * {x})", cast="::numeric" if exact else ""
        ),
    }
    return {name: _seconds(lambda query=query: admin.execute(query).fetchall()) for name, query in queries.items()}


def _in_duckdb(folder: Path, units: int) -> dict[str, dict[str, float]]:
    """The same sums by DuckDB over Parquet files with the same rows, on one thread, as Postgres has, and on all."""
    values, ages = (folder / f"{name}.parquet" for name in ("values", "ages"))
    found: dict[str, dict[str, float]] = {}
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            COPY (
                SELECT 'm' || metric AS metric, 'u' || unit AS unit_id,
                    CASE unit % 2 WHEN 0 THEN 'off' ELSE 'on' END AS variant,
                    DATE '2026-01-01' + (unit % {DAYS})::INTEGER AS day,
                    (((unit * 7919 + metric * 104729) % 10007) / 100.0)::DECIMAL(9, 2) AS y,
                    (((unit * 6101 + metric * 31) % 10007) / 100.0)::DECIMAL(9, 2) AS x
                FROM range(1, {units} + 1) AS units (unit), range(1, {METRICS} + 1) AS metrics (metric)
            ) TO '{values}' (FORMAT parquet)
            """
        )
        connection.execute(
            f"COPY (SELECT 'u' || unit AS unit_id, (18 + unit * 31 % 60)::DECIMAL(9, 0) AS age"
            f" FROM range(1, {units} + 1) AS units (unit)) TO '{ages}' (FORMAT parquet)"
        )
        sums = "sum(y), sum(y * y), sum(x), sum(x * x), sum(x * y)"
        of_days = f"SELECT metric, variant, day, count(*), {sums} FROM '{values}' GROUP BY ALL"
        of_ages = (
            f"SELECT metric, variant, count(*), {sums}, sum(age), sum(age * age), sum(age * y), sum(age * x)"
            f" FROM '{values}' INNER JOIN '{ages}' USING (unit_id) GROUP BY ALL"
        )
        for threads in dict.fromkeys((1, os.cpu_count() or 1)):
            connection.execute(f"SET threads = {threads}")
            found[f"DuckDB over Parquet, threads: {threads}"] = {
                name: _seconds(lambda query=query: connection.execute(query).fetchall())
                for name, query in (("days", of_days), ("covariate", of_ages))
            }
    return found


def _ours(postgres: PostgresResource) -> dict[str, float]:
    experiment = declared.experiment(postgres, PARTITION)
    seconds = {
        "dbt": _seconds(lambda: DbtResource().build(OF_STATISTICS, known_at=str(KNOWN_AT), partition=PARTITION)),
        "CUPED": _seconds(lambda: list(cuped_effects.effects(postgres, PARTITION, experiment))),
        "looks": _seconds(lambda: list(daily_looks.looks(experiment, by_day(postgres, PARTITION), is_over=False))),
    }

    def means() -> None:
        moments = by_everybody(postgres, PARTITION)
        for metric in experiment.metrics:
            effect = difference_in_means(moments[metric.key, None, "on"], moments[metric.key, None, "off"])
            assert effect.status == "ok", effect

    return {**seconds, "means": _seconds(means)}


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
