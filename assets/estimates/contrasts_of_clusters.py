"""Contrasts of units that come in clusters: what each cluster contributes to the errors of both sides, by SQL."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from assets.estimates.cluster_influences import units_without_cluster
from assets.estimates.cluster_sums import REACHED, total_of, units_of_clusters, with_cluster
from assets.estimates.joint_sums import DENOMINATOR, OUTCOME, JointByArm, joint_moments
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.cluster_influence import INFLUENCES, LEVERAGES, ClusterInfluence
from causeway.statistics.contrasts import arm_contributions, contrast_with_clusters
from causeway.statistics.effect import Effect
from causeway.statistics.joint_moments import JointMoments
from resources.postgres import PostgresResource

Named = tuple[str, str]
"""Metric and contrast."""
_NAMES = (*INFLUENCES, *LEVERAGES, *REACHED)

_CONTRIBUTIONS = """
    WITH cells AS (
        SELECT metric, variant, cluster, count(*)::numeric AS units, sum(v0) AS y, sum(v1) AS d
        FROM ({rows}) AS unit_rows GROUP BY metric, variant, cluster
    )
    SELECT metric, NULL::text AS segment, contrast AS variant,
        coalesce(sum(own * (y - ratio * d)) FILTER (WHERE is_positive), 0) AS v0,
        coalesce(sum(own * (y - ratio * d)) FILTER (WHERE NOT is_positive), 0) AS v1,
        coalesce(sum(share * units) FILTER (WHERE is_positive), 0) AS v2,
        coalesce(sum(share * units) FILTER (WHERE NOT is_positive), 0) AS v3,
        coalesce(sum(leverage * units * units) FILTER (WHERE is_positive), 0) AS v4,
        coalesce(sum(leverage * units * units) FILTER (WHERE NOT is_positive), 0) AS v5,
        bool_or(is_positive)::integer::numeric AS v6, bool_or(NOT is_positive)::integer::numeric AS v7
    FROM cells
    INNER JOIN jsonb_to_recordset(%(forms)s::jsonb) AS forms (
        metric text, contrast text, variant text, is_positive boolean,
        own numeric, ratio numeric, share numeric, leverage numeric
    ) USING (metric, variant)
    GROUP BY metric, contrast, cluster
"""


@dataclass(frozen=True)
class ClusteredArms:
    """Moments of the units that have a cluster, and how many have none, by metric and variant."""

    column: str
    units: JointByArm
    left_out: Mapping[tuple[str, str], int]

    def left_out_of(self, metric: str, coefficients: Mapping[str, float]) -> dict[str, object]:
        """What settings say of the clusters' column and of the units of both sides that have none."""
        sides = [
            sum(self.left_out.get((metric, variant), 0) for variant, value in coefficients.items() if value * sign > 0)
            for sign in (1, -1)
        ]
        return {
            "cluster": self.column,
            "units_without_cluster": sides[0],
            "units_without_cluster_control": sides[1],
        }


def clustered_arms(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration, column: str
) -> ClusteredArms:
    """Of every variant."""
    with postgres.client().transaction(read_only=True) as transaction:
        units = units_of_clusters(transaction, partition_key, experiment, column)
        transaction.join_in_bulk()
        moments = joint_moments(transaction, with_cluster(units), units.names, units.parameters)
        return ClusteredArms(column, moments, units_without_cluster(transaction, units.parameters))


def contrasts_with_clusters(
    postgres: PostgresResource,
    partition_key: str,
    experiment: ExperimentDeclaration,
    arms: ClusteredArms,
    plain: Mapping[Named, Effect],
) -> dict[Named, Effect]:
    """The same contrasts with cluster-robust intervals. plain: of the arms' units as if they were independent."""
    contrasts, ratios = experiment.analysis.contrasts, {each.key for each in experiment.metrics if each.type == "ratio"}
    forms = [
        {
            "metric": metric,
            "contrast": name,
            "variant": variant,
            "is_positive": each.is_positive,
            "own": each.own,
            "ratio": each.ratio,
            "share": each.share,
            "leverage": each.leverage,
        }
        for (metric, name), effect in plain.items()
        if effect.status == "ok"
        for variant, each in arm_contributions(
            {variant: arms.units[metric, None, variant] for variant, value in contrasts[name].items() if value},
            contrasts[name],
            outcome=OUTCOME,
            denominator=DENOMINATOR if metric in ratios else None,
        ).items()
    ]
    sums: JointByArm = {}
    if forms:
        with postgres.client().transaction(read_only=True) as transaction:
            units = units_of_clusters(transaction, partition_key, experiment, arms.column)
            transaction.join_in_bulk()
            query = _CONTRIBUTIONS.format(rows=with_cluster(units))
            sums = joint_moments(transaction, query, _NAMES, units.parameters | {"forms": json.dumps(forms)})
    found = {}
    for (metric, name), effect in plain.items():
        of_clusters = sums.get((metric, None, name), JointMoments.empty(_NAMES))
        reached, reached_control = (total_of(of_clusters, side) for side in REACHED)
        contributed = ClusterInfluence.of_sums(reached, reached_control, of_clusters)
        robust = contrast_with_clusters(effect, contributed, alpha=experiment.decision.alpha)
        settings = robust.settings | arms.left_out_of(metric, contrasts[name])
        found[metric, name] = replace(robust, settings=settings)
    return found
