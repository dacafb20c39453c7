"""Adjusted effects of experiments with clusters: what each cluster contributes to their errors, summed in SQL.

A unit's contribution is a product of two linear forms of its variables; sums of exact decimals are made of them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from assets.estimates.cluster_sums import REACHED, Arm, total_of
from assets.estimates.joint_sums import DENOMINATOR, OUTCOME, JointByArm, UnitRows, joint_moments
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.cluster_influence import INFLUENCES, ClusterInfluence, with_clusters
from causeway.statistics.clusters import ClusteredArm
from causeway.statistics.effect import Effect
from causeway.statistics.interacted_influence import ArmInfluence, LinearForm, arm_influence, slopes_spent
from causeway.statistics.joint_moments import JointMoments
from resources.postgres_client import PostgresTransaction

_WITHOUT = """
    SELECT v.metric, v.variant, count(*)
    FROM {values} AS v
    LEFT JOIN {covariates} AS g
        ON g.tenant_id = v.tenant_id AND g.experiment = v.experiment AND g.unit_id = v.unit_id
            AND g.covariate = %(cluster)s
    WHERE v.tenant_id = %(tenant)s AND v.experiment = %(experiment)s AND v.value IS NOT NULL AND g.value_text IS NULL
    GROUP BY v.metric, v.variant
"""

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
    left_out = units_without_cluster(transaction, rows.parameters)
    found: dict[tuple[str, str], Effect] = {}
    for each in wanted:
        of_clusters = sums.get((each.metric, None, each.variant), JointMoments.empty((*INFLUENCES, *REACHED)))
        keys = [(each.metric, None, arm) for arm in (each.variant, control)]
        spent = [
            slopes_spent(moments[key], clusters[key], list(each.slopes)) if key in clusters else 0.0 for key in keys
        ]
        reached, reached_control = (total_of(of_clusters, name) for name in REACHED)
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


def units_without_cluster(
    transaction: PostgresTransaction, parameters: Mapping[str, object]
) -> dict[tuple[str, str], int]:
    """Units with a value but no cluster, by metric and variant. parameters: tenant, experiment and cluster."""
    query = _WITHOUT.format(
        values=transaction.table("experiments.unit_metric_values"),
        covariates=transaction.table("features.unit_covariates"),
    )
    return {(metric, variant): n for metric, variant, n in transaction.fetch_all(query, parameters)}


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
    return joint_moments(transaction, query, (*INFLUENCES, *REACHED), rows.parameters | {"forms": json.dumps(forms)})


def _coefficients(form: LinearForm, names: Sequence[str]) -> list[float]:
    """The constant and the weights of the variables, in their order."""
    return [form.constant, *(form.weights.get(name, 0.0) for name in names)]
