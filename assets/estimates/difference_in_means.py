from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

from assets import declared, partitions
from assets.columns import effect_frame, effect_row
from assets.estimates.cluster_sums import ClusteredSums, of_means_and_ratios
from assets.estimates.distributions import ByVariant, effect_on, of_units
from assets.estimates.event_quantiles import of_events
from assets.estimates.joint_sums import DENOMINATOR, OUTCOME, JointByArm, of_ratios
from assets.estimates.moments import ByArm, by_everybody, by_segment
from assets.estimates.pictures import forests
from assets.publication import publish
from assets.switchback_effects import effects_of_windows
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.metric import Metric
from causeway.statistics.difference_in_means import difference_in_means as estimate
from causeway.statistics.effect import Effect
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments
from causeway.statistics.ratio import difference_in_ratios
from resources.postgres import PostgresResource

Arm = tuple[str, str | None, str]


@dataclass(frozen=True)
class Sums:
    """What effects are made from: sums of means and of ratios, and the units' values where sums do not do."""

    moments: ByArm
    ratios: JointByArm
    units: ByVariant
    events: Mapping[tuple[str, str], Effect]
    clustered: ClusteredSums | None = None


@dg.asset(
    key=["estimates", "difference_in_means"],
    deps=[
        ["experiments", "sufficient_statistics"],
        ["experiments", "unit_metric_values"],
        ["experiments", "event_values"],
        ["experiments", "metric_definitions"],
        ["experiments", "switchback_cells"],
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
    code_version="4",
    description=(
        "Every variant against control, unadjusted: means, ratios of sums, quantiles and times,"
        " for everybody and for every level of the declared segments, with the interval of the declared clusters; of a"
        " switchback the windows of time against each other."
        " One row per tenant, experiment, metric, segment and variant."
    ),
)
def difference_in_means(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    if experiment.randomization.by == "switchback":
        rows = _rows_of_windows(experiment, effects_of_windows(postgres, context.partition_key, experiment))
    else:
        rows = _rows(experiment, _sums(postgres, context.partition_key, experiment))
    frame = effect_frame(rows)
    return publish(context, postgres, frame, unit="experiment", metadata=forests(frame, "Difference in means"))


def _sums(postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration) -> Sums:
    column = experiment.cluster_column
    return Sums(
        {**by_everybody(postgres, partition_key), **by_segment(postgres, partition_key, experiment.segments)},
        of_ratios(postgres, partition_key, experiment.segments) if column is None else {},
        of_units(postgres, partition_key, column),
        of_events(postgres, partition_key, experiment),
        None if column is None else of_means_and_ratios(postgres, partition_key, experiment, column),
    )


def _rows_of_windows(
    experiment: ExperimentDeclaration, effects: Mapping[tuple[str, str], Effect]
) -> Iterator[dict[str, object]]:
    for (metric, variant), effect in effects.items():
        yield effect_row(
            effect, metric=metric, variant=variant, control=experiment.control, method="difference_in_means"
        )


def _rows(experiment: ExperimentDeclaration, sums: Sums) -> Iterator[dict[str, object]]:
    metrics = {metric.key: metric for metric in experiment.metrics}
    found = dict.fromkeys((metric, segment) for metric, segment, _ in sums.moments if metric in metrics)
    for key, segment in found:
        if segment is not None and metrics[key].type in ("quantile", "time_to_event"):
            continue
        for variant in (name for name, _ in experiment.ordered_variants if name != experiment.control):
            yield effect_row(
                _effect(metrics[key], sums, segment, variant, experiment),
                metric=key,
                segment=segment,
                variant=variant,
                control=experiment.control,
                method="difference_in_means",
            )


def _effect(metric: Metric, sums: Sums, segment: str | None, variant: str, experiment: ExperimentDeclaration) -> Effect:
    alpha = experiment.decision.alpha
    treated, control = (metric.key, segment, variant), (metric.key, segment, experiment.control)
    if sums.clustered is not None and (metric.is_mean or metric.type == "ratio"):
        return sums.clustered.effect(metric, segment, variant, experiment.control, alpha)
    if metric.is_mean:
        return _of_means(sums.moments, treated, control, alpha)
    if metric.type == "ratio":
        return _of_ratio(sums.ratios, treated, control, alpha)
    if metric.level == "event":
        return sums.events[metric.key, variant]
    arms = [sums.units.get((metric.key, arm)) for arm in (variant, experiment.control)]
    return effect_on(metric, *arms, alpha=alpha, cluster=experiment.cluster_column)


def _of_means(moments: ByArm, treated: Arm, control: Arm, alpha: float) -> Effect:
    nothing = Moments.empty()
    return estimate(moments.get(treated, nothing), moments.get(control, nothing), alpha=alpha)


def _of_ratio(ratios: JointByArm, treated: Arm, control: Arm, alpha: float) -> Effect:
    nothing = JointMoments.empty((OUTCOME, DENOMINATOR))
    return difference_in_ratios(ratios.get(treated, nothing), ratios.get(control, nothing), alpha=alpha)
