"""The windows of a switchback against each other: what its estimates and the check of an A/A experiment are made of."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from assets.partitions import split
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.metric import Metric
from causeway.statistics.effect import Effect
from causeway.statistics.switchback import LARGEST_GRID, SwitchbackCells, switchback_effect
from resources.postgres import PostgresResource

_OF_A_TABLE = "a switchback deals variants to windows of time, and a table with one row per unit has none"
_TYPES = ("conversion", "count", "sum", "mean", "ratio")


def effects_of_windows(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration
) -> dict[tuple[str, str], Effect]:
    """By metric and variant of a switchback: the variant's windows against those of the control."""
    cells = _cells(postgres, partition_key)
    return {
        (metric.key, variant): _effect(metric, experiment, cells.get(metric.key), variant)
        for metric in experiment.metrics
        for variant, _ in experiment.ordered_variants
        if variant != experiment.control
    }


def _cells(postgres: PostgresResource, partition_key: str) -> Mapping[str, pl.DataFrame]:
    """Variant, cluster (a whole number each), window, outcome and denominator of the cells of each metric."""
    client = postgres.client()
    frame = client.read(
        "SELECT metric, variant, dense_rank() OVER (ORDER BY cluster_id) AS cluster, window_index,"
        f" outcome::float8 AS outcome, denominator::float8 AS denominator"
        f" FROM {client.table('experiments.switchback_cells')}"
        " WHERE tenant_id = %s AND experiment = %s ORDER BY metric, cluster, window_index",
        split(partition_key),
    )
    return {str(metric): of for (metric,), of in frame.group_by("metric", maintain_order=True)}


def _effect(metric: Metric, experiment: ExperimentDeclaration, found: pl.DataFrame | None, variant: str) -> Effect:
    reason = _why_not(metric, experiment)
    if reason is not None:
        return _without(reason)
    if found is None:
        return Effect("no_units", 0, 0, settings={"reason": "there is no whole window with one declared variant yet"})
    arms = found.filter(pl.col("variant").is_in([variant, experiment.control]))
    if arms["denominator"].lt(0).any():
        return _without("the denominator of a window is negative")
    span = 0 if arms.is_empty() else int(arms["window_index"].max() - arms["window_index"].min()) + 1  # type: ignore[operator]
    if span * (arms["cluster"].n_unique() + 1) > LARGEST_GRID:
        return _without(f"{arms['cluster'].n_unique()} clusters by {span} windows are too many to be compared")
    cells = SwitchbackCells.from_arrays(
        arms["cluster"].to_numpy(),
        arms["window_index"].to_numpy(),
        (arms["variant"] == variant).to_numpy(),
        arms["outcome"].to_numpy(),
        arms["denominator"].to_numpy(),
    )
    effect = switchback_effect(cells, carryover=experiment.randomization.carryover, alpha=experiment.decision.alpha)
    # Windows are the independent pieces that an interval for many looks counts: see LookPlan.
    pieces = {"clusters": effect.n, "clusters_control": effect.n_control, "clusters_in_both": 0}
    return replace(effect, settings={**effect.settings, **pieces, "washout": experiment.randomization.washout})


def _why_not(metric: Metric, experiment: ExperimentDeclaration) -> str | None:
    if experiment.source is not None:
        return _OF_A_TABLE
    if metric.type not in _TYPES:
        return f"a switchback compares sums of what happens within its windows, and a {metric.type} is none"
    if metric.cap is not None or metric.exclude is not None:
        return "cap and exclude bound the value of a unit, and a switchback compares windows"
    return None


def _without(reason: str) -> Effect:
    return Effect("not_estimable", 0, 0, settings={"reason": reason})
