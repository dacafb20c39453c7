from collections.abc import Iterable, Iterator, Mapping
from datetime import date

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.columns import LOOK_SCHEMA, look_row
from assets.estimates.joint_sums import BEFORE, DENOMINATOR, OUTCOME
from assets.estimates.look_plans import look_plan, share_of
from assets.estimates.pictures import over_time
from assets.estimates.sums_of_days import Day, by_day
from assets.publication import cut_off, publish
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.cuped import cuped
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Effect
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments
from causeway.statistics.ratio import difference_in_ratios
from causeway.statistics.regression_adjustment import adjusted_effect
from resources.postgres import PostgresResource

Days = Mapping[date, Mapping[str, Day]]


@dg.asset(
    key=["estimates", "daily_looks"],
    deps=[
        ["experiments", "daily_statistics"],
        ["experiments", "metric_definitions"],
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
        "Every variant against control as it stood at the end of each day, with the interval that holds at all looks"
        " together: an always-valid confidence sequence every day, or the bounds of the planned looks."
        " One row per tenant, experiment, metric, variant and day."
    ),
)
def daily_looks(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    # Of a table everything is there at once, and the sums of days know neither clusters nor windows of a switchback.
    has_days = experiment.source is None and experiment.cluster_column is None
    has_days = has_days and experiment.randomization.by != "switchback"
    rows: Iterable[dict[str, object]] = ()
    if has_days:
        is_over = _is_over(experiment, postgres)
        rows = looks(experiment, by_day(postgres, context.partition_key), is_over=is_over)
    frame = pl.DataFrame(list(rows), schema=LOOK_SCHEMA)
    return publish(context, postgres, frame, unit="experiment", metadata=over_time(frame))


def _is_over(experiment: ExperimentDeclaration, postgres: PostgresResource) -> bool:
    with postgres.client().transaction(read_only=True) as transaction:
        known_at = cut_off(postgres, transaction)
    return experiment.end is not None and known_at is not None and known_at.date() > experiment.end


def looks(
    experiment: ExperimentDeclaration, by_metric: Mapping[str, Days], *, is_over: bool
) -> Iterator[dict[str, object]]:
    """The rows of all metrics and variants; is_over: the declared end has passed."""
    plan = look_plan(experiment)
    for metric in (metric.key for metric in experiment.metrics if metric.key in by_metric):
        days = by_metric[metric]
        dates = list(days)
        units = [sum(arm.units for arm in days[day].values()) for day in dates]
        positions = list(plan.looks_at(units))
        is_final = is_over and plan.interval == "group_sequential" and units[-1] < plan.planned_units
        if is_final and positions[-1:] != [len(dates) - 1]:
            positions.append(len(dates) - 1)
        fractions = plan.fractions([sum(arm.moments.n for arm in days[dates[each]].values()) for each in positions])
        for place, position in enumerate(positions):
            if fractions[place] is None and plan.interval == "group_sequential":
                continue
            so_far = [each for each in fractions[: place + 1] if each is not None]
            final = is_final and place == len(positions) - 1
            for variant in (name for name, _ in experiment.ordered_variants if name != experiment.control):
                arms = days[dates[position]]
                method, effect = _compared(arms.get(variant), arms.get(experiment.control), plan.alpha)
                share = share_of(experiment, variant)
                yield look_row(
                    plan.at_look(effect, share=share, fractions=so_far, final=final),
                    metric=metric,
                    variant=variant,
                    control=experiment.control,
                    method=method,
                    interval=plan.interval,
                    day=dates[position],
                )


def _compared(treated: Day | None, control: Day | None, alpha: float) -> tuple[str, Effect]:
    """Adjusted for the metric's own past where that is declared, and as it is where adjusting is impossible."""
    if treated is None or control is None:
        counts = [0 if arm is None else arm.moments.n for arm in (treated, control)]
        return "difference_in_means", Effect("no_units", *counts, settings={"alpha": alpha})
    arms = treated.moments, control.moments
    if isinstance(arms[0], Moments) and isinstance(arms[1], Moments):
        if treated.has_past:
            adjusted = adjusted_effect(arms[0], arms[1], alpha=alpha)
            if adjusted.status == "ok":
                return "cuped", adjusted
        return "difference_in_means", difference_in_means(arms[0], arms[1], alpha=alpha)
    assert isinstance(arms[0], JointMoments) and isinstance(arms[1], JointMoments), "both arms are of one metric"
    if treated.has_past:
        adjusted = cuped(arms[0], arms[1], [BEFORE], outcome=OUTCOME, denominator=DENOMINATOR, alpha=alpha)
        if adjusted.status == "ok":
            return "cuped", adjusted
    sides = [arm.select((OUTCOME, DENOMINATOR)) for arm in arms]
    return "difference_in_means", difference_in_ratios(sides[0], sides[1], alpha=alpha)
