from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from causeway.simulate.durations import DurationModel
from causeway.statistics.life_table import LifeTable, log_rank_p_value, observed_until, survival_estimate

exits = st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=30)


def table_of(rows: list[tuple[int, bool]]) -> LifeTable:
    return LifeTable.from_arrays([time for time, _ in rows], [observed for _, observed in rows])


def durations(seed: int, n: int = 300, days: bool = True, **model: float) -> tuple[np.ndarray, np.ndarray]:
    """Censored times; counted in whole days there are many ties of events, and of events and censorings."""
    time, observed = DurationModel(**model).draw(np.random.default_rng(seed), n)
    return (np.ceil(time) if days else time), observed


def censored_data(time: np.ndarray, observed: np.ndarray) -> stats.CensoredData:
    return stats.CensoredData(uncensored=time[observed], right=time[~observed])


# Agreement with second implementations


@pytest.mark.parametrize("days", [True, False])
@pytest.mark.parametrize("horizon", [5.0, 14.0])
def test_survival_agrees_with_statsmodels_and_scipy(days, horizon):
    """They divide by N where we divide by N - 1, so their Greenwood variance is ours times (N - 1) / N."""
    time, observed = durations(1, days=days)
    ours = survival_estimate(LifeTable.from_arrays(time, observed), horizon)
    theirs = SurvfuncRight(time, observed)
    last = np.searchsorted(theirs.surv_times, horizon, side="right") - 1
    assert 1 - ours.event_probability == pytest.approx(theirs.surv_prob[last], rel=1e-9)
    n = time.size
    variance = ours.event_probability_variance * (n - 1) / n
    assert variance == pytest.approx(theirs.surv_prob_se[last] ** 2, rel=1e-9)
    curve = stats.ecdf(censored_data(time, observed)).sf
    assert 1 - ours.event_probability == pytest.approx(curve.evaluate(horizon), rel=1e-9)
    upper = curve.confidence_interval(0.95, method="linear").high.evaluate(horizon)
    assert (upper - curve.evaluate(horizon)) / stats.norm.isf(0.025) == pytest.approx(variance**0.5, rel=1e-9)


@pytest.mark.parametrize("days", [True, False])
def test_the_restricted_mean_is_the_area_under_scipys_curve(days):
    time, observed = durations(2, days=days)
    curve = stats.ecdf(censored_data(time, observed)).sf
    edges = np.concatenate([[0.0], curve.quantiles[curve.quantiles < 14], [14.0]])
    area = float(curve.evaluate(edges[:-1]) @ np.diff(edges))
    ours = survival_estimate(LifeTable.from_arrays(time, observed), 14)
    assert ours.restricted_mean == pytest.approx(area, rel=1e-9)


def test_the_variance_of_the_restricted_mean_is_that_of_the_jackknife():
    """Pseudo-observations (Andersen, Hansen & Klein 2004) share no formula with Greenwood's."""
    time, observed = durations(3, n=400)
    ours = survival_estimate(LifeTable.from_arrays(time, observed), 14)
    without = [
        survival_estimate(LifeTable.from_arrays(np.delete(time, k), np.delete(observed, k)), 14).restricted_mean
        for k in range(time.size)
    ]
    n = time.size
    jackknife = (n - 1) / n * float(np.sum((np.array(without) - np.mean(without)) ** 2))
    assert ours.restricted_mean_variance == pytest.approx(jackknife, rel=0.01)


@pytest.mark.parametrize("days", [True, False])
@pytest.mark.parametrize("horizon", [7.0, math.inf])
def test_the_log_rank_test_agrees_with_statsmodels_and_scipy(days, horizon):
    arms = [durations(4, days=days), durations(5, n=200, days=days, scale=20.0)]
    ours = log_rank_p_value(*(LifeTable.from_arrays(*arm) for arm in arms), horizon=horizon)
    cut = [(np.minimum(time, horizon), observed & (time <= horizon)) for time, observed in arms]
    time, observed = (np.concatenate(part) for part in zip(*cut, strict=True))
    arm = np.repeat([0, 1], [each.size for each, _ in cut])
    assert ours == pytest.approx(survdiff(time, observed, arm)[1], rel=1e-9)
    assert ours == pytest.approx(stats.logrank(*(censored_data(*each) for each in cut)).pvalue, rel=1e-9)


# Invariants


@given(exits, exits)
def test_tables_of_disjoint_units_add_up(monday, tuesday):
    assert table_of(monday) + table_of(tuesday) == table_of(monday + tuesday)
    assert table_of(monday) + LifeTable.empty() == table_of(monday)
    assert (table_of(monday) + table_of(tuesday)).units == len(monday) + len(tuesday)


@given(exits, st.integers(1, 9))
def test_without_censoring_it_is_the_mean_of_the_time_within_the_horizon(rows, horizon):
    time = np.array([time for time, _ in rows], dtype=float)
    found = survival_estimate(LifeTable.from_arrays(time, np.ones(time.size, dtype=bool)), horizon)
    if time.size < 2:
        assert found is None
        return
    within, came = np.minimum(time, horizon), time <= horizon
    assert found.restricted_mean == pytest.approx(within.mean(), rel=1e-9)
    assert found.restricted_mean_variance == pytest.approx(within.var(ddof=1) / time.size, rel=1e-9, abs=1e-12)
    assert found.event_probability == pytest.approx(came.mean(), rel=1e-9)
    assert found.event_probability_variance == pytest.approx(came.var(ddof=1) / time.size, rel=1e-9, abs=1e-12)
    assert found.events == came.sum()
    assert found.at_risk == (time >= horizon).sum()


@given(exits, st.integers(1, 9))
def test_what_happens_after_the_horizon_does_not_matter(rows, horizon):
    table = table_of(rows)
    cut = table_of([(min(time, horizon), observed and time <= horizon) for time, observed in rows])
    if horizon <= observed_until(table) < math.inf:
        ours, short = survival_estimate(table, horizon), survival_estimate(cut, horizon)
        assert short is None if ours is None else ours == short


@given(exits, exits)
def test_the_log_rank_test_does_not_know_which_arm_is_which(treated, control):
    there, back = (log_rank_p_value(*map(table_of, pair)) for pair in ((treated, control), (control, treated)))
    assert there == (back if back is None else pytest.approx(back, rel=1e-9))


def test_the_unit_of_time_is_only_a_unit():
    time, observed = durations(6)
    days = survival_estimate(LifeTable.from_arrays(time, observed), 14)
    hours = survival_estimate(LifeTable.from_arrays(24 * time, observed), 24 * 14)
    assert hours.restricted_mean == pytest.approx(24 * days.restricted_mean, rel=1e-12)
    assert hours.restricted_mean_variance == pytest.approx(24**2 * days.restricted_mean_variance, rel=1e-12)
    assert hours.event_probability_variance == pytest.approx(days.event_probability_variance, rel=1e-12)


def test_an_event_precedes_a_censoring_at_the_same_time():
    table = LifeTable((3.0, 5.0), (1, 0), (1, 2))
    assert survival_estimate(table, 5).event_probability == pytest.approx(1 / 4)


# What cannot be said


def test_a_table_supports_no_horizon_beyond_its_last_time():
    time, observed = durations(7)
    table = LifeTable.from_arrays(time, observed)
    assert survival_estimate(table, table.times[-1]) is not None
    assert survival_estimate(table, table.times[-1] + 1) is None


def test_an_event_of_the_last_unit_followed_does_not_end_all_risk():
    """Kaplan-Meier drops to zero here, though three of four units left without the event."""
    table = LifeTable((1.0, 2.0), (0, 1), (3, 0))
    assert survival_estimate(table, 2.0).event_probability == 1.0
    assert survival_estimate(table, 3.0) is None
    assert survival_estimate(LifeTable((1.0, 2.0), (1, 1), (0, 0)), 3.0).restricted_mean == pytest.approx(1.5)


@pytest.mark.parametrize("arms", [(((), (), ()), ((1.0,), (1,), (0,))), (((1.0,), (0,), (1,)), ((2.0,), (1,), (0,)))])
def test_nothing_to_rank_has_no_p_value(arms):
    assert log_rank_p_value(*(LifeTable(*arm) for arm in arms)) is None


@pytest.mark.parametrize(
    "columns",
    [
        ((1.0,), (1,), ()),
        ((-1.0,), (1,), (0,)),
        ((math.inf,), (1,), (0,)),
        ((math.nan,), (1,), (0,)),
        ((2.0, 1.0), (1, 1), (0, 0)),
        ((1.0, 1.0), (1, 1), (0, 0)),
        ((1.0,), (-1,), (2,)),
        ((1.0,), (0,), (0,)),
    ],
)
def test_an_impossible_table_is_refused(columns):
    with pytest.raises(ValueError):
        LifeTable(*columns)


def test_arrays_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="shape"):
        LifeTable.from_arrays([1.0, 2.0], [True])


# The truth of the simulated worlds


@pytest.mark.parametrize("horizon", [3.0, 14.0, 60.0])
def test_the_simulated_worlds_tell_the_truth(horizon):
    model = DurationModel(scale=8, shape=1.3, never=0.2, enrolment=0.0, followed=1000.0)
    time, _ = model.draw(np.random.default_rng(8), 200_000)
    within = np.minimum(time, horizon)
    assert model.restricted_mean(horizon) == pytest.approx(within.mean(), abs=4 * within.std() / 200_000**0.5)
    assert model.event_probability(horizon) == pytest.approx((time <= horizon).mean(), abs=0.005)
    area = integrate.quad(lambda t: 1 - model.event_probability(t), 0, horizon)[0]
    assert model.restricted_mean(horizon) == pytest.approx(area, rel=1e-9)
