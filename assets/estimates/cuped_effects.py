from collections.abc import Iterator

import dagster as dg

from assets import declared, partitions
from assets.columns import effect_frame, effect_row
from assets.estimates.cluster_influences import Adjusted, adjusted_with_clusters
from assets.estimates.joint_sums import (
    BEFORE,
    DENOMINATOR,
    DENOMINATOR_BEFORE,
    OUTCOME,
    JointByArm,
    rows_with_covariates,
    with_covariates,
)
from assets.estimates.pictures import forests
from assets.estimates.switchbacks import refused
from assets.publication import publish
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.metric import Metric
from causeway.statistics.cuped import cuped
from causeway.statistics.effect import Effect
from causeway.statistics.joint_moments import JointMoments
from resources.postgres import PostgresResource


@dg.asset(
    key=["estimates", "cuped_effects"],
    deps=[
        ["experiments", "unit_metric_values"],
        ["experiments", "metric_definitions"],
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
    code_version="2",
    description=(
        "Every variant against control, adjusted for the metric's own past and the declared covariates that are numbers"
        " (CUPED), with the interval of the declared clusters. One row per tenant, experiment, metric and variant."
    ),
)
def cuped_effects(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    frame = effect_frame(effects(postgres, context.partition_key, experiment))
    return publish(context, postgres, frame, unit="experiment", metadata=forests(frame, "Adjusted for the past"))


def effects(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration
) -> Iterator[dict[str, object]]:
    """The rows of all metrics and variants."""
    column = experiment.cluster_column
    if column is None:
        moments = with_covariates(postgres, partition_key, experiment.covariates)
        found = {(metric.key, variant): effect for metric, variant, effect in _effects(moments, experiment)}
    else:
        found = _clustered(postgres, partition_key, experiment, column)
    for (metric, variant), effect in found.items():
        yield effect_row(effect, metric=metric, variant=variant, control=experiment.control, method="cuped")


def _clustered(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration, column: str
) -> dict[tuple[str, str], Effect]:
    with postgres.client().transaction(read_only=True) as transaction:
        rows = rows_with_covariates(transaction, partition_key, experiment.covariates, column)
        transaction.join_in_bulk()
        moments = rows.moments(transaction)
        adjusted = [
            Adjusted(
                metric.key,
                variant,
                effect,
                effect.settings.get("slopes", {}),
                effect.settings.get("slopes_control", {}),
                is_ratio=metric.type == "ratio",
            )
            for metric, variant, effect in _effects(moments, experiment)
        ]
        return adjusted_with_clusters(transaction, rows, moments, adjusted, experiment)


def _effects(moments: JointByArm, experiment: ExperimentDeclaration) -> Iterator[tuple[Metric, str, Effect]]:
    names = next((arm.names for arm in moments.values()), (OUTCOME, DENOMINATOR))
    known = [name for name in names if name not in (OUTCOME, DENOMINATOR)]
    for metric in (each for each in experiment.metrics if each.is_mean or each.type == "ratio"):
        control = moments.get((metric.key, None, experiment.control), JointMoments.empty(names))
        for variant in (name for name, _ in experiment.ordered_variants if name != experiment.control):
            yield (
                metric,
                variant,
                refused(experiment)
                or cuped(
                    moments.get((metric.key, None, variant), JointMoments.empty(names)),
                    control,
                    [name for name in known if _has_past(metric) or name not in (BEFORE, DENOMINATOR_BEFORE)],
                    outcome=OUTCOME,
                    denominator=DENOMINATOR if metric.type == "ratio" else None,
                    alpha=experiment.decision.alpha,
                ),
            )


def _has_past(metric: Metric) -> bool:
    return metric.lookback_days is not None
