"""The history of every metric of a planned experiment, as arrays for the pure library."""

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from assets import unit_frames
from assets.partitions import split
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.metric import Metric
from causeway.design.duration import ActivityHistory
from causeway.design.history import (
    BEFORE,
    CLUSTER,
    DENOMINATOR,
    DENOMINATOR_BEFORE,
    OUTCOME,
    SCORE,
    SEEN,
    Kind,
    MetricHistory,
)
from causeway.design.history_plan import PlannedMetric
from causeway.twins.covariates import design_matrix
from causeway.twins.prognostic import fit_prognostic
from resources.postgres import PostgresResource

# More units teach a twin little, and every fold of it would take minutes.
MOST_LEARNED_FROM = 20_000
_OF_NO_MEAN: dict[str, Kind] = {"ratio": "ratio", "quantile": "quantile", "time_to_event": "time_to_event"}
_VALUES = """
    SELECT of_units.metric, of_units.unit_id, of_units.value, of_units.denominator, of_units.pre_value,
        of_units.pre_denominator, of_units.is_observed, (units.first_exposed_at AT TIME ZONE 'UTC')::date AS entered_on
    FROM {values} AS of_units
    INNER JOIN {units} AS units USING (tenant_id, experiment, unit_id)
    WHERE tenant_id = %s AND experiment = %s AND of_units.value IS NOT NULL
"""
_NUMBERS = {
    "value": OUTCOME,
    "denominator": DENOMINATOR,
    "pre_value": BEFORE,
    "pre_denominator": DENOMINATOR_BEFORE,
    "is_observed": SEEN,
}


def planned_metrics(
    postgres: PostgresResource,
    partition_key: str,
    experiment: ExperimentDeclaration,
    *,
    seed: int,
    said: Callable[[str], None],
) -> list[PlannedMetric]:
    """Every metric with the values of the units of its history, by unit; with a twin where one is wanted."""
    client = postgres.client()
    query = _VALUES.format(values=client.table("design.history_values"), units=client.table("design.history_units"))
    values = client.read(query, split(partition_key)).sort("metric", "unit_id")
    values = values.with_columns(pl.col(name).cast(pl.Float64) for name in _NUMBERS)
    names = [*experiment.covariates, *([experiment.cluster_column] if experiment.cluster_column else [])]
    profiles = unit_frames.profiles(postgres, partition_key, names, table="design.history_covariates")
    by_metric = {str(metric): frame for (metric,), frame in values.group_by("metric", maintain_order=True)}
    nothing = values.clear()
    found = []
    for metric in experiment.metrics:
        frame = by_metric.get(metric.key, nothing)
        if experiment.cluster_column:
            labels = profiles.levels(experiment.cluster_column).rename({"level": CLUSTER})
            frame = frame.join(labels, on="unit_id", how="left", maintain_order="left").drop_nulls(CLUSTER)
        score = None
        if experiment.planned_covariate == "twin" and metric.is_mean:
            said(f"{metric.key}: teaching a twin")
            score = _score(profiles.covariates(experiment.covariates), frame, experiment, seed=seed)
        found.append(_planned(experiment, metric, frame, score))
    return found


def activity(postgres: PostgresResource, partition_key: str, first_day: date, days: int) -> ActivityHistory:
    """Units per day of the history by how long they had not been seen."""
    client = postgres.client()
    rows = client.fetch_all(
        f"SELECT day, gap, units FROM {client.table('design.history_days')} WHERE tenant_id = %s AND experiment = %s",
        split(partition_key),
    )
    counts = np.zeros((days, days), dtype=np.int64)
    for day, gap, units in rows:
        counts[(day - first_day).days, gap] = units
    return ActivityHistory(first_day, counts)


def _score(
    covariates: pl.DataFrame, frame: pl.DataFrame, experiment: ExperimentDeclaration, *, seed: int
) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    joined = frame.join(covariates, on="unit_id", how="left", maintain_order="left")
    outcome = joined["value"].to_numpy().copy()
    if len(outcome) > MOST_LEARNED_FROM:
        left_out = np.random.default_rng(seed).permutation(len(outcome))[MOST_LEARNED_FROM:]
        outcome[left_out] = np.nan
    matrix = design_matrix(joined, experiment.covariates)
    everybody = np.ones(len(outcome), dtype=np.bool_)
    return fit_prognostic(
        matrix.values, outcome, everybody, joined["unit_id"].to_numpy(), seed=seed, feature_names=matrix.columns
    ).scores


def _planned(
    experiment: ExperimentDeclaration,
    metric: Metric,
    frame: pl.DataFrame,
    score: np.ndarray[Any, np.dtype[np.float64]] | None,
) -> PlannedMetric:
    columns = {}
    for name, column in _NUMBERS.items():
        # What is not known of a unit's past is the mean of the others, as in the analysis.
        values = frame[name].fill_null(strategy="mean") if name.startswith("pre_") else frame[name]
        if name == "value" or values.null_count() == 0:
            columns[column] = values.to_numpy()
    if score is not None:
        columns[SCORE] = score
    if CLUSTER in frame.columns:
        columns[CLUSTER] = frame[CLUSTER].rank("dense").cast(pl.Float64).to_numpy()
    entered = frame["entered_on"].cast(pl.Int32).cast(pl.Int64).to_numpy()
    history = MetricHistory(
        kind=_OF_NO_MEAN.get(metric.type or "", "mean"),
        columns=columns,
        day=None if experiment.source is not None else entered,
        quantile=metric.quantile,
        horizon=None if metric.window_days is None else metric.window_days - metric.delay_days,
    )
    lasts = metric.window_days if metric.to_day is None else metric.to_day
    is_guardrail = metric.role == "guardrail"
    wanted = metric.min_effect or (None if is_guardrail else experiment.decision.min_relative_effect or None)
    return PlannedMetric(
        key=metric.key,
        history=history,
        role=metric.role,
        direction=metric.direction,
        relevant_effect=wanted,
        margin=metric.non_inferiority_margin if is_guardrail else None,
        watch_days=0 if lasts is None else int(np.ceil(lasts)),
        unplannable="quantiles of all events are not compared" if metric.level == "event" else None,
    )
