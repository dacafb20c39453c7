from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from causeway.statistics.normal_mixture import always_valid_p_value, critical_value, log_evidence, tuned_rho

weights = st.floats(1e-3, 1e4)
alphas = st.floats(1e-4, 0.4)
sides = st.sampled_from([1, 2])


@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize("weight", [0.1, 1.0, 8.2, 300.0])
def test_the_evidence_is_one_on_average_without_an_effect(side, weight):
    def integrand(z):
        return float(np.exp(log_evidence(z, weight, rho=1.0, sides=side) + stats.norm.logpdf(z)))

    reach = 9 * math.sqrt(1 + weight)
    total, _ = integrate.quad(integrand, -reach, reach, points=[0.0], limit=400, epsabs=1e-12)
    assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("z", [-2.0, 0.3, 4.0])
def test_the_evidence_is_the_likelihood_ratio_mixed_over_the_effects(z):
    """With n = 25 and rho = 0.2: the ratio for effect m is exp(m z sqrt(n) - n m**2 / 2), mixed over N(0, rho**2)."""

    def integrand(m):
        return math.exp(m * z * 5 - 25 * m * m / 2) * stats.norm.pdf(m, scale=0.2)

    both, _ = integrate.quad(integrand, -3, 3, points=[0.0], epsabs=1e-13)
    above, _ = integrate.quad(integrand, 0, 3, epsabs=1e-13)
    assert math.exp(log_evidence(z, 25, rho=0.2)) == pytest.approx(both, rel=1e-9)
    assert math.exp(log_evidence(z, 25, rho=0.2, sides=1)) == pytest.approx(2 * above, rel=1e-9)


@given(weights, alphas, sides)
def test_at_the_critical_value_the_p_value_is_alpha(weight, alpha, side):
    z = critical_value(weight, rho=1.0, alpha=alpha, sides=side)
    assert always_valid_p_value(z, weight, rho=1.0, sides=side) == pytest.approx(alpha, rel=1e-9)
    assert always_valid_p_value(z + 0.01, weight, rho=1.0, sides=side) < alpha


@given(weights, alphas)
def test_the_one_sided_value_lies_below_the_published_closed_form(weight, alpha):
    """Howard et al. (2021): sqrt(2 (1 + 1/v) log(1 + sqrt(1 + v) / (2 alpha))) bounds the exact one from above."""
    closed = math.sqrt(2 * (1 + 1 / weight) * math.log(1 + math.sqrt(1 + weight) / (2 * alpha)))
    exact = float(critical_value(weight, rho=1.0, alpha=alpha, sides=1))
    assert exact < closed
    assert exact < float(critical_value(weight, rho=1.0, alpha=alpha))


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.2])
def test_the_tuned_rho_is_the_best_at_the_planned_end(alpha):
    best = optimize.minimize_scalar(
        lambda log_rho: float(critical_value(5000, rho=math.exp(log_rho), alpha=alpha)),
        bounds=(-8, 0),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert tuned_rho(5000, alpha=alpha) == pytest.approx(math.exp(best.x), rel=1e-4)
    assert float(critical_value(5000, rho=tuned_rho(5000, alpha=alpha), alpha=alpha)) <= best.fun + 1e-12


def test_the_tuned_one_sided_rho_is_within_a_thousandth_of_the_best_width():
    best = min(float(critical_value(5000, rho=rho, alpha=0.05, sides=1)) for rho in np.geomspace(1e-3, 1, 2000))
    tuned = float(critical_value(5000, rho=tuned_rho(5000, alpha=0.05, sides=1), alpha=0.05, sides=1))
    assert tuned <= best * 1.001


@pytest.mark.parametrize(
    ("planned_n", "alpha", "side"), [(0, 0.05, 2), (math.inf, 0.05, 2), (10, 0, 2), (10, 1, 2), (10, 0.5, 1)]
)
def test_an_unusable_plan_is_refused(planned_n, alpha, side):
    with pytest.raises(ValueError):
        tuned_rho(planned_n, alpha=alpha, sides=side)
