import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.columns import json_text
from assets.design.metric_histories import activity, planned_metrics
from assets.partitions import split
from assets.pictures import picture
from assets.publication import publish
from causeway.declarations.analysis import PLANNED_UNITS
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.plan import HistoryPlan
from causeway.design.duration import WEEK, EnrolmentCurve, enrolment_curve
from causeway.design.history_plan import Design, PlannedMetric, WayPlan, plan_from_history
from causeway.design.looks import Looks
from causeway.plots.mde_curve import UNITS_OF_EFFECTS, line_of, mde_curve_plot
from resources.postgres import PostgresResource

PROGRESS = logging.getLogger("causeway.design")
"""What is being simulated just now, for whoever waits."""

_TEXTS = (
    "metric", "interval", "covariate", "status", "reason", "method", "role", "direction", "effect_unit", "verdict",
    "sentence", "by_day", "replay", "settings",
)  # fmt: skip
_COUNTS = (
    "position", "n_history", "units", "n_treated", "n_control", "days", "days_low", "days_high", "planned_days",
    "replays",
)  # fmt: skip
_NUMBERS = (
    "alpha", "power", "mean", "variance", "variance_factor", "wanted_effect", "smallest_effect", "power_as_planned",
    "mc_error", "false_positive_rate", "false_positive_low", "false_positive_high",
)  # fmt: skip
_SCHEMA = {
    **dict.fromkeys(_TEXTS, pl.String),
    **dict.fromkeys(_COUNTS, pl.Int64),
    **dict.fromkeys(_NUMBERS, pl.Float64),
    "last_day": pl.Date,
}


@dg.asset(
    key=["design", "plans"],
    deps=[
        ["design", "histories"],
        ["design", "history_units"],
        ["design", "history_values"],
        ["design", "history_covariates"],
        ["design", "history_days"],
        ["registry", "experiments"],
    ],
    partitions_def=partitions.experiments,
    group_name="design",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "experiments"},
    code_version="1",
    description=(
        "Power, smallest effect, sample size and duration of a draft from the tenant's own history, and how often each"
        " way of analysing it finds an effect where there is none. One row per tenant, experiment, metric, interval and"
        " covariate."
    ),
)
def plans(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    plan = experiment.plan or HistoryPlan()
    curve = _curve(postgres, context.partition_key, experiment, plan)
    metrics = planned_metrics(postgres, context.partition_key, experiment, seed=plan.simulate.seed, said=PROGRESS.info)
    design = _design(experiment, plan, curve, metrics)
    ways = plan_from_history(design, metrics, said=PROGRESS.info)
    frame = pl.DataFrame(list(_rows(design, metrics, ways)), schema=_SCHEMA)
    return publish(
        context, postgres, frame, unit="experiment", seed=plan.simulate.seed, metadata=_pictures(design, ways)
    )


def _design(
    experiment: ExperimentDeclaration, plan: HistoryPlan, curve: EnrolmentCurve | None, metrics: Iterable[PlannedMetric]
) -> Design:
    sequential = experiment.analysis.sequential
    # A table comes all at once: another of its size is planned, unless a size is declared.
    size = sequential.planned_units or max((metric.history.n for metric in metrics), default=0)
    design = Design(
        experiment=experiment.key,
        weights=experiment.variants,
        control=experiment.control,
        alpha=experiment.decision.alpha,
        power=plan.power,
        correction=experiment.analysis.correction,
        primary_share=experiment.analysis.primary_share,
        curve=curve,
        days=experiment.planned_days if curve is not None else None,
        units=float(size) if curve is None else None,
        covariate=experiment.planned_covariate,
        runs=plan.simulate.runs,
        replays=plan.simulate.replays,
        seed=plan.simulate.seed,
    )
    if experiment.source is not None:
        return design
    looks = Looks(
        method=sequential.method,
        planned_units=(sequential.planned_units or PLANNED_UNITS) * sum(design.shares),
        days=experiment.planned_days,
        looks=sequential.looks,
        spending=sequential.spending,
        paths=10 * plan.simulate.runs,
        seed=plan.simulate.seed,
    )
    return replace(design, looks=looks)


def _curve(
    postgres: PostgresResource, partition_key: str, experiment: ExperimentDeclaration, plan: HistoryPlan
) -> EnrolmentCurve | None:
    """Enrolment of the days to come; None of a table, and of a history of less than a week."""
    client = postgres.client()
    span = client.fetch_one(
        "SELECT (starts_at AT TIME ZONE 'UTC')::date, (ends_at AT TIME ZONE 'UTC')::date"
        f" FROM {client.table('design.histories')} WHERE tenant_id = %s AND experiment = %s",
        split(partition_key),
    )
    if span is None or span[0] is None or (span[1] - span[0]).days < WEEK:
        return None
    first_day, days = span[0], (span[1] - span[0]).days
    return enrolment_curve(
        activity(postgres, partition_key, first_day, days),
        first_day=experiment.start or first_day + timedelta(days=days),
        horizon=max(plan.horizon, experiment.planned_days),
        coverage=max(experiment.coverage, 1e-9),
        seed=plan.simulate.seed,
    )


def _rows(design: Design, metrics: list[PlannedMetric], ways: Iterable[WayPlan]) -> Iterable[dict[str, Any]]:
    positions = {metric.key: place for place, metric in enumerate(metrics, start=1)}
    for way in ways:
        yield {
            "metric": way.metric.key,
            "position": positions[way.metric.key],
            "interval": way.interval,
            "covariate": way.covariate,
            "status": way.status,
            "reason": way.reason,
            "method": way.method,
            "role": way.metric.role,
            "direction": way.metric.direction,
            "alpha": way.alpha,
            "power": design.power,
            "n_history": way.metric.history.n,
            "mean": way.metric.history.baseline.mean if way.metric.history.n else None,
            "variance": way.metric.history.baseline.variance,
            "wanted_effect": way.metric.margin or way.metric.relevant_effect,
            "planned_days": design.days,
            "sentence": way.sentence,
            **_reached(way),
            **_replayed(way),
            "settings": json_text({**way.settings, "units_planned": design.units_compared}),
        }


def _reached(way: WayPlan) -> dict[str, Any]:
    reach = way.reach
    if reach is None:
        return {"by_day": "[]"}
    document = reach.as_document()
    duration = document["duration"] or {}
    return {
        "effect_unit": reach.unit,
        "variance_factor": reach.variance_factor,
        "units": reach.units,
        "n_treated": document["n_treated"],
        "n_control": document["n_control"],
        "days": duration.get("days"),
        "days_low": duration.get("days_low"),
        "days_high": duration.get("days_high"),
        "last_day": reach.duration.last_day if reach.duration else None,
        "smallest_effect": reach.smallest,
        "power_as_planned": reach.chance,
        "mc_error": document["settings"].get("mc_error"),
        "by_day": json_text(document["by_day"]),
    }


def _replayed(way: WayPlan) -> dict[str, Any]:
    found = way.replay
    if found is None:
        return {"replay": json_text({"reason": way.unreplayed})}
    rate = found.false_positives
    return {
        "false_positive_rate": rate.share if rate else None,
        "false_positive_low": rate.low if rate else None,
        "false_positive_high": rate.high if rate else None,
        "replays": rate.runs if rate else 0,
        "verdict": found.verdict,
        "replay": json_text(found.as_document()),
    }


def _pictures(design: Design, ways: Iterable[WayPlan]) -> Mapping[str, dg.MarkdownMetadataValue]:
    """The smallest effect by day, a picture a metric, where days are known."""
    found: dict[str, dict[str, WayPlan]] = {}
    for way in ways:
        if way.reach is not None and way.reach.by_day:
            found.setdefault(way.metric.key, {})[line_of(way.interval, way.covariate)] = way
    return {f"smallest effect on {key}": _picture(design, of_metric) for key, of_metric in found.items()}


def _picture(design: Design, ways: Mapping[str, WayPlan]) -> dg.MarkdownMetadataValue:
    first = next(iter(ways.values()))
    unit = first.reach.unit if first.reach else "relative"
    image = mde_curve_plot(
        {name: way.reach.by_day if way.reach else () for name, way in ways.items()},
        title=f"{design.experiment}: smallest effect on {first.metric.key}",
        unit=UNITS_OF_EFFECTS[unit],
        relevant=first.metric.margin or first.metric.relevant_effect,
        planned_day=design.days,
        percent=unit != "absolute",
    )
    return picture(image)
