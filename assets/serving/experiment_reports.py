from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl

from assets import partitions
from assets.columns import json_text
from assets.pictures import drawing
from assets.publication import publish
from causeway.report.charts import arms_of, forest_of, over_time_of
from causeway.report.experiment_report import ExperimentReport
from causeway.report.page import render
from causeway.report.served import Served, report_of
from causeway.report.words import lead_of, title_of_decision
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresTransaction

MOST_CURVES = 12

_EXPERIMENT = """
    SELECT s.*, r.declaration, coalesce(r.declaration ->> 'status', 'running') AS status,
        coalesce((r.declaration ->> 'version')::bigint, 1) AS version
    FROM {experiments} AS s
    INNER JOIN {registered} AS r ON r.tenant_id = s.tenant_id AND r.key = s.experiment
    WHERE s.tenant_id = %s AND s.experiment = %s
"""
_HEALTH = "SELECT * FROM {health} WHERE tenant_id = %s AND experiment = %s ORDER BY check_name"
_RESULTS = """
    SELECT * FROM {results} WHERE tenant_id = %s AND experiment = %s
    ORDER BY metric_role <> 'primary', position, segment NULLS FIRST, variant, method, interval
"""
_LOOKS = """
    SELECT metric, variant, control, interval, day, status, n, n_control, mean, mean_control, effect, std_error, ci_low,
        ci_high, p_value, relative_effect, relative_ci_low, relative_ci_high, (settings ->> 'alpha')::float8 AS alpha
    FROM {looks} WHERE tenant_id = %s AND experiment = %s
    ORDER BY metric_role <> 'primary', position, variant, day
"""
_METRICS = "SELECT key, declaration FROM {metrics} WHERE tenant_id = %s AND key = ANY(%s)"


@dg.asset(
    key=["serving", "experiment_reports"],
    deps=[
        ["serving", name]
        for name in ("experiments", "experiment_results", "experiment_health", "experiment_daily_looks")
    ]
    + [["registry", "experiments"]],
    partitions_def=partitions.experiments,
    group_name="serving",
    kinds={"python", "postgres"},
    owners=["team:platform"],
    tags={"causeway/partitions": "experiments"},
    code_version="1",
    description=(
        "The report of an experiment as it was published: what to do, the effects, how they went over time, the arms,"
        " the checks, and what is withheld and why. One row per tenant and experiment."
    ),
)
def experiment_reports(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    report = report_of(_served(postgres, context.partition_key)).as_shown()
    frame = pl.DataFrame(
        {"title": [title_of_decision(report)], "lead": [json_text(list(lead_of(report)))], "page": [render(report)]}
    )
    return publish(context, postgres, frame, unit="experiment", metadata=dict(_shown(report)))


def _served(postgres: PostgresResource, partition_key: str) -> Served:
    client, partition = postgres.client(), partitions.split(partition_key)
    named = {
        "experiments": "serving.experiments",
        "health": "serving.experiment_health",
        "results": "serving.experiment_results",
        "looks": "serving.experiment_daily_looks",
        "registered": "registry.experiments",
        "metrics": "registry.metrics",
    }
    tables = {name: client.table(table) for name, table in named.items()}
    with client.transaction(read_only=True) as transaction:

        def rows(query: str, *parameters: object) -> list[dict[str, Any]]:
            return _rows(transaction, query.format(**tables), *parameters)

        (experiment,) = rows(_EXPERIMENT, *partition)
        # When it was made is no part of what it says: the same report has the same version.
        experiment |= {"computed_at": None, "decision_reasons": experiment["decision_reasons"] or []}
        health = {row["check_name"]: row for row in rows(_HEALTH, *partition)}
        used = [metric["metric"] for metric in experiment["metrics"] if metric.get("metric") is not None]
        closed = [f"{name}: {row['detail']}" for name, row in health.items() if row["blocking"] and not row["passed"]]
        return Served(
            tenant=partition[0],
            experiment=experiment,
            results=rows(_RESULTS, *partition),
            looks=rows(_LOOKS, *partition),
            health=health,
            gates_passed=experiment["gates_passed"],
            reasons=closed,
            metrics={row["key"]: row["declaration"] for row in rows(_METRICS, partition[0], used)},
        )


def _rows(transaction: PostgresTransaction, query: str, *parameters: object) -> list[dict[str, Any]]:
    cursor = transaction.connection.execute(query.encode(), parameters)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _shown(report: ExperimentReport) -> Iterator[tuple[str, dg.MetadataValue[Any]]]:
    """The report in the order in which it is read."""
    lines = [
        f"## {title_of_decision(report)}",
        *lead_of(report),
        *(f"- {reason}" for reason in report.decision.reasons),
    ]
    yield "report", dg.MetadataValue.md("\n\n".join(lines))
    metrics = {metric.key: metric for metric in report.metrics}
    for metric in report.metrics:
        for where, segments in (("", False), (", by segment", True)):
            chart = forest_of(report, metric, "forest", segments=segments)
            if chart is not None:
                yield f"{metric.key}{where}", drawing(chart.drawing)
    for looks in report.looks[:MOST_CURVES]:
        chart = over_time_of(report, looks, metrics[looks.metric], "time")
        if chart is not None:
            yield f"{looks.metric} over time, {looks.variant}", drawing(chart.drawing)
    yield "arms", drawing(arms_of(report, "arms").drawing)
    yield "health", dg.MetadataValue.md(_table(report))


def _table(report: ExperimentReport) -> str:
    verdicts: Mapping[bool, str] = {True: "CLOSED", False: "warning"}
    lines = [
        f"| {gate.check_name} | {'open' if gate.passed else verdicts[gate.is_closed]} | {gate.detail} |"
        for gate in report.gates
    ]
    return "\n".join(["| check | | |", "|---|---|---|", *lines])
