"""The truth that comes with a world is what a great many units show."""

from __future__ import annotations

import numpy as np
import pytest

from causeway.simulate.metric_worlds import (
    clicks_per_session,
    conversions,
    moments_of_runs,
    skewed_revenue,
    stratified,
    with_covariates,
)
from causeway.statistics import JointMoments

MANY = (400_000, 400_000)


@pytest.mark.parametrize(
    ("world", "how"),
    [(conversions, {"effect": 0.05}), (skewed_revenue, {"lift": 0.2}), (with_covariates, {"effect": 0.3})],
)
def test_the_true_effect_is_the_difference_of_the_means_of_many(world, how):
    found = world(np.random.default_rng(1), 1, MANY, **how)
    treated, control = (arm["outcome"] for arm in (found.treated, found.control))
    error = np.sqrt(treated.var() / MANY[0] + control.var() / MANY[1])
    assert abs(treated.mean() - control.mean() - found.effect) < 3 * error
    assert found.effect > 10 * error


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_the_true_effect_on_a_ratio_is_the_difference_of_the_ratios_of_many(spread):
    found = clicks_per_session(np.random.default_rng(2), 1, MANY, effect=0.1, spread=spread, more_sessions=0.5)
    ratios = [arm["outcome"].sum() / arm["denominator"].sum() for arm in (found.treated, found.control)]
    assert ratios[0] - ratios[1] == pytest.approx(found.effect, abs=0.002)
    sessions = [arm["denominator"].mean() for arm in (found.treated, found.control)]
    assert sessions == pytest.approx([3.0, 2.0], rel=0.02)


def test_covariates_of_a_ratio_are_the_same_in_both_arms():
    found = clicks_per_session(np.random.default_rng(3), 1, MANY, effect=0.3, more_sessions=0.5)
    for name in ("clicks_before", "sessions_before"):
        assert found.treated[name].mean() == pytest.approx(found.control[name].mean(), rel=0.02)


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("covariates", [1, 3])
def test_the_covariates_together_have_the_correlation_asked_for(covariates, skewed):
    found = with_covariates(np.random.default_rng(4), 1, MANY, rho=0.6, covariates=covariates, skewed=skewed)
    y, *x = (found.control[name][0] for name in ("outcome", *(f"x{i + 1}" for i in range(covariates))))
    assert np.corrcoef(y, sum(x))[0, 1] == pytest.approx(0.6, abs=0.02)
    assert (y.mean(), y.var()) == pytest.approx((10, 1), rel=0.1)
    assert [np.var(each) for each in x] == pytest.approx([1] * covariates, rel=0.02)


def test_the_true_effect_of_strata_is_that_of_their_shares():
    ((treated, control),), truth = stratified(np.random.default_rng(5), 1, MANY, effects=(0.0, 1.0, 3.0, -2.0))
    means = [sum(m.n * m.mean_y for m in arm.values()) / MANY[0] for arm in (treated, control)]
    assert truth == pytest.approx(0.3 + 0.45 - 0.1)
    assert means[0] - means[1] == pytest.approx(truth, abs=0.03)


def test_moments_of_runs_are_those_of_each_run():
    values = np.random.default_rng(6).normal(size=(2, 3, 10))
    found = moments_of_runs({"a": values[0], "b": values[1]})
    for run, each in enumerate(found):
        expected = JointMoments.from_arrays({"a": values[0, run], "b": values[1, run]})
        assert (each.names, each.n) == (expected.names, expected.n)
        assert each.means == pytest.approx(expected.means)
        assert each.comoments == pytest.approx(expected.comoments)
