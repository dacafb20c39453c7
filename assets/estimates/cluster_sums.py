"""Sums by cluster, for experiments that declare which units belong together.

Units are added up within clusters, and moments over clusters are made of those sums; both are exact decimals.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from assets.estimates.joint_sums import DENOMINATOR, OUTCOME, JointByArm, UnitRows, joint_moments
from assets.partitions import split
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.metric import NOT_MEANS, Metric
from causeway.statistics.cluster_influence import INFLUENCES, ClusterInfluence, with_clusters
from causeway.statistics.clusters import ClusteredArm
from causeway.statistics.clusters_across_arms import (
    COLUMNS,
    ClustersAcrossArms,
    effect_across_clusters,
    ratio_across_clusters,
)
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Effect
from causeway.statistics.interacted_influence import ArmInfluence, LinearForm, arm_influence, slopes_spent
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

_WITHOUT = """
    SELECT v.metric, v.variant, count(*)
    FROM {values} AS v
    LEFT JOIN {covariates} AS g
        ON g.tenant_id = v.tenant_id AND g.experiment = v.experiment AND g.unit_id = v.unit_id
            AND g.covariate = %(cluster)s
    WHERE v.tenant_id = %(tenant)s AND v.experiment = %(experiment)s AND v.value IS NOT NULL AND g.value_text IS NULL
    GROUP BY v.metric, v.variant
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
_REACHED = ("reached", "reached_control")
_UNITS_OF_ARMS = ("units", "units_control")

_OF_CLUSTERS = """
    SELECT metric, segment, variant, sum(v0) AS v0, count(*)::numeric AS v1{sums}
    FROM ({rows}) AS units
    INNER JOIN jsonb_to_recordset(%(centres)s::jsonb) AS centred (metric text, means numeric[]) USING (metric)
    WHERE cluster IS NOT NULL
    GROUP BY metric, segment, variant, cluster
"""

_INFLUENCES = """
    SELECT metric, NULL::text AS segment, forms.compared AS variant,
        sum(CASE WHEN forms.is_treated THEN ({residual}) * ({leverage}) ELSE 0 END + ({shift})) AS v0,
        sum(CASE WHEN forms.is_treated THEN 0 ELSE ({residual}) * ({leverage}) END + ({shift_control})) AS v1,
        count(*) FILTER (WHERE forms.is_treated)::numeric AS v2,
        count(*) FILTER (WHERE NOT forms.is_treated)::numeric AS v3,
        bool_or(forms.is_treated)::integer::numeric AS v4, bool_or(NOT forms.is_treated)::integer::numeric AS v5
    FROM ({rows}) AS units
    INNER JOIN jsonb_to_recordset(%(forms)s::jsonb) AS forms (
        metric text, variant text, compared text, is_treated boolean,
        residual numeric[], leverage numeric[], shift numeric[], shift_control numeric[]
    ) USING (metric, variant)
    WHERE cluster IS NOT NULL
    GROUP BY metric, forms.compared, cluster
"""


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
        empty = JointMoments.empty((*COLUMNS, *_UNITS_OF_ARMS, *_REACHED))
        sums = self.clusters.get(treated, empty)
        found = ClustersAcrossArms(*(_total(sums, name) for name in (*_UNITS_OF_ARMS, *_REACHED)), sums)
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


def of_means_and_ratios(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration, column: str
) -> ClusteredSums:
    """The sums of an experiment with clusters, for everybody and within every level of the segments."""
    tenant, key = split(partition_key)
    with postgres.client().transaction(read_only=True) as transaction:
        tables = {
            "values": transaction.table("experiments.unit_metric_values"),
            "definitions": transaction.table("experiments.metric_definitions"),
            "covariates": transaction.table("features.unit_covariates"),
        }
        units = _UNITS.format(**tables)
        if experiment.segments:
            units = _WITH_SEGMENTS.format(units=units, **tables)
        named: dict[str, object] = {
            "tenant": tenant,
            "experiment": key,
            "cluster": column,
            "segments": list(experiment.segments),
            "other_types": [each for each in NOT_MEANS if each != "ratio"],
            "variants": [name for name in experiment.variants if name != experiment.control],
            "control": experiment.control,
        }
        transaction.join_in_bulk()
        with_cluster = f"SELECT * FROM ({units}) AS of_units WHERE cluster IS NOT NULL"
        return ClusteredSums(
            column,
            joint_moments(transaction, _ACROSS.format(rows=units), (*COLUMNS, *_UNITS_OF_ARMS, *_REACHED), named),
            joint_moments(transaction, with_cluster, (OUTCOME, DENOMINATOR), named),
            {tuple(arm): n for *arm, n in transaction.fetch_all(_LEFT_OUT.format(rows=units), named)},
        )


@dataclass(frozen=True)
class Adjusted:
    """An effect that was adjusted as if units were independent, and the slopes by covariate of both arms."""

    metric: str
    variant: str
    effect: Effect
    slopes: Mapping[str, float]
    slopes_control: Mapping[str, float]
    is_ratio: bool = False


def adjusted_with_clusters(
    transaction: PostgresTransaction,
    rows: UnitRows,
    moments: JointByArm,
    adjusted: Iterable[Adjusted],
    experiment: ExperimentDeclaration,
) -> dict[tuple[str, str], Effect]:
    """The same effects with cluster-robust intervals, by metric and variant.

    rows: all units with a cluster. moments: of those units. Two more passes over them: one for the sums of the
    covariates by cluster, one for what each cluster contributes to the errors of the means.
    """
    control, alpha = experiment.control, experiment.decision.alpha
    wanted = list(adjusted)
    estimated = [each for each in wanted if each.effect.status == "ok"]
    clusters = _clusters_of_arms(transaction, rows, moments) if estimated else {}
    influences: dict[tuple[str, str], tuple[ArmInfluence, ArmInfluence]] = {}
    for each in estimated:
        arms = [moments[each.metric, None, arm] for arm in (each.variant, control)]
        both = arms[0] + arms[1]
        denominator = DENOMINATOR if each.is_ratio else None
        of_arms = [
            arm_influence(arm, both, slopes, outcome=OUTCOME, denominator=denominator)
            for arm, slopes in zip(arms, (each.slopes, each.slopes_control), strict=True)
        ]
        influences[each.metric, each.variant] = of_arms[0], of_arms[1]
    sums = _sums_of_influences(transaction, rows, influences, control) if influences else {}
    left_out = _left_out(transaction, rows)
    found: dict[tuple[str, str], Effect] = {}
    for each in wanted:
        of_clusters = sums.get((each.metric, None, each.variant), JointMoments.empty((*INFLUENCES, *_REACHED)))
        keys = [(each.metric, None, arm) for arm in (each.variant, control)]
        spent = [
            slopes_spent(moments[key], clusters[key], list(each.slopes)) if key in clusters else 0.0 for key in keys
        ]
        reached, reached_control = (_total(of_clusters, name) for name in _REACHED)
        of_cluster = ClusterInfluence(
            reached, reached_control, of_clusters, slopes=2 * len(each.slopes), spent=(spent[0], spent[1])
        )
        effect = with_clusters(each.effect, of_cluster, alpha=alpha)
        settings = {
            "cluster": experiment.cluster_column,
            "units_without_cluster": left_out.get((each.metric, each.variant), 0),
            "units_without_cluster_control": left_out.get((each.metric, control), 0),
        }
        found[each.metric, each.variant] = replace(effect, settings=effect.settings | settings)
    return found


def _left_out(transaction: PostgresTransaction, rows: UnitRows) -> dict[tuple[str, str], int]:
    """Units with a value but no cluster, by metric and variant."""
    query = _WITHOUT.format(
        values=transaction.table("experiments.unit_metric_values"),
        covariates=transaction.table("features.unit_covariates"),
    )
    return {(metric, variant): n for metric, variant, n in transaction.fetch_all(query, rows.parameters)}


def _total(sums: JointMoments, name: str) -> int:
    return round(sums.n * sums.mean(name))


def _clusters_of_arms(transaction: PostgresTransaction, rows: UnitRows, moments: JointByArm) -> dict[Arm, ClusteredArm]:
    """Sums of the clusters of each arm, with covariates measured from about their mean."""
    covariates = [(place, name) for place, name in enumerate(rows.names) if name not in (OUTCOME, DENOMINATOR)]
    centres = {metric: [arm.mean(name) for name in rows.names] for (metric, _, _), arm in moments.items() if arm.n > 0}
    query = _OF_CLUSTERS.format(
        rows=rows.query,
        sums="".join(
            f", sum(v{place} - means[{place + 1}]) AS v{2 + column}" for column, (place, _) in enumerate(covariates)
        ),
    )
    named = rows.parameters | {
        "centres": json.dumps([{"metric": metric, "means": means} for metric, means in centres.items()])
    }
    found = joint_moments(transaction, query, (OUTCOME, DENOMINATOR, *(name for _, name in covariates)), named)
    return {key: ClusteredArm(moments[key].n, sums) for key, sums in found.items()}


def _sums_of_influences(
    transaction: PostgresTransaction,
    rows: UnitRows,
    influences: Mapping[tuple[str, str], tuple[ArmInfluence, ArmInfluence]],
    control: str,
) -> JointByArm:
    forms = [
        {
            "metric": metric,
            "variant": arm,
            "compared": variant,
            "is_treated": arm == variant,
            "residual": _coefficients(own.residual, rows.names),
            "leverage": _coefficients(own.leverage, rows.names),
            "shift": _coefficients(of_arms[0].shift, rows.names),
            "shift_control": _coefficients(of_arms[1].shift, rows.names),
        }
        for (metric, variant), of_arms in influences.items()
        for arm, own in zip((variant, control), of_arms, strict=True)
    ]
    parts = {
        part: " + ".join(
            [f"forms.{part}[1]"] + [f"forms.{part}[{place + 2}] * v{place}" for place in range(len(rows.names))]
        )
        for part in ("residual", "leverage", "shift", "shift_control")
    }
    query = _INFLUENCES.format(rows=rows.query, **parts)
    return joint_moments(transaction, query, (*INFLUENCES, *_REACHED), rows.parameters | {"forms": json.dumps(forms)})


def _coefficients(form: LinearForm, names: Sequence[str]) -> list[float]:
    """The constant and the weights of the variables, in their order."""
    return [form.constant, *(form.weights.get(name, 0.0) for name in names)]
