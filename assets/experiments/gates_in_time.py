"""What can be seen only where units arrive one after another: enrolment, lost days, drift."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from assets.partitions import split
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.statistics.gates import Enrolment, Gate
from causeway.statistics.gates.enrolment import Plan, enrolment_gate
from causeway.statistics.gates.gate import not_looked_at
from causeway.statistics.gates.metric_drift import metric_drift_gate
from causeway.statistics.gates.missing_events import MetricDays, missing_events_gate
from causeway.statistics.moments import Moments
from resources.postgres import PostgresResource

_WITH_EVENTS = ("conversion", "count", "sum", "mean", "ratio", "funnel")
_ACTIVE = """
    SELECT metric, variant, day, active_units FROM {statistics}
    WHERE tenant_id = %s AND experiment = %s AND active_units > 0 ORDER BY metric, variant, day
"""
_ACTIVE_WINDOWS = """
    SELECT metric, variant, (window_start AT TIME ZONE 'UTC')::date, count(*) FROM {cells}
    WHERE tenant_id = %s AND experiment = %s AND events > 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_WINDOWS = """
    SELECT (window_start AT TIME ZONE 'UTC')::date, variant, count(*) FROM {windows}
    WHERE tenant_id = %s AND experiment = %s AND is_eligible AND is_whole GROUP BY 1, 2
"""
_NO_COHORTS = "a switchback compares windows of all weeks side by side, and has no cohorts of a week."
_DRIFTING = ("conversion", "count", "sum", "mean", "retention", "funnel")


def gates_in_time(
    postgres: PostgresResource,
    partition_key: str,
    experiment: ExperimentDeclaration,
    enrolled: Enrolment,
    known: datetime,
) -> list[Gate]:
    """Enrolment, then drift and lost days metric by metric."""
    client, partition = postgres.client(), split(partition_key)
    active: dict[str, dict[date, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    of_windows = experiment.randomization.by == "switchback"
    query = (_ACTIVE_WINDOWS if of_windows else _ACTIVE).format(
        statistics=client.table("experiments.daily_statistics"), cells=client.table("experiments.switchback_cells")
    )
    for metric, variant, day, units in client.fetch_all(query, partition):
        active[metric][day][variant] = units
    weeks: dict[str, list[tuple[date, Moments]]] = defaultdict(list)
    for metric, week, n, mean, m2 in client.fetch_all(
        f"SELECT metric, week, n, mean, m2 FROM {client.table('experiments.cohort_statistics')}"
        " WHERE tenant_id = %s AND experiment = %s ORDER BY metric, week",
        partition,
    ):
        weeks[metric].append((week, Moments(n, mean, m2)))
    known_on = known.astimezone(UTC).date()
    days, by_day = _every_day(enrolled, [day for of in active.values() for day in of], known_on)
    gates = [enrolment_gate(_plan(experiment), days, by_day.sum(axis=1).tolist(), known_on=known_on)]
    if of_windows:
        gates.append(not_looked_at("metric_drift", _NO_COHORTS))
    for metric in experiment.metrics if not of_windows else ():
        if metric.type in _DRIFTING and metric.window_days is not None:
            gates.append(metric_drift_gate(metric.key, weeks[metric.key]))
    # The last day on which anything was seen may not be over, or not have arrived.
    windows = _windows(postgres, partition_key, enrolled.variants, days) if of_windows else None
    for metric in experiment.metrics if len(days) > 1 else ():
        if of_windows and metric.key not in active:
            continue
        if metric.type in _WITH_EVENTS:
            found = np.array([[active[metric.key][day].get(v, 0) for v in enrolled.variants] for day in days[:-1]])
            opened = windows if windows is not None else _at_risk(by_day, metric.delay_days, metric.window_days)
            at_risk = opened[:-1]
            gates.append(
                missing_events_gate(MetricDays(metric.key, enrolled.variants, tuple(days[:-1]), found, at_risk))
            )
    return gates


def _windows(
    postgres: PostgresResource, partition_key: str, variants: Sequence[str], days: Sequence[date]
) -> NDArray[np.float64]:
    """Whole windows of a switchback that began on each day, by variant."""
    client = postgres.client()
    query = _WINDOWS.format(windows=client.table("experiments.switchback_windows"))
    found = {(day, variant): n for day, variant, n in client.fetch_all(query, split(partition_key))}
    return np.array([[float(found.get((day, variant), 0)) for variant in variants] for day in days])


def _every_day(enrolled: Enrolment, active: Sequence[date], known_on: date) -> tuple[list[date], NDArray[np.int64]]:
    """All days from the first unit to the last thing seen, and the new units of each by variant."""
    seen = [day for day in (*enrolled.days, *active) if day <= known_on]
    if not enrolled.days or not seen:
        return [], np.zeros((0, len(enrolled.variants)), dtype=np.int64)
    first = enrolled.days[0]
    days = [first + timedelta(days=place) for place in range((max(*seen, first) - first).days + 1)]
    units = np.zeros((len(days), len(enrolled.variants)), dtype=np.int64)
    for day, new in zip(enrolled.days, enrolled.units, strict=True):
        if day <= days[-1]:
            units[(day - first).days] += new
    return days, units


def _at_risk(by_day: NDArray[np.int64], delay_days: float, window_days: float | None) -> NDArray[np.float64]:
    """Units whose window was open on each day."""
    so_far = by_day.cumsum(axis=0).astype(float)
    opened = _later(so_far, int(delay_days))
    return opened if window_days is None else opened - _later(so_far, int(window_days) + 1)


def _later(so_far: NDArray[np.float64], days: int) -> NDArray[np.float64]:
    shifted = np.zeros_like(so_far)
    if days < len(so_far):
        shifted[days:] = so_far[: len(so_far) - days]
    return shifted


def _plan(experiment: ExperimentDeclaration) -> Plan:
    return Plan(
        planned_units=experiment.analysis.sequential.planned_units,
        starts_on=experiment.start,
        ends_on=experiment.end,
        coverage=experiment.coverage,
        ramp=tuple((step.at.date(), step.coverage) for step in experiment.ramp),
    )
