from collections.abc import Iterator

import dagster as dg

from assets import declared, partitions
from assets.columns import effect_frame, effect_row
from assets.estimates.joint_sums import DENOMINATOR, OUTCOME, JointByArm, of_ratios
from assets.estimates.moments import ByArm, by_everybody, by_segment
from assets.estimates.pictures import forests
from assets.publication import publish
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.difference_in_means import difference_in_means as estimate
from causeway.statistics.effect import Effect
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments
from causeway.statistics.ratio import difference_in_ratios
from resources.postgres import PostgresResource

Arm = tuple[str, str | None, str]


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
    code_version="2",
    description=(
        "Every variant against control, unadjusted: means, and ratios of sums,"
        " for everybody and for every level of the declared segments."
        " One row per tenant, experiment, metric, segment and variant."
    ),
)
def difference_in_means(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    moments = {
        **by_everybody(postgres, context.partition_key),
        **by_segment(postgres, context.partition_key, experiment.segments),
    }
    ratios = of_ratios(postgres, context.partition_key, experiment.segments)
    frame = effect_frame(_rows(experiment, moments, ratios))
    return publish(context, postgres, frame, unit="experiment", metadata=forests(frame, "Difference in means"))


def _rows(experiment: ExperimentDeclaration, moments: ByArm, ratios: JointByArm) -> Iterator[dict[str, object]]:
    types = {metric.key: metric.type for metric in experiment.metrics}
    for metric, segment in dict.fromkeys((metric, segment) for metric, segment, _ in moments):
        for variant in (name for name, _ in experiment.ordered_variants if name != experiment.control):
            treated, control = (metric, segment, variant), (metric, segment, experiment.control)
            effect = (
                _of_ratio(ratios, treated, control, experiment.decision.alpha)
                if types.get(metric) == "ratio"
                else _of_means(moments, treated, control, experiment.decision.alpha)
            )
            yield effect_row(
                effect,
                metric=metric,
                segment=segment,
                variant=variant,
                control=experiment.control,
                method="difference_in_means",
            )


def _of_means(moments: ByArm, treated: Arm, control: Arm, alpha: float) -> Effect:
    nothing = Moments.empty()
    return estimate(moments.get(treated, nothing), moments.get(control, nothing), alpha=alpha)


def _of_ratio(ratios: JointByArm, treated: Arm, control: Arm, alpha: float) -> Effect:
    nothing = JointMoments.empty((OUTCOME, DENOMINATOR))
    return difference_in_ratios(ratios.get(treated, nothing), ratios.get(control, nothing), alpha=alpha)
