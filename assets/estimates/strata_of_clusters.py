"""Post-stratified effects of units that come in clusters: what each cluster contributes to their errors, by SQL."""

import json
from collections.abc import Mapping
from dataclasses import replace

from assets.estimates.cluster_influences import units_without_cluster
from assets.estimates.cluster_sums import REACHED, total_of
from assets.estimates.joint_sums import joint_moments
from assets.estimates.moments import STRATA, by_stratum
from assets.partitions import split
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.cluster_influence import INFLUENCES, LEVERAGES, ClusterInfluence, with_clusters
from causeway.statistics.effect import Effect
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments
from causeway.statistics.post_stratification import post_stratified_difference, stratum_influences
from resources.postgres import PostgresResource

Pair = tuple[str, str]
_NAMES = (*INFLUENCES, *LEVERAGES, *REACHED)

# Strata that were merged are one before a cluster's units in them are squared.
_CONTRIBUTIONS = f"""
    WITH strata AS ({STRATA}),
    cells AS (
        SELECT v.metric, v.variant, s.stratum, g.value_text AS cluster, count(*)::numeric AS units, sum(v.value) AS y
        FROM {{values}} AS v
        INNER JOIN strata AS s USING (unit_id)
        INNER JOIN {{covariates}} AS g
            ON g.tenant_id = v.tenant_id AND g.experiment = v.experiment AND g.unit_id = v.unit_id
                AND g.covariate = %(cluster)s AND g.value_text IS NOT NULL
        WHERE v.tenant_id = %(tenant)s AND v.experiment = %(experiment)s AND v.value IS NOT NULL
        GROUP BY v.metric, v.variant, s.stratum, g.value_text
    ),
    compared AS (
        SELECT metric, forms.compared, cluster, is_treated, merged, sum(own * (y - mean * units)) AS own,
            sum(shift * units) AS shift, sum(shift_control * units) AS shift_control, sum(units) AS units,
            max(leverage) AS leverage
        FROM cells
        INNER JOIN jsonb_to_recordset(%(forms)s::jsonb) AS forms (
            metric text, variant text, compared text, is_treated boolean, stratum text, merged text,
            own numeric, mean numeric, shift numeric, shift_control numeric, leverage numeric
        ) USING (metric, variant, stratum)
        GROUP BY metric, forms.compared, cluster, is_treated, merged
    )
    SELECT metric, NULL::text AS segment, compared AS variant,
        sum(CASE WHEN is_treated THEN own ELSE 0 END + shift) AS v0,
        sum(CASE WHEN is_treated THEN 0 ELSE own END + shift_control) AS v1,
        coalesce(sum(units) FILTER (WHERE is_treated), 0) AS v2,
        coalesce(sum(units) FILTER (WHERE NOT is_treated), 0) AS v3,
        coalesce(sum(leverage * units * units) FILTER (WHERE is_treated), 0) AS v4,
        coalesce(sum(leverage * units * units) FILTER (WHERE NOT is_treated), 0) AS v5,
        bool_or(is_treated)::integer::numeric AS v6, bool_or(NOT is_treated)::integer::numeric AS v7
    FROM compared GROUP BY metric, compared, cluster
"""


def post_stratified_with_clusters(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration, column: str
) -> dict[Pair, Effect]:
    """By metric and variant, of the units that have a cluster."""
    strata = by_stratum(postgres, partition_key, experiment.segments, column)
    alpha, plain, forms = experiment.decision.alpha, dict[Pair, Effect](), list[dict[str, object]]()
    for metric in (each.key for each in experiment.metrics if each.is_mean):
        control = strata.get((metric, experiment.control), {})
        for variant in (name for name, _ in experiment.ordered_variants if name != experiment.control):
            treated = strata.get((metric, variant), {})
            plain[metric, variant] = post_stratified_difference(treated, control, alpha=alpha)
            if plain[metric, variant].status == "ok":
                forms += _forms(metric, variant, experiment.control, treated, control)
    tenant, key = split(partition_key)
    named: dict[str, object] = {"tenant": tenant, "experiment": key, "cluster": column}
    with postgres.client().transaction(read_only=True) as transaction:
        query = _CONTRIBUTIONS.format(
            values=transaction.table("experiments.unit_metric_values"),
            covariates=transaction.table("features.unit_covariates"),
        )
        transaction.join_in_bulk()
        more = {"segments": list(experiment.segments), "forms": json.dumps(forms)}
        sums = joint_moments(transaction, query, _NAMES, named | more) if forms else {}
        left_out = units_without_cluster(transaction, named)
    found = {}
    for (metric, variant), effect in plain.items():
        of_clusters = sums.get((metric, None, variant), JointMoments.empty(_NAMES))
        reached, reached_control = (total_of(of_clusters, name) for name in REACHED)
        slopes = 2 * (effect.settings.get("strata", 1) - 1)
        contributed = ClusterInfluence.of_sums(reached, reached_control, of_clusters, slopes=slopes)
        robust = with_clusters(effect, contributed, alpha=alpha)
        settings = {
            "cluster": column,
            "units_without_cluster": left_out.get((metric, variant), 0),
            "units_without_cluster_control": left_out.get((metric, experiment.control), 0),
        }
        found[metric, variant] = replace(robust, settings=robust.settings | settings)
    return found


def _forms(
    metric: str, variant: str, control: str, treated: Mapping[str, Moments], of_control: Mapping[str, Moments]
) -> list[dict[str, object]]:
    return [
        {
            "metric": metric,
            "variant": arm,
            "compared": variant,
            "is_treated": arm == variant,
            "stratum": name,
            "merged": each.stratum,
            "own": own,
            "mean": mean,
            "shift": each.shift,
            "shift_control": each.shift_control,
            "leverage": leverage,
        }
        for name, each in stratum_influences(treated, of_control).items()
        for arm, own, mean, leverage in (
            (variant, each.own, each.mean, each.leverage),
            (control, each.own_control, each.mean_control, each.leverage_control),
        )
    ]
