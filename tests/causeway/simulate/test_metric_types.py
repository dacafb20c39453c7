"""The types of metrics have the effects that they claim, and a past that knows something."""

from __future__ import annotations

import numpy as np
import pytest

from causeway.simulate.durations import DurationModel
from causeway.simulate.metric_types import (
    METRICS_OF_UNITS,
    QUANTILE,
    SHARES,
    event_latencies,
    event_latency_effect,
    scores,
    strata,
)

MANY = 400_000


def level(metric, arm):
    if metric == "quantile (unit)":
        return np.quantile(arm["outcome"], QUANTILE)
    return arm["outcome"].sum() / (arm["denominator"].sum() if "denominator" in arm else MANY)


def per_unit(metric, arm):
    """What the sampling error of `level` comes from."""
    if "denominator" in arm:
        return (arm["outcome"] - level(metric, arm) * arm["denominator"]) / arm["denominator"].mean()
    return arm["outcome"]


@pytest.mark.parametrize("metric", METRICS_OF_UNITS)
def test_the_effect_is_the_one_that_is_claimed(metric):
    model, rng = METRICS_OF_UNITS[metric], np.random.default_rng(1)
    treated, control = (model.draw(rng, rng.standard_normal((1, MANY)), lift) for lift in (0.3, 0.0))
    found = level(metric, treated) - level(metric, control)
    error = np.hypot(*(per_unit(metric, arm).std() for arm in (treated, control))) / MANY**0.5
    assert found == pytest.approx(model.effect(0.3), abs=4 * error)
    assert abs(found) > 10 * error
    assert model.effect(0.0) == 0


@pytest.mark.parametrize("metric", METRICS_OF_UNITS)
def test_the_past_knows_something_of_the_outcome(metric):
    rng = np.random.default_rng(2)
    activity = rng.standard_normal((1, 20_000))
    drawn = METRICS_OF_UNITS[metric].draw(rng, activity, 0.0)
    assert np.corrcoef(drawn["outcome"][0], drawn["before"][0])[0, 1] > 0.05
    assert np.corrcoef(scores(rng, activity)[0], activity[0])[0, 1] > 0.5


def test_strata_have_their_shares_and_are_related_to_the_activity():
    rng = np.random.default_rng(3)
    activity = rng.standard_normal((1, 100_000))
    stratum = strata(rng, activity)
    assert np.bincount(stratum[0]) / 100_000 == pytest.approx(SHARES, abs=0.01)
    assert activity[stratum == 3].mean() > activity[stratum == 0].mean() + 1


def test_events_have_the_quantile_that_is_claimed():
    rng = np.random.default_rng(4)
    arms = [event_latencies(rng, rng.standard_normal((2, 100_000)), lift) for lift in (0.3, 0.0)]
    assert all(set(np.unique(unit)) == set(range(100_000)) for arm in arms for _, unit in arm)
    quantiles = [np.quantile(arm[1][0], QUANTILE) for arm in arms]
    assert quantiles[0] - quantiles[1] == pytest.approx(event_latency_effect(0.3), rel=0.05)


def test_whole_days_have_the_restricted_mean_that_is_claimed():
    model = DurationModel()
    for factor in (0.8, 1.0):
        days = model.draw_whole_days(np.random.default_rng(5), (MANY,), factor)
        assert np.minimum(days, 14).mean() == pytest.approx(model.restricted_mean_in_whole_days(14, factor), abs=0.03)
    assert np.isinf(days).mean() == pytest.approx(model.never, abs=0.01)
