"""Effects on a distribution, which need the units' values and not only their sums: quantiles and times to an event."""

import polars as pl

from assets.partitions import split
from causeway.declarations.metric import Metric
from causeway.statistics.effect import Effect
from causeway.statistics.life_table import LifeTable
from causeway.statistics.quantile import ArmQuantile, quantile_effect
from causeway.statistics.time_to_event import restricted_mean_effect
from resources.postgres import PostgresResource

ByVariant = dict[tuple[str, str], pl.DataFrame]
"""By metric and variant: value and, for a time to an event, whether it was seen; one row a unit."""

_QUERY = """
    SELECT metric, variant, value::float8 AS value, is_observed
    FROM {values} INNER JOIN {definitions} USING (tenant_id, experiment, metric)
    WHERE tenant_id = %s AND experiment = %s AND type IN ('quantile', 'time_to_event') AND value IS NOT NULL
"""


def of_units(postgres: PostgresResource, partition_key: str) -> ByVariant:
    """The values of the metrics that are quantiles or times."""
    client = postgres.client()
    query = _QUERY.format(
        values=client.table("experiments.unit_metric_values"),
        definitions=client.table("experiments.metric_definitions"),
    )
    found = client.read(query, split(partition_key)).sort("metric", "variant", "value", "is_observed")
    return {
        (str(metric), str(variant)): rows
        for (metric, variant), rows in found.group_by("metric", "variant", maintain_order=True)
    }


def effect_on(metric: Metric, treated: pl.DataFrame | None, control: pl.DataFrame | None, alpha: float) -> Effect:
    """The effect on a quantile of the units, or on the time without the event within the window."""
    counts = [0 if arm is None else arm.height for arm in (treated, control)]
    if metric.level == "event":
        reason = "quantiles of all events are not compared yet; level: unit compares those of the units' sums"
        return Effect("not_estimable", *counts, settings={"reason": reason})
    if treated is None or control is None:
        return Effect("no_units", *counts)
    if metric.type == "quantile":
        assert metric.quantile is not None, "a declared quantile has its level"
        arms = [
            ArmQuantile.from_arrays(arm["value"].to_numpy(), metric.quantile, alpha=alpha) for arm in (treated, control)
        ]
        return quantile_effect(*arms, alpha=alpha)
    assert metric.window_days is not None, "a declared time to an event has its window"
    tables = [
        LifeTable.from_arrays(arm["value"].to_numpy(), arm["is_observed"].to_numpy()) for arm in (treated, control)
    ]
    return restricted_mean_effect(*tables, horizon=metric.window_days - metric.delay_days, alpha=alpha)
