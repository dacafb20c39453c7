"""The projection agrees with statsmodels, and finds the slopes of a world that has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from causeway.effects.heterogeneity.best_linear_projection import best_linear_projection
from causeway.effects.heterogeneity.means_of_scores import joint_p_value, mean_of
from causeway.effects.heterogeneity.scores import scores_of

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(400, 3)) * [1.0, 10.0, 0.1]
SCORES = 1 + X[:, 0] + GENERATOR.normal(size=400) * (1 + X[:, 0] ** 2)
TREATED = GENERATOR.random(400) < 0.5


def test_slopes_and_errors_are_those_of_hc3() -> None:
    found = best_linear_projection(SCORES, X, "abc", TREATED)
    reference = sm.OLS(SCORES, sm.add_constant(X)).fit(cov_type="HC3", use_t=True)
    for place, slope in enumerate(found.slopes):
        assert slope.slope.effect == pytest.approx(reference.params[1 + place] * slope.spread)
        assert slope.slope.std_error == pytest.approx(reference.bse[1 + place] * slope.spread)
        assert slope.slope.p_value == pytest.approx(reference.pvalues[1 + place], rel=1e-6)
    assert found.intercept is not None and found.intercept.effect == pytest.approx(SCORES.mean())
    centred = sm.OLS(SCORES, sm.add_constant(X - X.mean(axis=0))).fit(cov_type="HC3")
    assert found.intercept.std_error == pytest.approx(centred.bse[0])


def test_weighted_slopes_are_those_of_weighted_least_squares() -> None:
    weights = GENERATOR.uniform(0.2, 3, 400)
    found = best_linear_projection(SCORES, X, "abc", TREATED, weights=weights)
    reference = sm.WLS(SCORES, sm.add_constant(X), weights=weights).fit(cov_type="HC3")
    for place, slope in enumerate(found.slopes):
        assert slope.slope.effect == pytest.approx(reference.params[1 + place] * slope.spread)
        assert slope.slope.std_error == pytest.approx(reference.bse[1 + place] * slope.spread)


def test_clusters_are_summed() -> None:
    """Each unit eight times is one unit, near enough."""
    copies = np.repeat(np.arange(400), 8)
    found = best_linear_projection(SCORES[copies], X[copies], "abc", TREATED[copies], clusters=copies)
    once, naive = (
        best_linear_projection(SCORES, X, "abc", TREATED),
        best_linear_projection(SCORES[copies], X[copies], "abc", TREATED[copies]),
    )
    for slope, single, wrong in zip(found.slopes, once.slopes, naive.slopes, strict=True):
        assert slope.slope.std_error == pytest.approx(single.slope.std_error, rel=0.05)
        assert wrong.slope.std_error < 0.5 * single.slope.std_error  # type: ignore[operator]
    assert found.p_value == pytest.approx(once.p_value, rel=0.6)


def test_a_world_with_two_slopes(world_with_slopes: Any) -> None:
    world = world_with_slopes
    scores = scores_of(world.outcome, world.treated, world.nuisances).doubly_robust
    found = best_linear_projection(scores, world.x, world.columns, world.treated)
    for slope, truth in zip(found.slopes, (1.0, -0.5, 0.0, 0.0), strict=True):
        estimate = slope.slope
        assert estimate.effect == pytest.approx(truth * slope.spread, abs=3 * estimate.std_error)
    assert found.p_value is not None and found.p_value < 1e-10
    assert found.slopes[0].p_value_adjusted < 1e-6 < found.slopes[2].p_value_adjusted  # type: ignore[operator]


def test_the_joint_test_holds_its_level() -> None:
    generator = np.random.default_rng(3)
    p_values = []
    for _ in range(300):
        x, scores = generator.normal(size=(150, 3)), generator.standard_t(5, size=150)
        found = best_linear_projection(scores, x, "abc", generator.random(150) < 0.5)
        p_values.append(found.p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
    assert 0.4 < np.mean(np.array(p_values) <= 0.5) < 0.6


def test_columns_that_say_nothing_of_their_own_are_named() -> None:
    x = np.column_stack([X[:, 0], 2 * X[:, 0] + 1, np.ones(400), X[:, 1]])
    found = best_linear_projection(SCORES, x, ("a", "twice", "one", "b"), TREATED)
    assert found.left_out == ("twice", "one")
    assert [slope.column for slope in found.slopes] == ["a", "b"]
    nothing = best_linear_projection(SCORES, np.ones((400, 1)), ("one",), TREATED)
    assert nothing.status == "no_covariates" and nothing.intercept is None
    few = best_linear_projection(SCORES[:10], X[:10], "abc", TREATED[:10])
    assert few.status == "too_few_units" and few.slopes == ()


def test_a_joint_test_of_dependent_estimates_has_no_p_value() -> None:
    one = mean_of(SCORES, np.ones(400))
    assert joint_p_value([one, one]) is None
    assert joint_p_value([]) is None
