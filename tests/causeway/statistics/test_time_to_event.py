from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from causeway.simulate.durations import DurationModel
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.life_table import LifeTable, log_rank_p_value, survival_estimate
from causeway.statistics.moments import Moments
from causeway.statistics.time_to_event import (
    event_probability_effect,
    restricted_mean_effect,
    restricted_mean_influence,
)

EFFECTS = [restricted_mean_effect, event_probability_effect]
NUMBERS = ("mean", "mean_control", "effect", "std_error", "ci_low", "ci_high", "p_value", "relative_ci_high")


def arms(seed: int, n: int = 300, n_control: int = 200, **model: float) -> tuple[LifeTable, LifeTable]:
    rng = np.random.default_rng(seed)
    world = DurationModel(**model)
    slower = dataclasses.replace(world, scale=1.5 * world.scale)
    return LifeTable.from_arrays(*slower.draw(rng, n)), LifeTable.from_arrays(*world.draw(rng, n_control))


@pytest.mark.parametrize("horizon", [3.0, 14.0])
def test_without_censoring_both_are_differences_of_means(horizon):
    rng = np.random.default_rng(1)
    times = [np.ceil(scale * rng.weibull(0.8, n)) for scale, n in ((15, 90), (10, 60))]
    tables = [LifeTable.from_arrays(each, np.ones(each.size, dtype=bool)) for each in times]
    outcomes = [(np.minimum(each, horizon), (each <= horizon).astype(float)) for each in times]
    for effect, (y, y_control) in zip(EFFECTS, zip(*outcomes, strict=True), strict=True):
        ours = effect(*tables, horizon=horizon)
        plain = difference_in_means(Moments.from_arrays(y), Moments.from_arrays(y_control))
        for name in NUMBERS:
            assert getattr(ours, name) == pytest.approx(getattr(plain, name), rel=1e-9), name


@pytest.mark.parametrize("effect", EFFECTS)
def test_swapping_the_arms_turns_the_sign(effect):
    treated, control = arms(2)
    there, back = effect(treated, control, horizon=14), effect(control, treated, horizon=14)
    assert (there.effect, there.ci_low, there.n) == (-back.effect, -back.ci_high, back.n_control)
    assert there.p_value == back.p_value


def test_a_slower_arm_has_more_time_without_the_event_and_fewer_events():
    treated, control = arms(3, n=2000, n_control=2000)
    later, fewer = (effect(treated, control, horizon=14) for effect in EFFECTS)
    assert later.effect > 0 > fewer.effect
    assert fewer.mean == later.settings["event_probability"]


def test_settings_say_what_was_seen():
    treated, control = arms(4)
    found = restricted_mean_effect(treated, control, horizon=14)
    assert json.loads(json.dumps(found.settings)) == found.settings
    assert found.settings["estimand"] == "restricted_mean_survival_time"
    assert found.settings["horizon"] == 14
    assert found.settings["log_rank_p_value"] == log_rank_p_value(treated, control, horizon=14)
    assert found.settings["log_rank_p_value"] != log_rank_p_value(treated, control)
    assert found.settings["events"] == sum(
        d for time, d in zip(treated.times, treated.events, strict=True) if time <= 14
    )
    assert found.settings["at_risk_at_horizon_control"] == sum(time >= 14 for time in control.times)
    assert (found.n, found.n_control) == (300, 200)


# Statuses


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_horizon_nobody_was_followed_to_is_a_status(effect):
    """After ten days of the experiment there is no answer about fourteen; the longest possible window is named."""
    treated, control = arms(5, enrolment=10.0)
    found = effect(treated, control, horizon=14)
    assert (found.status, found.mean, found.effect) == ("not_estimable", None, None)
    longest = found.settings["observed_until"]
    assert longest == min(treated.times[-1], control.times[-1])
    assert effect(treated, control, horizon=longest).status == "ok"


@pytest.mark.parametrize("effect", EFFECTS)
def test_no_event_in_either_arm_leaves_no_error(effect):
    still = LifeTable((20.0,), (0,), (30,))
    found = effect(still, still, horizon=14)
    assert (found.status, found.effect) == ("zero_variance", None)
    assert found.settings["log_rank_p_value"] is None
    assert effect(still, arms(6)[1], horizon=14).status == "ok"


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize(("units", "status"), [(0, "no_units"), (1, "too_few_units")])
def test_too_few_units_are_a_status(effect, units, status):
    few = LifeTable((20.0,), (0,), (units,)) if units else LifeTable.empty()
    for pair in ((few, arms(7)[0]), (arms(7)[0], few)):
        found = effect(*pair, horizon=14)
        assert (found.status, found.effect) == (status, None)
        assert sorted((found.n, found.n_control)) == [units, 300]


@pytest.mark.parametrize("effect", EFFECTS)
def test_wrong_settings_are_refused(effect):
    for horizon in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="horizon"):
            effect(*arms(8), horizon=horizon)
    with pytest.raises(ValueError, match="alpha"):
        effect(*arms(8), horizon=14, alpha=0.0)


# Recovery of a known truth


RUNS = 1000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5


@pytest.mark.parametrize(
    ("model", "lift"),
    [(DurationModel(), 1.0), (DurationModel(followed=7, leaving=0.05, never=0.6), 1.5)],
    ids=["staggered", "leaving"],
)
def test_intervals_cover_the_truth_under_censoring(model, lift):
    """Half of the units are not followed for the whole window; with a lift of 1 the rest is the A/A rate."""
    treated, rng, horizon = dataclasses.replace(model, scale=model.scale * lift), np.random.default_rng(9), 14.0
    pairs = [[LifeTable.from_arrays(*each.draw(rng, 200)) for each in (treated, model)] for _ in range(RUNS)]
    for effect, truth in zip(EFFECTS, ("restricted_mean", "event_probability"), strict=True):
        true_effect = getattr(treated, truth)(horizon) - getattr(model, truth)(horizon)
        results = [effect(*pair, horizon=horizon) for pair in pairs]
        assert all(each.status == "ok" for each in results)
        covered = np.mean([each.ci_low <= true_effect <= each.ci_high for each in results])
        assert covered == pytest.approx(0.95, abs=THREE_ERRORS)


def test_counting_only_those_who_were_followed_misses_what_censoring_hides():
    """The share of events among all units, censored ones included, is not the probability of the event."""
    model, rng = DurationModel(), np.random.default_rng(10)
    time, observed = model.draw(rng, 20_000)
    found = event_probability_effect(*(LifeTable.from_arrays(time, observed),) * 2, horizon=14)
    assert found.mean == pytest.approx(model.event_probability(14), abs=0.02)
    assert np.mean(observed & (time <= 14)) < model.event_probability(14) - 0.08


def test_influences_are_the_variance_of_greenwood_to_first_order_and_add_up_to_zero():
    days, observed = DurationModel().draw(np.random.default_rng(5), 4000)
    table = LifeTable.from_arrays(days, observed)
    influence = restricted_mean_influence(days, observed, 14)
    estimate = survival_estimate(table, 14)
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    assert influence @ influence == pytest.approx(estimate.restricted_mean_variance, rel=0.01)


def test_influences_without_censoring_are_those_of_a_mean():
    times = np.ceil(10 * np.random.default_rng(6).weibull(0.8, 50))
    y = np.minimum(times, 7)
    influence = restricted_mean_influence(times, np.ones(50, dtype=bool), 7)
    assert influence == pytest.approx((y - y.mean()) / 50, abs=1e-15)


def test_influences_are_what_leaving_a_unit_out_does():
    """The jackknife, which knows nothing of martingales."""
    days, observed = DurationModel().draw(np.random.default_rng(7), 300)
    influence = restricted_mean_influence(days, observed, 14)

    def mean(kept: np.ndarray) -> float:
        return survival_estimate(LifeTable.from_arrays(days[kept], observed[kept]), 14).restricted_mean

    everybody = mean(np.ones(300, dtype=bool))
    left_out = [everybody - mean(np.arange(300) != i) for i in range(300)]
    assert influence == pytest.approx(left_out, rel=0.05, abs=2e-4)
