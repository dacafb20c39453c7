from collections.abc import Iterator, Mapping

import dagster as dg

from assets import declared, partitions
from assets.columns import effect_frame, effect_row
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
        "Declared linear contrasts over the variants' means, such as both new designs against the old one, with an"
        " interval that allows for looks. One row per tenant, experiment, metric and contrast."
    ),
)
def contrast_effects(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    rows: Iterator[dict[str, object]] = iter(())
    if experiment.analysis.contrasts:
        rows = _rows(
            experiment, by_everybody(postgres, context.partition_key), of_ratios(postgres, context.partition_key, ())
        )
    frame = effect_frame(rows)
    return publish(context, postgres, frame, unit="experiment", metadata=forests(frame, "Contrasts"))


def _rows(experiment: ExperimentDeclaration, means: ByArm, ratios: JointByArm) -> Iterator[dict[str, object]]:
    plan = look_plan(experiment)
    for metric in experiment.metrics:
        for name, coefficients in experiment.analysis.contrasts.items():
            effect = _contrast(metric, experiment, coefficients, means, ratios)
            if plan.interval == "always_valid":
                effect = plan.at_look(effect)
            elif plan.interval == "group_sequential":
                effect = _at_no_look(effect)
            yield effect_row(
                effect, metric=metric.key, variant=name, control=contrast_name(coefficients), method="contrast"
            )


def _contrast(
    metric: Metric,
    experiment: ExperimentDeclaration,
    coefficients: Mapping[str, float],
    means: ByArm,
    ratios: JointByArm,
) -> Effect:
    of_windows = refused(experiment)
    if of_windows is not None:
        return of_windows
    if experiment.cluster_column is not None:
        return _undefined("contrasts are of arms whose units are independent")
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
