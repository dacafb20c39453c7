from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import numpy as np
import polars as pl

from assets import declared, partitions, unit_frames
from assets.columns import effect_frame, effect_row
from assets.estimates.pictures import forests
from assets.estimates.switchbacks import refused
from assets.publication import publish
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.effect import Effect
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
        ["features", "health"],
        ["registry", "experiments"],
    ],
    partitions_def=partitions.experiments,
    group_name="estimates",
    kinds={"python", "econml"},
    owners=["team:data-science"],
    tags={"causeway/partitions": "experiments"},
    code_version="2",
    description=(
        "The effect within every level of the declared segments by double machine learning (EconML), adjusted for the"
        " covariates, with the interval of the declared clusters."
        " One row per tenant, experiment, metric, segment and variant."
    ),
)
def segment_effects(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    is_wanted = bool(experiment.segments) and refused(experiment) is None
    frame = effect_frame(_rows(context, postgres, experiment) if is_wanted else ())
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

    column = experiment.cluster_column
    named = (*experiment.profile_columns, *([] if column is None else [column]))
    profiles = unit_frames.profiles(postgres, context.partition_key, named)
    known = profiles.covariates(experiment.covariates)
    levels = {name: profiles.levels(name) for name in experiment.segments}
    outcomes = unit_frames.outcomes(postgres, context.partition_key)
    variants = [name for name, _ in experiment.ordered_variants]
    for (metric,), frame in outcomes.group_by("metric", maintain_order=True):
        joined = frame.join(known, on="unit_id", how="left", maintain_order="left")
        matrix = design_matrix(joined, experiment.covariates)
        clusters = None if column is None else _labels(frame, profiles.levels(column))
        for segment in experiment.segments:
            context.log.info(f"{metric} by {segment}: {joined.height} units")
            labels = _labels(frame, levels[segment])
            for found in estimate(
                joined["value"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
                joined["variant"].to_list(),
                labels,
                matrix.values if matrix.columns else None,
                variants=variants,
                control=experiment.control,
                seed=SEED,
                alpha=experiment.decision.alpha,
                clusters=clusters,
            ):
                yield effect_row(
                    found.effect if column is None else _of_clusters(found.effect, column),
                    metric=str(metric),
                    segment=f"{segment}={found.level}",
                    variant=found.variant,
                    control=experiment.control,
                    method="econml_linear_dml",
                )


def _labels(units: pl.DataFrame, levels: pl.DataFrame) -> list[str | None]:
    """The level of each unit, in the order of the units."""
    return units.select("unit_id").join(levels, on="unit_id", how="left", maintain_order="left")["level"].to_list()


def _of_clusters(effect: Effect, column: str) -> Effect:
    return replace(effect, settings=effect.settings | {"cluster": column})
