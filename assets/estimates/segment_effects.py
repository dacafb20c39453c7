from collections.abc import Iterator

import dagster as dg
import numpy as np
import polars as pl

from assets import declared, partitions, unit_frames
from assets.columns import effect_frame, effect_row
from assets.estimates.pictures import forests
from assets.publication import publish
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.twins.covariates import design_matrix
from resources.postgres import PostgresResource

SEED = 20_240_102


@dg.asset(
    key=["estimates", "segment_effects"],
    deps=[
        ["experiments", "unit_metric_values"],
        ["experiments", "metric_definitions"],
        ["features", "unit_covariates"],
        ["experiments", "health"],
        ["registry", "experiments"],
    ],
    partitions_def=partitions.experiments,
    group_name="estimates",
    kinds={"python", "econml"},
    owners=["team:data-science"],
    tags={"causeway/partitions": "experiments"},
    code_version="1",
    description=(
        "The effect within every level of the declared segments by double machine learning (EconML), adjusted for the"
        " covariates. One row per tenant, experiment, metric, segment and variant."
    ),
)
def segment_effects(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    frame = effect_frame(_rows(context, postgres, experiment) if experiment.segments else ())
    return publish(
        context,
        postgres,
        frame,
        unit="experiment",
        seed=SEED,
        metadata=forests(frame, "Effects by segment"),
    )


def _rows(
    context: dg.AssetExecutionContext, postgres: PostgresResource, experiment: ExperimentDeclaration
) -> Iterator[dict[str, object]]:
    # EconML takes seconds to import: here, and not where definitions are loaded.
    from causeway.effects.segments import segment_effects as estimate

    profiles = unit_frames.profiles(postgres, context.partition_key, experiment.profile_columns)
    known = profiles.covariates(experiment.covariates)
    levels = {name: profiles.levels(name) for name in experiment.segments}
    outcomes = unit_frames.outcomes(postgres, context.partition_key)
    variants = [name for name, _ in experiment.ordered_variants]
    for (metric,), frame in outcomes.group_by("metric", maintain_order=True):
        joined = frame.join(known, on="unit_id", how="left", maintain_order="left")
        matrix = design_matrix(joined, experiment.covariates)
        for segment in experiment.segments:
            context.log.info(f"{metric} by {segment}: {joined.height} units")
            labels = frame.select("unit_id").join(levels[segment], on="unit_id", how="left", maintain_order="left")
            for found in estimate(
                joined["value"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
                joined["variant"].to_list(),
                labels["level"].to_list(),
                matrix.values if matrix.columns else None,
                variants=variants,
                control=experiment.control,
                seed=SEED,
                alpha=experiment.decision.alpha,
            ):
                yield effect_row(
                    found.effect,
                    metric=str(metric),
                    segment=f"{segment}={found.level}",
                    variant=found.variant,
                    control=experiment.control,
                    method="econml_linear_dml",
                )
