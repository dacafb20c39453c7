from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.columns import json_text
from assets.publication import publish
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.effect import Effect
from causeway.statistics.heterogeneity import Heterogeneity, SegmentFinding, screen_segments
from causeway.statistics.heterogeneity import heterogeneity as test_of
from resources.postgres import PostgresResource

Comparison = tuple[str, str, str]
"""Metric, segment and variant."""

SCHEMA = {
    **dict.fromkeys(("metric", "segment", "variant", "control", "status"), pl.String),
    **dict.fromkeys(("p_value", "q_value"), pl.Float64),
    "found": pl.Boolean,
    "statistic": pl.Float64,
    "df": pl.Int64,
    **dict.fromkeys(("i_squared", "pooled_effect", "p_value_qualitative"), pl.Float64),
    **dict.fromkeys(("levels", "levels_found", "reversed_levels"), pl.String),
    "simpson": pl.Boolean,
    "settings": pl.String,
}
SHARED_CLUSTERS = "levels of a segment may share clusters, whose effects are not independent"


@dg.asset(
    key=["estimates", "heterogeneity"],
    deps=[["estimates", "difference_in_means"], ["registry", "experiments"]],
    partitions_def=partitions.experiments,
    group_name="estimates",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "experiments"},
    code_version="1",
    description=(
        "Whether the effect on a metric differs between the levels of a declared segment, and which levels stand out,"
        " with the false discovery rate of the experiment at its declared error rate."
        " One row per tenant, experiment, metric, segment and variant."
    ),
)
def heterogeneity(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    tests = _tests(experiment, _effects(postgres, context.partition_key))
    findings = screen_segments({json_text(each): test for each, test in tests.items()}, q=experiment.decision.alpha)
    rows = [_row(each, test, findings[json_text(each)], experiment.control) for each, test in tests.items()]
    return publish(
        context,
        postgres,
        pl.DataFrame(rows, schema=SCHEMA),
        unit="experiment",
        metadata={"tested": len(rows), "found": dg.MetadataValue.md(_table(rows))},
    )


def _effects(postgres: PostgresResource, partition_key: str) -> Mapping[tuple[str, str, str | None], Effect]:
    """By metric, variant and segment=level; null: everybody."""
    client = postgres.client()
    columns = "n, n_control, mean, mean_control, effect, std_error, ci_low, ci_high, p_value"
    columns += ", relative_effect, relative_ci_low, relative_ci_high, settings"
    found = client.fetch_all(
        f"SELECT metric, variant, segment, status, {columns}"
        f" FROM {client.table('estimates.difference_in_means')} WHERE tenant_id = %s AND experiment = %s"
        " ORDER BY metric, variant, segment",
        partitions.split(partition_key),
    )
    return {(metric, variant, segment): Effect(*values) for metric, variant, segment, *values in found}


def _tests(
    experiment: ExperimentDeclaration, effects: Mapping[tuple[str, str, str | None], Effect]
) -> dict[Comparison, Heterogeneity]:
    tests = {}
    for metric in experiment.metrics:
        for segment in experiment.segments:
            for variant in (name for name, _ in experiment.ordered_variants if name != experiment.control):
                prefix = f"{segment}="
                levels = {
                    each.removeprefix(prefix): effect
                    for (of, on, each), effect in effects.items()
                    if (of, on) == (metric.key, variant) and each is not None and each.startswith(prefix)
                }
                tests[metric.key, segment, variant] = (
                    test_of(levels, overall=effects.get((metric.key, variant, None)), alpha=experiment.decision.alpha)
                    if experiment.cluster_column is None
                    else Heterogeneity("not_estimable", settings={"reason": SHARED_CLUSTERS})
                )
    return tests


def _row(each: Comparison, test: Heterogeneity, finding: SegmentFinding, control: str) -> dict[str, Any]:
    metric, segment, variant = each
    levels = [asdict(level) | {"found": level.level in finding.levels_found} for level in test.levels]
    return {
        "metric": metric,
        "segment": segment,
        "variant": variant,
        "control": control,
        "status": test.status,
        "p_value": test.p_value,
        "q_value": finding.p_value_adjusted,
        "found": finding.found,
        "statistic": test.q,
        "df": test.df,
        "i_squared": test.i_squared,
        "pooled_effect": test.pooled_effect,
        "p_value_qualitative": test.p_value_qualitative,
        "levels": json_text(levels),
        "levels_found": json_text(list(finding.levels_found)),
        "reversed_levels": json_text(list(test.reversed_levels)),
        "simpson": test.simpson,
        "settings": json_text(test.settings),
    }


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What was found, for people; the levels are those that stand out."""
    found: Iterable[str] = (
        f"| {row['metric']} | {row['variant']} | {row['segment']} | {row['q_value']:.2g} | {row['levels_found']} |"
        for row in sorted(rows, key=lambda row: row["q_value"] or 0)
        if row["found"]
    )
    lines = list(found)
    head = ["| metric | variant | segment | q | levels |", "|---|---|---|---|---|"]
    return "\n".join([*head, *lines]) if lines else f"Nothing in {len(rows)} tests."
