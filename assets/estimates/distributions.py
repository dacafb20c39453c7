"""Effects on a distribution, which need the units' values and not only their sums: quantiles and times to an event."""

from dataclasses import replace

import polars as pl

from assets.partitions import split
from causeway.declarations.metric import Metric
from causeway.statistics.effect import Effect
from causeway.statistics.life_table import LifeTable
from causeway.statistics.quantile import ArmQuantile, clustered_quantile_effect, quantile_effect
from causeway.statistics.time_to_event import clustered_restricted_mean_effect, restricted_mean_effect
from resources.postgres import PostgresResource

ByVariant = dict[tuple[str, str], pl.DataFrame]
"""By metric and variant: value, cluster and, for a time to an event, whether it was seen; one row a unit."""

_QUERY = """
    SELECT v.metric, v.variant, v.value::float8 AS value, v.is_observed, g.value_text AS cluster
    FROM {values} AS v
    INNER JOIN {definitions} AS d USING (tenant_id, experiment, metric)
    LEFT JOIN {covariates} AS g
        ON g.tenant_id = v.tenant_id AND g.experiment = v.experiment AND g.unit_id = v.unit_id
            AND g.covariate = %(cluster)s
    WHERE v.tenant_id = %(tenant)s AND v.experiment = %(experiment)s AND d.type IN ('quantile', 'time_to_event')
        AND NOT d.quantile_of_events AND v.value IS NOT NULL
"""


def of_units(postgres: PostgresResource, partition_key: str, cluster: str | None = None) -> ByVariant:
    """The values of the metrics that are quantiles or times, with the units' clusters if a column names them."""
    client = postgres.client()
    query = _QUERY.format(
        values=client.table("experiments.unit_metric_values"),
        definitions=client.table("experiments.metric_definitions"),
        covariates=client.table("features.unit_covariates"),
    )
    tenant, experiment = split(partition_key)
    found = client.read(query, {"tenant": tenant, "experiment": experiment, "cluster": cluster})
    found = found.sort("metric", "variant", "value", "is_observed", "cluster")
    return {
        (str(metric), str(variant)): rows
        for (metric, variant), rows in found.group_by("metric", "variant", maintain_order=True)
    }


def effect_on(
    metric: Metric,
    treated: pl.DataFrame | None,
    control: pl.DataFrame | None,
    *,
    alpha: float,
    cluster: str | None = None,
) -> Effect:
    """The effect on a quantile of the units, or on the time without the event within the window.

    cluster: the column of the clusters; units that have none are left out and counted.
    """
    left_out: dict[str, object] = {}
    if cluster is not None:
        without = [0 if arm is None else arm["cluster"].null_count() for arm in (treated, control)]
        left_out = {
            "cluster": cluster,
            "units_without_cluster": without[0],
            "units_without_cluster_control": without[1],
        }
        treated, control = (None if arm is None else arm.drop_nulls("cluster") for arm in (treated, control))
    if treated is None or control is None:
        counts = [0 if arm is None else arm.height for arm in (treated, control)]
        return Effect("no_units", *counts, settings=left_out)
    of_arms = _quantiles if metric.type == "quantile" else _times
    effect = of_arms(metric, treated, control, alpha, cluster is not None)
    return replace(effect, settings=effect.settings | left_out)


def _quantiles(
    metric: Metric, treated: pl.DataFrame, control: pl.DataFrame, alpha: float, is_clustered: bool
) -> Effect:
    assert metric.quantile is not None, "a declared quantile has its level"
    values = treated["value"].to_numpy(), control["value"].to_numpy()
    if not is_clustered:
        return quantile_effect(
            *(ArmQuantile.from_arrays(arm, metric.quantile, alpha=alpha) for arm in values), alpha=alpha
        )
    clusters = treated["cluster"].to_numpy(), control["cluster"].to_numpy()
    return clustered_quantile_effect(values, clusters, metric.quantile, alpha=alpha)


def _times(metric: Metric, treated: pl.DataFrame, control: pl.DataFrame, alpha: float, is_clustered: bool) -> Effect:
    assert metric.window_days is not None, "a declared time to an event has its window"
    horizon = metric.window_days - metric.delay_days
    arms = [(arm["value"].to_numpy(), arm["is_observed"].to_numpy()) for arm in (treated, control)]
    if not is_clustered:
        return restricted_mean_effect(*(LifeTable.from_arrays(*arm) for arm in arms), horizon=horizon, alpha=alpha)
    clusters = treated["cluster"].to_numpy(), control["cluster"].to_numpy()
    return clustered_restricted_mean_effect(
        (*arms[0], clusters[0]), (*arms[1], clusters[1]), horizon=horizon, alpha=alpha
    )
