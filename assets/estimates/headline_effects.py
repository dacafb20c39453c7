from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.columns import EFFECT_COLUMNS, HEADLINE_SCHEMA, effect_of, json_text, look_row
from assets.estimates.look_plans import look_plan, share_of
from assets.estimates.pictures import forests
from assets.publication import publish
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.metric import Metric
from causeway.statistics.comparison import EstimatedMean
from causeway.statistics.effect import Effect
from causeway.statistics.look_plan import LookPlan
from causeway.statistics.multiple_testing import Adjustment, adjust
from causeway.statistics.posterior import NormalPrior, Posterior, posterior
from resources.postgres import PostgresResource

Pair = tuple[str, str]
Chosen = tuple[str, Effect]
"""The method and its effect."""

# Each is at least as precise as those after it; which one is taken depends on what could be made, not on what it found.
_BY_PRECISION = ("adjusted", "cuped", "difference_in_means")
_NO_DAYS = "planned looks need a value at the end of each day, which this metric has not: declare always_valid"


@dg.asset(
    key=["estimates", "headline_effects"],
    deps=[
        ["estimates", "difference_in_means"],
        ["estimates", "cuped_effects"],
        ["estimates", "adjusted_effects"],
        ["estimates", "daily_looks"],
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
        "The one comparison by which each metric and variant is judged: the most precise method that could be made,"
        " with an interval that allows for looks, a p-value corrected for the family of metrics and variants, and its"
        " posterior."
        " One row per tenant, experiment, metric and variant."
    ),
)
def headline_effects(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    plan = look_plan(experiment)
    fixed = _most_precise(postgres, context.partition_key)
    latest = _latest_looks(postgres, context.partition_key) if plan.interval == "group_sequential" else {}
    frame = pl.DataFrame(list(_rows(experiment, plan, fixed, latest)), schema=HEADLINE_SCHEMA)
    drawn = frame.with_columns(segment=pl.lit(None, pl.String))
    return publish(context, postgres, frame, unit="experiment", metadata=forests(drawn, "What is judged"))


def _rows(
    experiment: ExperimentDeclaration, plan: LookPlan, fixed: Mapping[Pair, Chosen], latest: Mapping[Pair, Chosen]
) -> Iterator[dict[str, Any]]:
    metrics = {metric.key: metric for metric in experiment.metrics}
    judged: dict[Pair, Chosen] = {}
    for pair in (
        (key, name) for key in metrics for name, _ in experiment.ordered_variants if name != experiment.control
    ):
        if pair not in fixed:
            continue
        method, effect = fixed[pair]
        if plan.interval == "group_sequential":
            judged[pair] = latest.get(pair) or (method, _without_days(effect, plan))
        else:
            judged[pair] = method, plan.at_look(effect, share=share_of(experiment, pair[1]))
    family = _family(experiment, {pair: effect for pair, (_, effect) in judged.items()})
    for (key, variant), (method, effect) in judged.items():
        belief = _posterior(metrics[key], experiment, effect)
        adjustment = family.get((key, variant))
        is_known = adjustment is not None and adjustment.p_value is not None
        yield look_row(
            effect,
            metric=key,
            variant=variant,
            control=experiment.control,
            method=method,
            interval=plan.interval,
            adjusted_p_value=adjustment.p_value if adjustment is not None else None,
            is_significant=adjustment.rejected if adjustment is not None and is_known else None,
            chance_to_beat=belief.chance_to_beat_control,
            expected_loss=belief.risk_treated,
            posterior=json_text(
                {
                    "status": belief.status,
                    "mean": belief.mean,
                    "sd": belief.sd,
                    "ci_low": belief.ci_low,
                    "ci_high": belief.ci_high,
                    "expected_loss_control": belief.risk_control,
                    **belief.settings,
                }
            ),
        )


def _without_days(effect: Effect, plan: LookPlan) -> Effect:
    found = plan.at_look(effect)
    if effect.status != "ok":
        return found
    return Effect("not_estimable", effect.n, effect.n_control, settings={**found.settings, "or": _NO_DAYS})


def _family(experiment: ExperimentDeclaration, judged: Mapping[Pair, Effect]) -> Mapping[Pair, Adjustment]:
    """Primary and secondary metrics times variants; guardrails are not looked at for what they gain."""
    roles = {metric.key: metric.role for metric in experiment.metrics}
    names = {f"{metric}\n{variant}": (metric, variant) for metric, variant in judged if roles[metric] != "guardrail"}
    adjusted = adjust(
        {name: judged[pair].p_value for name, pair in names.items()},
        method=experiment.analysis.correction,
        alpha=experiment.decision.alpha,
        primary=[name for name, (metric, _) in names.items() if roles[metric] == "primary"],
        primary_share=experiment.analysis.primary_share,
    )
    return {names[name]: adjustment for name, adjustment in adjusted.items()}


def _posterior(metric: Metric, experiment: ExperimentDeclaration, effect: Effect) -> Posterior:
    """Of the effect in units of the metric; a prior of the relative effect is scaled by the control's mean."""
    prior = experiment.analysis.prior
    if effect.status != "ok" or effect.effect is None or effect.std_error is None:
        reason = {"reason": "there is no effect to update a belief with"}
        return Posterior(effect.status, effect.n, effect.n_control, "absolute", settings=reason)
    if prior is not None and effect.relative_effect is None:
        reason = {"reason": "the prior is of the relative effect, and the control's mean is not separated from zero"}
        return Posterior("not_estimable", effect.n, effect.n_control, "absolute", settings=reason)
    base = effect.mean_control or 0.0
    # The variance of the difference is all that counts on this scale: how it is split between the arms does not.
    return posterior(
        EstimatedMean(effect.n, base + effect.effect, effect.std_error**2),
        EstimatedMean(effect.n_control, base, 0.0),
        scale="absolute",
        prior=None if prior is None else NormalPrior(prior.mean, prior.sd, "relative"),
        larger_is_better=metric.direction == "increase",
        alpha=experiment.decision.alpha,
    )


def _most_precise(postgres: PostgresResource, partition_key: str) -> Mapping[Pair, Chosen]:
    """Per metric and variant the first method that has an effect, or the plain one, which says why there is none."""
    client = postgres.client()
    tables = " UNION ALL ".join(
        f"SELECT {EFFECT_COLUMNS} FROM {client.table('estimates.' + name)}"
        " WHERE tenant_id = %s AND experiment = %s AND segment IS NULL"
        for name in ("difference_in_means", "cuped_effects", "adjusted_effects")
    )
    found: dict[Pair, dict[str, Effect]] = {}
    for metric, variant, method, *values in client.fetch_all(tables, partitions.split(partition_key) * 3):
        found.setdefault((metric, variant), {})[method] = effect_of(values)
    return {
        pair: next(
            ((method, by_method[method]) for method in _BY_PRECISION if _is_ok(by_method.get(method))),
            ("difference_in_means", by_method["difference_in_means"]),
        )
        for pair, by_method in found.items()
        if "difference_in_means" in by_method
    }


def _is_ok(effect: Effect | None) -> bool:
    return effect is not None and effect.status == "ok"


def _latest_looks(postgres: PostgresResource, partition_key: str) -> Mapping[Pair, Chosen]:
    """The last planned look of each metric and variant."""
    client = postgres.client()
    rows = client.fetch_all(
        f"SELECT DISTINCT ON (metric, variant) {EFFECT_COLUMNS} FROM {client.table('estimates.daily_looks')}"
        " WHERE tenant_id = %s AND experiment = %s ORDER BY metric, variant, day DESC",
        partitions.split(partition_key),
    )
    return {(metric, variant): (method, effect_of(values)) for metric, variant, method, *values in rows}
