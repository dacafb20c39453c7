"""Enrolment, drift and lost days: what only experiments have whose units come one after another."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.gates.a_a import a_a_gate
from causeway.statistics.gates.enrolment import Plan, enrolment_gate
from causeway.statistics.gates.metric_drift import metric_drift_gate
from causeway.statistics.gates.missing_events import MetricDays, missing_events_gate
from causeway.statistics.moments import Moments

FIRST = date(2026, 3, 2)


def days(n: int) -> list[date]:
    return [FIRST + timedelta(days=k) for k in range(n)]


def enrolled(units, plan: Plan, after: int | None = None):
    known_on = FIRST + timedelta(days=len(units) if after is None else after)
    return enrolment_gate(plan, days(len(units)), units, known_on=known_on)


PLAN = Plan(3000, FIRST, FIRST + timedelta(days=29))


def test_a_shortfall_that_is_certain_is_a_warning():
    gate = enrolled([50, 48, 52, 51, 49, 50, 47, 53, 50, 50], PLAN)
    assert (gate.passed, gate.blocking) == (False, False)
    assert gate.observed["expected_units"] == 1500
    assert gate.observed["expected_on"] == "2026-05-01"


@pytest.mark.parametrize("units", [[100, 98, 102, 101, 99], [80, 140, 60, 110, 90], [50, 50]])
def test_a_shortfall_that_may_yet_be_none_is_not(units):
    assert enrolled(units, PLAN).passed


def test_a_ramp_is_part_of_the_plan():
    ramp = [(FIRST, 0.1), (FIRST + timedelta(days=8), 1.0)]
    slow = [10, 11, 9, 10, 10, 12, 8]
    assert not enrolled(slow, Plan(1800, FIRST, FIRST + timedelta(days=29))).passed
    assert enrolled(slow, Plan(1800, FIRST, FIRST + timedelta(days=29), ramp=ramp)).passed


def test_after_the_end_what_lacks_is_lacking():
    assert not enrolled([90] * 30, PLAN, after=40).passed
    assert enrolled([99.5] * 30, PLAN, after=40).passed
    assert enrolled([100] * 30, PLAN, after=40).passed


def test_without_a_plan_there_is_nothing_to_fall_short_of():
    assert enrolled([1] * 9, Plan(None)).passed


def weeks(rng, means, n=1000):
    return [(FIRST + timedelta(weeks=k), Moments.from_arrays(rng.normal(m, size=n))) for k, m in enumerate(means)]


def test_a_week_that_drifts_is_named():
    gate = metric_drift_gate("visits", weeks(np.random.default_rng(1), [5, 5, 5, 6]))
    assert (gate.passed, gate.blocking) == (False, False)
    assert [week["week"] for week in gate.observed["weeks"]] == ["2026-03-23"]


def test_steady_weeks_are_rarely_called_a_drift():
    rng = np.random.default_rng(2)
    runs, threshold = 400, 0.05
    failed = sum(
        not metric_drift_gate(
            "x", [(FIRST, Moments.from_arrays(rng.exponential(size=200))) for _ in range(20)], threshold=threshold
        ).passed
        for _ in range(runs)
    )
    print({"drift": failed / runs})
    assert failed / runs <= threshold + 3 * np.sqrt(threshold * (1 - threshold) / runs)


def world(rng, n=40, rate=0.1, at_risk=300) -> MetricDays:
    risk = np.full((n, 2), float(at_risk))
    active = rng.binomial(at_risk, rate, size=(n, 2))
    return MetricDays("visits", ("off", "on"), tuple(days(n)), active, risk)


def test_events_that_vanish_in_one_arm_alone_close_the_gate():
    of = world(np.random.default_rng(3))
    of.active[20:22, 1] = 0
    gate = missing_events_gate(of)
    assert (gate.passed, gate.blocking) == (False, True)
    assert gate.observed["in_one_arm"] == {"on": ["2026-03-22", "2026-03-23"]}
    of.active[20:22, 1] = 1
    assert [missing_events_gate(of).passed, missing_events_gate(of).blocking] == [False, False]


def test_an_arm_that_never_had_an_event_closes_the_gate():
    of = world(np.random.default_rng(4))
    of.active[:, 1] = 0
    assert missing_events_gate(of).blocking


def test_a_day_of_one_event_says_nothing_of_the_arm_that_had_none():
    active = np.array([[1, 0], [1, 0], [0, 1]])
    gate = missing_events_gate(MetricDays("visits", ("off", "on"), tuple(days(3)), active, np.full((3, 2), 2.0)))
    assert (gate.passed, gate.p_value) == (True, 1.0)


@pytest.mark.parametrize("rate", [0.003, 0.01, 0.03])
def test_rare_events_close_no_gate(rate):
    rng = np.random.default_rng(8)
    closed = [
        missing_events_gate(world(rng, n=60, rate=rate, at_risk=100), threshold=0.05).blocking for _ in range(300)
    ]
    assert np.mean(closed) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_events_that_vanish_for_all_are_a_warning():
    of = world(np.random.default_rng(5))
    of.active[20] = 0
    gate = missing_events_gate(of)
    assert (gate.passed, gate.blocking) == (False, False)
    assert gate.observed["for_all"] == ["2026-03-22"]


def test_weekends_without_events_are_known_after_one_week_and_a_rare_event_is_never_missing():
    of = world(np.random.default_rng(6), rate=0.1)
    of.active[5::7] = of.active[6::7] = 0
    assert missing_events_gate(of).passed
    assert missing_events_gate(world(np.random.default_rng(7), rate=0.002)).passed


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.3])
def test_nothing_is_missing_where_nothing_was_lost(rate):
    rng = np.random.default_rng(8)
    assert sum(not missing_events_gate(world(rng, rate=rate), threshold=0.05).passed for _ in range(200)) <= 15


def test_an_a_a_experiment_with_an_effect_is_at_fault():
    rng = np.random.default_rng(9)
    arms = [Moments.from_arrays(rng.normal(mean, size=2000)) for mean in (0.0, 0.0, 0.4)]
    same, other = (difference_in_means(arm, arms[0]) for arm in arms[1:])
    gate = a_a_gate({("x", "b"): same, ("y", "b"): other}, alpha=0.05, planned_n=4000)
    assert (gate.passed, gate.blocking) == (False, True)
    assert "y of b" in gate.detail and "x of b" not in gate.detail
    assert a_a_gate({("x", "b"): same}, alpha=0.05, planned_n=4000).passed
    assert a_a_gate({}, alpha=0.05, planned_n=None, not_tested=2).passed
