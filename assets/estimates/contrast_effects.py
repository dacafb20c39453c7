from collections.abc import Iterator, Mapping

import dagster as dg

from assets import declared, partitions
from assets.columns import effect_frame, effect_row
from assets.estimates.contrasts_of_clusters import clustered_arms, contrasts_with_clusters
from assets.estimates.joint_sums import DENOMINATOR, OUTCOME, JointByArm, of_ratios
from assets.estimates.look_plans import look_plan
from assets.estimates.moments import ByArm, by_everybody
from assets.estimates.pictures import forests
from assets.estimates.switchbacks import refused
from assets.publication import publish
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.metric import Metric
from causeway.statistics.comparison import EstimatedMean
from causeway.statistics.contrasts import contrast_name, estimated_mean, linear_contrast
from causeway.statistics.effect import Effect
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments
from causeway.statistics.ratio import WEAK, denominator_cv, linearised
from resources.postgres import PostgresResource


@dg.asset(
    key=["estimates", "contrast_effects"],
    deps=[
        ["experiments", "sufficient_statistics"],
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
        "Declared linear contrasts over the variants' means, such as both new designs against the old one, with an"
        " interval that allows for looks and for the declared clusters."
        " One row per tenant, experiment, metric and contrast."
    ),
)
def contrast_effects(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    effects = _effects(postgres, context.partition_key, experiment) if experiment.analysis.contrasts else {}
    frame = effect_frame(_rows(experiment, effects))
    return publish(context, postgres, frame, unit="experiment", metadata=forests(frame, "Contrasts"))


def _rows(experiment: ExperimentDeclaration, effects: Mapping[tuple[str, str], Effect]) -> Iterator[dict[str, object]]:
    plan = look_plan(experiment)
    for (metric, name), found in effects.items():
        effect = found
        if plan.interval == "always_valid":
            effect = plan.at_look(found)
        elif plan.interval == "group_sequential":
            effect = _at_no_look(found)
        control = contrast_name(experiment.analysis.contrasts[name])
        yield effect_row(effect, metric=metric, variant=name, control=control, method="contrast")


def _effects(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration
) -> Mapping[tuple[str, str], Effect]:
    """By metric and contrast, with the interval of one look."""
    column, of_windows = experiment.cluster_column, refused(experiment)
    if of_windows is not None:
        return {(metric.key, name): of_windows for metric, name in _asked(experiment)}
    if column is None:
        return _independent(experiment, by_everybody(postgres, partition_key), of_ratios(postgres, partition_key, ()))
    arms = clustered_arms(postgres, partition_key, experiment, column)
    plain = _independent(experiment, {key: arm.moments(OUTCOME) for key, arm in arms.units.items()}, arms.units)
    return contrasts_with_clusters(postgres, partition_key, experiment, arms, plain)


def _independent(
    experiment: ExperimentDeclaration, means: ByArm, ratios: JointByArm
) -> Mapping[tuple[str, str], Effect]:
    """As if the units were independent."""
    return {
        (metric.key, name): _contrast(metric, experiment, experiment.analysis.contrasts[name], means, ratios)
        for metric, name in _asked(experiment)
    }


def _asked(experiment: ExperimentDeclaration) -> Iterator[tuple[Metric, str]]:
    return ((metric, name) for metric in experiment.metrics for name in experiment.analysis.contrasts)


def _contrast(
    metric: Metric,
    experiment: ExperimentDeclaration,
    coefficients: Mapping[str, float],
    means: ByArm,
    ratios: JointByArm,
) -> Effect:
    if metric.is_mean:
        arms = {
            variant: estimated_mean(means.get((metric.key, None, variant), Moments.empty()))
            for variant in experiment.variants
        }
    elif metric.type == "ratio":
        nothing = JointMoments.empty((OUTCOME, DENOMINATOR))
        sums = {variant: ratios.get((metric.key, None, variant), nothing) for variant in experiment.variants}
        weak = [variant for variant, arm in sums.items() if coefficients.get(variant) and _is_weak(arm)]
        if weak:
            return _undefined(f"the mean denominator is not well separated from zero in {', '.join(weak)}")
        arms = {variant: _ratio(arm) for variant, arm in sums.items()}
    else:
        return _undefined(f"contrasts are of means and ratios, not of a {metric.type}")
    return linear_contrast(arms, coefficients, alpha=experiment.decision.alpha)


def _is_weak(arm: JointMoments) -> bool:
    return arm.n > 1 and denominator_cv(arm, DENOMINATOR) > WEAK


def _ratio(arm: JointMoments) -> EstimatedMean:
    """The ratio of one arm with the variance that the delta method gives it."""
    if arm.n < 2:
        return EstimatedMean(arm.n, 0.0, 0.0)
    z = linearised(arm, OUTCOME, DENOMINATOR)
    return EstimatedMean(arm.n, z.mean(OUTCOME), (z.variance(OUTCOME) or 0.0) / arm.n)


def _undefined(reason: str) -> Effect:
    return Effect("not_estimable", 0, 0, settings={"reason": reason})


def _at_no_look(effect: Effect) -> Effect:
    """Contrasts have no planned looks of their own: a fixed-horizon number before the end would be peeking."""
    if effect.status != "ok":
        return effect
    reason = "planned looks are kept for the variants against control; declare always_valid for contrasts"
    return Effect("not_estimable", effect.n, effect.n_control, settings={"reason": reason})
