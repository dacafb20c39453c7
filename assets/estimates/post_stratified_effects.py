from collections.abc import Iterator, Mapping

import dagster as dg

from assets import declared, partitions
from assets.columns import effect_frame, effect_row
from assets.estimates.moments import by_stratum
from assets.estimates.pictures import forests
from assets.estimates.switchbacks import refused
from assets.publication import publish
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.effect import Effect
from causeway.statistics.moments import Moments
from causeway.statistics.post_stratification import post_stratified_difference
from resources.postgres import PostgresResource

Strata = Mapping[tuple[str, str], Mapping[str, Moments]]
"""By metric and variant, then by stratum."""

_DEPENDENT = "strata are compared as if their units were independent, and these are not"


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
    code_version="1",
    description=(
        "Every variant against control within the strata that the declared segments make together, weighted as the"
        " strata occur; none without segments. One row per tenant, experiment, metric and variant."
    ),
)
def post_stratified_effects(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    frame = effect_frame(_rows(experiment, by_stratum(postgres, context.partition_key, experiment.segments)))
    return publish(context, postgres, frame, unit="experiment", metadata=forests(frame, "Post-stratified"))


def _rows(experiment: ExperimentDeclaration, strata: Strata) -> Iterator[dict[str, object]]:
    if not experiment.segments:
        return
    for metric in (each.key for each in experiment.metrics if each.is_mean):
        control = strata.get((metric, experiment.control), {})
        for variant in (name for name, _ in experiment.ordered_variants if name != experiment.control):
            treated = strata.get((metric, variant), {})
            yield effect_row(
                _effect(experiment, treated, control),
                metric=metric,
                variant=variant,
                control=experiment.control,
                method="post_stratified",
            )


def _effect(
    experiment: ExperimentDeclaration, treated: Mapping[str, Moments], control: Mapping[str, Moments]
) -> Effect:
    if experiment.cluster_column is not None:
        counts = [sum(stratum.n for stratum in arm.values()) for arm in (treated, control)]
        return refused(experiment) or Effect("not_estimable", *counts, settings={"reason": _DEPENDENT})
    return refused(experiment) or post_stratified_difference(treated, control, alpha=experiment.decision.alpha)
