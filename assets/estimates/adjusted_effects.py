from dataclasses import replace

import dagster as dg

from assets import declared, partitions
from assets.columns import effect_frame, effect_row
from assets.estimates.cluster_influences import Adjusted, adjusted_with_clusters
from assets.estimates.joint_sums import OUTCOME
from assets.estimates.moments import SCORE, ByArm, by_everybody, rows_with_score, with_score
from assets.estimates.pictures import forests
from assets.estimates.switchbacks import refused
from assets.publication import publish
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.effect import Effect
from causeway.statistics.moments import Moments
from causeway.statistics.regression_adjustment import adjusted_effect
from resources.postgres import PostgresResource


@dg.asset(
    key=["estimates", "adjusted_effects"],
    deps=[
        ["experiments", "unit_metric_values"],
        ["experiments", "sufficient_statistics"],
        ["twins", "prognostic_scores"],
        ["features", "unit_covariates"],
        ["experiments", "health"],
        ["features", "health"],
        ["registry", "experiments"],
    ],
    partitions_def=partitions.experiments,
    group_name="estimates",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "experiments"},
    code_version="3",
    description=(
        "Every variant against control, adjusted by regression on the twin's score: the same answer from fewer units,"
        " with the interval of the declared clusters. One row per tenant, experiment, metric and variant."
    ),
)
def adjusted_effects(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    plain = by_everybody(postgres, context.partition_key)
    column = experiment.cluster_column
    if column is None:
        found = _effects(plain, with_score(postgres, context.partition_key), experiment)
    else:
        found = _clustered(postgres, context.partition_key, plain, experiment, column)
    frame = effect_frame(
        effect_row(effect, metric=metric, variant=variant, control=experiment.control, method="adjusted")
        for (metric, variant), effect in found.items()
    )
    return publish(
        context, postgres, frame, unit="experiment", metadata=forests(frame, "Adjusted for the twin's score")
    )


def _clustered(
    postgres: PostgresResource, partition_key: str, plain: ByArm, experiment: ExperimentDeclaration, column: str
) -> dict[tuple[str, str], Effect]:
    with postgres.client().transaction(read_only=True) as transaction:
        transaction.join_in_bulk()
        rows = rows_with_score(transaction, partition_key, column)
        moments = rows.moments(transaction)
        scored = {key: arm.moments(OUTCOME, SCORE) for key, arm in moments.items()}
        adjusted = [
            Adjusted(
                metric,
                variant,
                effect,
                {SCORE: effect.settings["slope"]} if effect.status == "ok" else {},
                {SCORE: effect.settings["slope_control"]} if effect.status == "ok" else {},
            )
            for (metric, variant), effect in _effects(plain, scored, experiment).items()
        ]
        return adjusted_with_clusters(transaction, rows, moments, adjusted, experiment)


def _effects(plain: ByArm, scored: ByArm, experiment: ExperimentDeclaration) -> dict[tuple[str, str], Effect]:
    found: dict[tuple[str, str], Effect] = {}
    means = {metric.key for metric in experiment.metrics if metric.is_mean}
    for metric in dict.fromkeys(metric for metric, _, _ in plain if metric in means):
        control = scored.get((metric, None, experiment.control), Moments.empty())
        for variant in (name for name, _ in experiment.ordered_variants if name != experiment.control):
            treated = scored.get((metric, None, variant), Moments.empty())
            effect = refused(experiment) or adjusted_effect(treated, control, alpha=experiment.decision.alpha)
            if refused(experiment) is None and not any(key[0] == metric for key in scored):
                arms = plain[metric, None, variant].n, plain[metric, None, experiment.control].n
                effect = replace(
                    effect,
                    status="no_covariates",
                    n=arms[0],
                    n_control=arms[1],
                    settings={"reason": "no twin: no covariates are declared, or too few control units to learn from"},
                )
            found[metric, variant] = effect
    return found
