from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.columns import json_text
from assets.publication import publish
from causeway.declarations.event_filter import json_path
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.metric import Metric
from resources.postgres import PostgresResource

RECORD = "record"
"""The type of the events that the rows of a table are landed as."""

SCHEMA = {
    "metric": pl.String,
    "position": pl.Int32,
    "declared_metric": pl.String,
    "type": pl.String,
    "role": pl.String,
    "direction": pl.String,
    "landed_source": pl.String,
    "event": pl.String,
    "property": pl.String,
    "filter": pl.String,
    "denominator_event": pl.String,
    "denominator_property": pl.String,
    "denominator_filter": pl.String,
    "steps": pl.String,
    "from_days": pl.Float64,
    "to_days": pl.Float64,
    "lookback_days": pl.Float64,
    "absent_is_zero": pl.Boolean,
    "quantile": pl.Float64,
    "quantile_of_events": pl.Boolean,
    "lowest": pl.Float64,
    "highest": pl.Float64,
    "lowest_quantile": pl.Float64,
    "highest_quantile": pl.Float64,
    "quantiles_without_zeros": pl.Boolean,
    "excluded_below": pl.Float64,
    "excluded_above": pl.Float64,
    "non_inferiority_margin": pl.Float64,
    "min_effect": pl.Float64,
}


@dg.asset(
    key=["experiments", "metric_definitions"],
    deps=[["registry", "experiments"]],
    partitions_def=partitions.experiments,
    group_name="experiments",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "experiments"},
    code_version="1",
    description=(
        "How each metric of an experiment is measured: declared metrics that it uses by name, and those that it defines"
        " itself. One row per tenant, experiment and metric."
    ),
)
def metric_definitions(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    frame = pl.DataFrame(list(rows_of(experiment)), schema=SCHEMA)
    return publish(context, postgres, frame, unit="experiment")


def rows_of(experiment: ExperimentDeclaration) -> Iterator[dict[str, Any]]:
    """One row a metric, as in SCHEMA."""
    for position, metric in enumerate(experiment.metrics, start=1):
        yield {
            "metric": metric.key,
            "position": position,
            "declared_metric": metric.metric,
            "type": metric.type,
            "role": metric.role,
            "direction": metric.direction,
            "lookback_days": metric.lookback_days,
            "quantile": metric.quantile,
            "quantile_of_events": metric.level == "event",
            "non_inferiority_margin": metric.non_inferiority_margin,
            "min_effect": metric.min_effect,
            **_events(experiment, metric),
            **_bounds(metric),
        }


def _events(experiment: ExperimentDeclaration, metric: Metric) -> dict[str, Any]:
    """Which events are read, and when. What a unit did not do is zero, but a value that its record lacks is missing."""
    of_table = experiment.source is not None
    divisor = metric.denominator
    steps = [{"event": step.event, "filter": json_path(step.where)} for step in metric.steps]
    return {
        "landed_source": experiment.key if of_table else None,
        "event": RECORD if of_table else metric.event,
        "property": metric.column,
        "filter": json_path(metric.where),
        "denominator_event": None if divisor is None else RECORD if of_table else divisor.event,
        "denominator_property": None if divisor is None else divisor.column,
        "denominator_filter": None if divisor is None else json_path(divisor.where),
        "steps": json_text(steps),
        "from_days": metric.delay_days if metric.from_day is None else metric.from_day,
        "to_days": metric.window_days if metric.to_day is None else metric.to_day,
        "absent_is_zero": not of_table and metric.type not in ("mean", "quantile"),
    }


def _bounds(metric: Metric) -> dict[str, Any]:
    cap, exclude = metric.cap, metric.exclude
    return {
        "lowest": cap and cap.lower,
        "highest": cap and cap.upper,
        "lowest_quantile": cap and cap.lower_quantile,
        "highest_quantile": cap and cap.upper_quantile,
        "quantiles_without_zeros": cap is not None and cap.ignore_zeros,
        "excluded_below": exclude and exclude.below,
        "excluded_above": exclude and exclude.above,
    }
