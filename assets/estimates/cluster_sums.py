"""Sums by cluster, for experiments that declare which units belong together.

Units are added up within clusters, and moments over clusters are made of those sums; both are exact decimals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from assets.estimates.joint_sums import DENOMINATOR, OUTCOME, JointByArm, UnitRows, joint_moments
from assets.partitions import split
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.metric import NOT_MEANS, Metric
from causeway.statistics.clusters_across_arms import (
    COLUMNS,
    ClustersAcrossArms,
    effect_across_clusters,
    ratio_across_clusters,
)
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Effect
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.ratio import difference_in_ratios
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresTransaction

Arm = tuple[str, str | None, str]

_UNITS = """
    SELECT v.unit_id, v.metric, NULL::text AS segment, v.variant, g.value_text AS cluster, v.value AS v0,
        CASE WHEN d.type = 'ratio' THEN v.denominator ELSE 1 END AS v1
    FROM {values} AS v
    INNER JOIN {definitions} AS d USING (tenant_id, experiment, metric)
    LEFT JOIN {covariates} AS g
        ON g.tenant_id = v.tenant_id AND g.experiment = v.experiment AND g.unit_id = v.unit_id
            AND g.covariate = %(cluster)s
    WHERE v.tenant_id = %(tenant)s AND v.experiment = %(experiment)s AND v.value IS NOT NULL
        AND NOT d.type = ANY(%(other_types)s)
"""
_WITH_SEGMENTS = """
    WITH units AS ({units}),
    levels AS (
        SELECT unit_id, covariate || '=' || value_text AS segment FROM {covariates}
        WHERE tenant_id = %(tenant)s AND experiment = %(experiment)s AND covariate = ANY(%(segments)s)
            AND value_text IS NOT NULL
    )
    SELECT metric, segment, variant, cluster, v0, v1 FROM units
    UNION ALL
    SELECT metric, levels.segment, variant, cluster, v0, v1 FROM units INNER JOIN levels USING (unit_id)
"""

_LEFT_OUT = """
    SELECT metric, segment, variant, count(*) FROM ({rows}) AS units WHERE cluster IS NULL
    GROUP BY metric, segment, variant
"""

# A cluster has a row for every variant that is compared with the control, with its units of both.
_ACROSS = """
    WITH cells AS (
        SELECT metric, segment, variant, cluster, count(*)::numeric AS units, sum(v0) AS y, sum(v1) AS d
        FROM ({rows}) AS unit_rows WHERE cluster IS NOT NULL GROUP BY metric, segment, variant, cluster
    )
    SELECT metric, segment, compared.variant,
        coalesce(sum(y) FILTER (WHERE of_it), 0) AS v0, coalesce(sum(d) FILTER (WHERE of_it), 0) AS v1,
        coalesce(sum(y) FILTER (WHERE NOT of_it), 0) AS v2, coalesce(sum(d) FILTER (WHERE NOT of_it), 0) AS v3,
        coalesce(sum(units) FILTER (WHERE of_it), 0) AS v4, coalesce(sum(units) FILTER (WHERE NOT of_it), 0) AS v5,
        bool_or(of_it)::integer::numeric AS v6, bool_or(NOT of_it)::integer::numeric AS v7
    FROM cells
    CROSS JOIN unnest(%(variants)s::text[]) AS compared (variant)
    CROSS JOIN LATERAL (SELECT cells.variant = compared.variant AS of_it) AS arms
    WHERE of_it OR cells.variant = %(control)s
    GROUP BY metric, segment, compared.variant, cluster
"""
REACHED = ("reached", "reached_control")
_UNITS_OF_ARMS = ("units", "units_control")


@dataclass(frozen=True)
class ClusteredSums:
    """Of means and ratios: clusters of a variant and the control, units of an arm, and how many have no cluster."""

    column: str
    clusters: JointByArm
    units: JointByArm
    left_out: Mapping[Arm, int]

    def effect(self, metric: Metric, segment: str | None, variant: str, control: str, alpha: float) -> Effect:
        """Variant against control, with the cluster-robust interval."""
        treated, other = ((metric.key, segment, arm) for arm in (variant, control))
        empty = JointMoments.empty((*COLUMNS, *_UNITS_OF_ARMS, *REACHED))
        sums = self.clusters.get(treated, empty)
        found = ClustersAcrossArms(*(total_of(sums, name) for name in (*_UNITS_OF_ARMS, *REACHED)), sums)
        arms = [self.units.get(arm, JointMoments.empty((OUTCOME, DENOMINATOR))) for arm in (treated, other)]
        if metric.type == "ratio":
            effect = ratio_across_clusters(found, alpha=alpha)
            independent = difference_in_ratios(*arms, alpha=alpha)
        else:
            effect = effect_across_clusters(found, alpha=alpha)
            independent = difference_in_means(*(arm.moments(OUTCOME) for arm in arms), alpha=alpha)
        settings = effect.settings | self.left_out_of(treated, other)
        if effect.std_error is not None and independent.std_error is not None:
            settings["design_effect"] = (effect.std_error / independent.std_error) ** 2
        return replace(effect, settings=settings)

    def left_out_of(self, treated: Arm, control: Arm) -> dict[str, object]:
        """What settings say of the clusters' column and of the units that have none."""
        return {
            "cluster": self.column,
            "units_without_cluster": self.left_out.get(treated, 0),
            "units_without_cluster_control": self.left_out.get(control, 0),
        }


def units_of_clusters(
    transaction: PostgresTransaction,
    partition_key: str,
    experiment: ExperimentDeclaration,
    column: str,
    segments: Sequence[str] = (),
) -> UnitRows:
    """Outcome, denominator (1 of a mean) and cluster of the units with a value, also of those without a cluster.

    For everybody, and again within every level of the segments.
    """
    tenant, key = split(partition_key)
    tables = {
        "values": transaction.table("experiments.unit_metric_values"),
        "definitions": transaction.table("experiments.metric_definitions"),
        "covariates": transaction.table("features.unit_covariates"),
    }
    units = _UNITS.format(**tables)
    if segments:
        units = _WITH_SEGMENTS.format(units=units, **tables)
    named: dict[str, object] = {
        "tenant": tenant,
        "experiment": key,
        "cluster": column,
        "segments": list(segments),
        "other_types": [each for each in NOT_MEANS if each != "ratio"],
        "variants": [name for name in experiment.variants if name != experiment.control],
        "control": experiment.control,
    }
    return UnitRows(units, (OUTCOME, DENOMINATOR), named)


def with_cluster(units: UnitRows) -> str:
    """The query for those of the units that have a cluster."""
    return f"SELECT * FROM ({units.query}) AS of_units WHERE cluster IS NOT NULL"


def of_means_and_ratios(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration, column: str
) -> ClusteredSums:
    """The sums of an experiment with clusters, for everybody and within every level of the segments."""
    with postgres.client().transaction(read_only=True) as transaction:
        units = units_of_clusters(transaction, partition_key, experiment, column, experiment.segments)
        named = units.parameters
        transaction.join_in_bulk()
        across = _ACROSS.format(rows=units.query)
        return ClusteredSums(
            column,
            joint_moments(transaction, across, (*COLUMNS, *_UNITS_OF_ARMS, *REACHED), named),
            joint_moments(transaction, with_cluster(units), units.names, named),
            {tuple(arm): n for *arm, n in transaction.fetch_all(_LEFT_OUT.format(rows=units.query), named)},
        )


def total_of(sums: JointMoments, name: str) -> int:
    """The sum of a column of counts over all clusters."""
    return round(sums.n * sums.mean(name))
