from collections.abc import Mapping

import dagster as dg

from assets import declared, partitions
from assets.columns import effect_frame, effect_row
from assets.estimates.moments import by_stratum
from assets.estimates.pictures import forests
from assets.estimates.strata_of_clusters import post_stratified_with_clusters
from assets.estimates.switchbacks import refused
from assets.publication import publish
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.effect import Effect
from causeway.statistics.post_stratification import post_stratified_difference
from resources.postgres import PostgresResource


@dg.asset(
    key=["estimates", "post_stratified_effects"],
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
        "Every variant against control within the strata that the declared segments make together, weighted as the"
        " strata occur, with the interval of the declared clusters; none without segments."
        " One row per tenant, experiment, metric and variant."
    ),
)
def post_stratified_effects(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    effects = _effects(postgres, context.partition_key, experiment) if experiment.segments else {}
    frame = effect_frame(
        effect_row(effect, metric=metric, variant=variant, control=experiment.control, method="post_stratified")
        for (metric, variant), effect in effects.items()
    )
    return publish(context, postgres, frame, unit="experiment", metadata=forests(frame, "Post-stratified"))


def _effects(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration
) -> Mapping[tuple[str, str], Effect]:
    of_windows, column = refused(experiment), experiment.cluster_column
    if of_windows is None and column is not None:
        return post_stratified_with_clusters(postgres, partition_key, experiment, column)
    strata = by_stratum(postgres, partition_key, experiment.segments)
    return {
        (metric, variant): of_windows
        or post_stratified_difference(
            strata.get((metric, variant), {}),
            strata.get((metric, experiment.control), {}),
            alpha=experiment.decision.alpha,
        )
        for metric in (each.key for each in experiment.metrics if each.is_mean)
        for variant, _ in experiment.ordered_variants
        if variant != experiment.control
    }
