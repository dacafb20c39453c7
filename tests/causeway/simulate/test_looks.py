from __future__ import annotations

import numpy as np
import pytest

from causeway.simulate.looks import OUTCOMES, arm_looks


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_the_mean_estimates_the_truth_and_the_variance_is_that_of_the_mean(outcome):
    arm = arm_looks(outcome, np.random.default_rng(2), runs=1500, units=[150, 50, 100], lift=0.2)
    assert arm.n.tolist() == [150, 200, 300]
    assert arm.mean.shape == arm.variance.shape == (1500, 3)
    spread = arm.mean.var(axis=0, ddof=1)
    assert np.abs(arm.mean.mean(axis=0) - arm.truth).max() < 4 * np.sqrt(spread.max() / 1500)
    assert arm.variance.mean(axis=0) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_later_looks_contain_the_earlier_ones(outcome):
    """Cov(mean_j, mean_k) = var(mean_k) for j < k: the increments are independent."""
    arm = arm_looks(outcome, np.random.default_rng(3), runs=4000, units=[100, 300])
    covariance = np.cov(arm.mean.T)
    assert covariance[0, 1] == pytest.approx(covariance[1, 1], rel=0.15)


def test_the_lift_is_relative():
    for outcome in OUTCOMES:
        plain, lifted = (arm_looks(outcome, np.random.default_rng(1), runs=1, units=[10], lift=x) for x in (0, 0.5))
        assert lifted.truth == pytest.approx(1.5 * plain.truth)
