from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from causeway.statistics import relative_effect

RUNS = 2000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5

means = st.floats(-50, 50).filter(lambda mean: abs(mean) > 0.1)
variances = st.floats(0.001, 10)


@given(means, means, variances, variances, st.floats(-0.95, 0.95))
def test_the_bounds_are_where_fiellers_test_just_rejects(mean, control, v, v_control, correlation):
    covariance = correlation * (v * v_control) ** 0.5
    q = 1.96
    found = relative_effect(
        mean, control, variance=v, variance_control=v_control, covariance=covariance, critical_value=q
    )
    separated = abs(control) > q * v_control**0.5
    assert (found.status == "ok") == separated
    assume(separated and abs(control) > 1.05 * q * v_control**0.5)
    for bound in (found.ci_low, found.ci_high):
        ratio = bound + 1
        squared = (mean - ratio * control) ** 2
        allowed = q**2 * (v - 2 * ratio * covariance + ratio**2 * v_control)
        assert squared == pytest.approx(allowed, rel=1e-6, abs=1e-6 * (mean**2 + (ratio * control) ** 2))
    assert found.ci_low <= found.effect <= found.ci_high


@pytest.mark.parametrize("covariance", [0.0, 0.8])
def test_the_interval_covers_even_where_the_control_mean_is_uncertain(covariance):
    """The control mean lies four standard errors from zero: enough for an interval, but a skewed one.

    A delta-method interval, symmetric about the estimate, misses on one side only here.
    """
    rng = np.random.default_rng(21)
    both = rng.multivariate_normal([6.0, 4.0], [[1.0, covariance], [covariance, 1.0]], size=RUNS)
    covered, missed_low, answered = 0, 0, 0
    for mean, control in both:
        found = relative_effect(
            mean, control, variance=1.0, variance_control=1.0, covariance=covariance, critical_value=1.96
        )
        if found.status == "ok":
            answered += 1
            covered += found.ci_low <= 0.5 <= found.ci_high
            missed_low += found.ci_high < 0.5
    assert answered > 0.97 * RUNS
    assert abs(covered / answered - 0.95) < THREE_ERRORS
    assert 0.01 < missed_low / answered < 0.04


def test_a_mean_known_exactly_gives_a_plain_rescaled_interval():
    found = relative_effect(11.0, 10.0, variance=0.25, variance_control=0.0, critical_value=2.0)
    assert (found.effect, found.ci_low, found.ci_high) == pytest.approx((0.1, 0.0, 0.2))


@pytest.mark.parametrize(("control", "v_control"), [(0.0, 0.0), (0.0, 1.0), (1.9, 1.0), (-1.9, 1.0), (5e-324, 0.0)])
def test_an_unbounded_set_is_no_interval(control, v_control):
    found = relative_effect(3.0, control, variance=1.0, variance_control=v_control, critical_value=1.96)
    assert found.status == "denominator_not_separated_from_zero"
    assert (found.effect, found.ci_low, found.ci_high) == (None, None, None)


def test_units_do_not_matter():
    plain = relative_effect(3.0, 2.0, variance=0.1, variance_control=0.2, covariance=0.05, critical_value=1.96)
    for unit in (1e-120, -1.0, 1e120):
        scaled = relative_effect(
            3.0 * unit,
            2.0 * unit,
            variance=0.1 * unit**2,
            variance_control=0.2 * unit**2,
            covariance=0.05 * unit**2,
            critical_value=1.96,
        )
        expected = (plain.effect, plain.ci_low, plain.ci_high)
        assert (scaled.effect, scaled.ci_low, scaled.ci_high) == pytest.approx(expected, rel=1e-9)
