from collections.abc import Iterator

import dagster as dg

from assets import declared, partitions
from assets.columns import effect_frame, effect_row
from assets.estimates.moments import by_everybody, by_segment
from assets.estimates.pictures import forests
from assets.publication import publish
from causeway.statistics.difference_in_means import difference_in_means as estimate
from causeway.statistics.moments import Moments
from resources.postgres import PostgresResource


@dg.asset(
    key=["estimates", "difference_in_means"],
    deps=[
        ["experiments", "sufficient_statistics"],
        ["experiments", "unit_metric_values"],
        ["features", "unit_covariates"],
        ["experiments", "health"],
        ["registry", "experiments"],
    ],
    partitions_def=partitions.experiments,
    group_name="estimates",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "experiments"},
    code_version="1",
    description=(
        "Every variant against control, unadjusted, for everybody and for every level of the declared segments."
        " One row per tenant, experiment, metric, segment and variant."
    ),
)
def difference_in_means(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    moments = {
        **by_everybody(postgres, context.partition_key),
        **by_segment(postgres, context.partition_key, experiment.segments),
    }
    frame = effect_frame(_rows(moments, experiment.ordered_variants, experiment.control, experiment.decision.alpha))
    return publish(context, postgres, frame, unit="experiment", metadata=forests(frame, "Difference in means"))


def _rows(
    moments: dict[tuple[str, str | None, str], Moments],
    variants: tuple[tuple[str, float], ...],
    control: str,
    alpha: float,
) -> Iterator[dict[str, object]]:
    for metric, segment in dict.fromkeys((metric, segment) for metric, segment, _ in moments):
        for variant in (name for name, _ in variants if name != control):
            effect = estimate(
                moments.get((metric, segment, variant), Moments.empty()),
                moments.get((metric, segment, control), Moments.empty()),
                alpha=alpha,
            )
            yield effect_row(
                effect, metric=metric, segment=segment, variant=variant, control=control, method="difference_in_means"
            )
