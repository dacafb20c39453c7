"""The g-formula, inverse weighting and differences in means against second implementations and hand formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from causeway.effects.estimators.difference import (
    blocked_difference,
    difference,
    share_treated,
    within_blocks_regression,
)
from causeway.effects.estimators.g_formula import g_formula
from causeway.effects.estimators.ipw import ipw
from causeway.effects.influence import Array, Flags, Linearised, infer
from causeway.effects.learners import Squares


def world(n: int = 300, *, seed: int = 0, effect: float = 1.0) -> tuple[Array, Flags, Array]:
    """An effect that varies with x0; its average over everybody is `effect`."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 2))
    t = generator.random(n) < 1 / (1 + np.exp(-0.6 * x[:, 0] + 0.4 * x[:, 1]))
    y = (effect + 0.5 * x[:, 0]) * t + x[:, 0] + x[:, 1] ** 2 + generator.normal(size=n)
    return y, t, x


TARGETS = ("ATE", "ATT", "ATC")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("weighted", [False, True])
def test_g_formula_is_statsmodels_margin(target: Any, weighted: bool) -> None:
    y, t, x = world()
    w = np.random.default_rng(5).uniform(0.5, 2, len(y)) if weighted else np.ones(len(y))
    basis = np.column_stack([x, x**2])

    def design(arm: Array) -> Array:
        return np.column_stack([np.ones(len(y)), arm, basis, arm[:, None] * x])

    fitted = sm.WLS(y, design(t.astype(float)), weights=w).fit(cov_type="HC3")
    of = {"ATE": np.ones(len(y)), "ATT": t.astype(float), "ATC": 1.0 - t}[target] * w
    gradient = of @ (design(np.ones(len(y))) - design(np.zeros(len(y)))) / of.sum()
    found = g_formula(y, t, x, target=target, weights=w if weighted else None)
    assert found.effect == pytest.approx(gradient @ fitted.params, rel=1e-9)
    # The delta method of the coefficients, and what the sample of those averaged over adds.
    of_unit = (design(np.ones(len(y))) - design(np.zeros(len(y)))) @ fitted.params
    sampling = of * (of_unit - found.effect) / of.sum()
    by_coefficients = found.contributions - sampling
    expected = gradient @ fitted.cov_params() @ gradient
    assert by_coefficients @ by_coefficients == pytest.approx(expected, rel=1e-6)


def test_a_declared_square_adds_nothing_to_the_g_formula() -> None:
    y, t, x = world()
    plain = g_formula(y, t, x)
    with_square = g_formula(y, t, np.column_stack([x, x[:, 0] ** 2]))
    assert with_square.effect == pytest.approx(plain.effect, rel=1e-9)
    assert with_square.std_error == pytest.approx(plain.std_error, rel=1e-9)


def _weighted_means(y: Array, t: Flags, e: Array, target: str, w: Array) -> tuple[float, float]:
    up = {"ATE": t / e, "ATT": 1.0 * t, "ATC": t * (1 - e) / e}[target] * w
    down = {"ATE": (1 - t) / (1 - e), "ATT": (1 - t) * e / (1 - e), "ATC": 1.0 - t}[target] * w
    return float(up @ y / up.sum()), float(down @ y / down.sum())


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("weighted", [False, True])
def test_ipw_is_an_m_estimator_differentiated_numerically(target: Any, weighted: bool) -> None:
    """Stefanski & Boos 2002: A^-1 B A^-T of the logit's scores stacked with the two means', A by finite differences."""
    y, t, x = world(400, seed=1)
    w = np.random.default_rng(5).uniform(0.5, 2, len(y)) if weighted else np.ones(len(y))
    design = np.column_stack([np.ones(len(y)), Squares.of(x)(x)])
    fitted = sm.GLM(t.astype(float), design, family=sm.families.Binomial(), freq_weights=w).fit(tol=1e-13)
    beta = np.asarray(fitted.params)

    def scores(theta: Array) -> Array:
        e = 1 / (1 + np.exp(-design @ theta[:-2]))
        up = {"ATE": t / e, "ATT": 1.0 * t, "ATC": t * (1 - e) / e}[target] * w
        down = {"ATE": (1 - t) / (1 - e), "ATT": (1 - t) * e / (1 - e), "ATC": 1.0 - t}[target] * w
        return np.column_stack([(w * (t - e))[:, None] * design, up * (y - theta[-2]), down * (y - theta[-1])])

    means = _weighted_means(y, t, np.asarray(fitted.fittedvalues), target, w)
    theta = np.array([*beta, *means])
    steps = 1e-6 * np.eye(len(theta))
    a = np.column_stack([(scores(theta + h).sum(0) - scores(theta - h).sum(0)) / 2e-6 for h in steps])
    b = scores(theta).T @ scores(theta)
    variance = np.linalg.inv(a) @ b @ np.linalg.inv(a).T
    contrast = np.array([*np.zeros(len(beta)), 1.0, -1.0])
    found = ipw(y, t, x, target=target, weights=w if weighted else None)
    # The light penalty of ours, 1/10 on standardised columns, is what differs.
    assert found.effect == pytest.approx(means[0] - means[1], abs=0.01)
    assert found.std_error == pytest.approx(np.sqrt(contrast @ variance @ contrast), rel=0.01)


@pytest.mark.parametrize("target", TARGETS)
def test_ipw_with_a_known_propensity_is_hajeks_formula(target: Any) -> None:
    y, t, x = world()
    e = np.random.default_rng(3).uniform(0.2, 0.8, len(y))
    up, down = _weighted_means(y, t, e, target, np.ones(len(y)))
    assert ipw(y, t, x, target=target, known_propensity=e).effect == pytest.approx(up - down, rel=1e-12)


def test_counting_that_the_propensity_is_estimated_narrows_the_interval() -> None:
    y, t, x = world(1000)
    logit = np.column_stack([np.ones(len(y)), Squares.of(x)(x)])
    e = np.asarray(sm.Logit(t.astype(float), logit).fit(disp=0).fittedvalues)
    known = ipw(y, t, x, known_propensity=1 / (1 + np.exp(-e)))
    assert ipw(y, t, x).std_error < 0.9 * known.std_error


def test_difference_is_welchs() -> None:
    y, t, _ = world()
    found = difference(y, t)
    theirs = stats.ttest_ind(y[t], y[~t], equal_var=False)
    inference = infer(found, t)
    interval = theirs.confidence_interval()
    assert inference.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (inference.ci_low, inference.ci_high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_difference_with_known_propensities_is_hajeks() -> None:
    y, t, _ = world()
    e = np.random.default_rng(3).uniform(0.2, 0.8, len(y))
    found = difference(y, t, known_propensity=e)
    assert found.effect == pytest.approx(np.subtract(*_weighted_means(y, t, e, "ATE", np.ones(len(y)))), rel=1e-12)


def test_blocked_difference_by_hand() -> None:
    """Two blocks: differences 3 and 1, of 4 and 6 units: 0.4 * 3 + 0.6 * 1 = 1.8, with Neyman's variance."""
    y = np.array([5.0, 3.0, 2.0, 0.0, 4.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    t = np.array([1, 1, 0, 0, 1, 1, 1, 0, 0, 0], dtype=bool)
    blocks = np.array([0] * 4 + [1] * 6)
    found = blocked_difference(y, t, blocks)
    variance = 0.4**2 * (2 / 2 + 2 / 2) + 0.6**2 * (1 / 3 + 1 / 3)
    assert found.estimate.effect == pytest.approx(1.8)
    assert found.estimate.std_error == pytest.approx(np.sqrt(variance))
    assert share_treated(t, blocks).tolist() == [0.5] * 10


def test_pairs_have_the_variance_of_their_differences() -> None:
    generator = np.random.default_rng(0)
    before, after = generator.normal(size=20), generator.normal(1.0, size=20)
    y, t = np.concatenate([after, before]), np.repeat([True, False], 20)
    found = blocked_difference(y, t, np.tile(np.arange(20), 2))
    theirs = stats.ttest_rel(after, before)
    assert found.estimate.effect / found.estimate.std_error == pytest.approx(theirs.statistic, rel=1e-9)
    assert infer(found.estimate, t).p_value == pytest.approx(theirs.pvalue, rel=1e-9)


def test_a_block_with_one_arm_is_left_out() -> None:
    y, t, blocks = np.arange(6.0), np.array([1, 1, 0, 0, 1, 1], dtype=bool), np.array([0, 0, 0, 0, 1, 1])
    found = blocked_difference(y, t, blocks)
    assert found.rows.tolist() == [True] * 4 + [False] * 2 and found.blocks == 1
    assert found.estimate.effect == blocked_difference(y[:4], t[:4], blocks[:4]).estimate.effect


def test_within_blocks_regression_is_statsmodels_with_dummies() -> None:
    y, t, x = world()
    blocks = np.arange(len(y)) % 7
    design = np.column_stack([t, x, np.eye(7)[blocks]]).astype(float)
    theirs = sm.OLS(y, design).fit(cov_type="HC1")
    found = within_blocks_regression(y, t, x, blocks)
    assert found.effect == pytest.approx(theirs.params[0], rel=1e-9)
    assert found.std_error == pytest.approx(theirs.bse[0], rel=1e-9)


METHODS: dict[str, Callable[..., Linearised]] = {
    "g_formula": g_formula,
    "ipw": ipw,
    "difference": lambda y, t, x, **more: difference(y, t, **more),
    "blocked": lambda y, t, x, **more: blocked_difference(y, t, np.arange(len(y)) % 4, **more).estimate,
}


@pytest.mark.parametrize("name", METHODS)
def test_shift_scale_and_labels(name: str) -> None:
    y, t, x = world()
    method = METHODS[name]
    plain, moved, swapped = method(y, t, x), method(100 + 3 * y, t, x), method(y, ~t, x)
    assert moved.effect == pytest.approx(3 * plain.effect, rel=1e-7)
    assert moved.std_error == pytest.approx(3 * plain.std_error, rel=1e-7)
    assert swapped.effect == pytest.approx(-plain.effect, rel=1e-6)
    assert swapped.std_error == pytest.approx(plain.std_error, rel=1e-6)


@pytest.mark.parametrize("name", ["g_formula", "ipw", "difference"])
def test_row_order_does_not_matter(name: str) -> None:
    y, t, x = world()
    order = np.random.default_rng(1).permutation(len(y))
    plain, shuffled = METHODS[name](y, t, x), METHODS[name](y[order], t[order], x[order])
    assert shuffled.effect == pytest.approx(plain.effect, rel=1e-7)
    assert shuffled.contributions == pytest.approx(plain.contributions[order], abs=1e-9)


@pytest.mark.parametrize("name", METHODS)
def test_only_the_ratios_of_sampling_weights_matter(name: str) -> None:
    y, t, x = world()
    w = np.random.default_rng(2).uniform(0.5, 2.0, len(y))
    one, other = METHODS[name](y, t, x, weights=w), METHODS[name](y, t, x, weights=1000 * w)
    assert other.effect == pytest.approx(one.effect, rel=1e-9)
    assert other.std_error == pytest.approx(one.std_error, rel=1e-9)


@pytest.mark.parametrize("name", ["g_formula", "difference"])
def test_a_unit_with_weight_two_is_two_units(name: str) -> None:
    """For the effect; the error of one unit counted twice is another one."""
    y, t, x = world(120)
    w = np.random.default_rng(2).integers(1, 4, len(y))
    twice = np.repeat(np.arange(len(y)), w)
    weighted = METHODS[name](y, t, x, weights=w.astype(float))
    replicated = METHODS[name](y[twice], t[twice], x[twice])
    tolerance = 1e-9 if name == "difference" else 2e-2
    assert weighted.effect == pytest.approx(replicated.effect, rel=tolerance)


def test_each_unit_twice_at_half_the_weight_is_the_same_study_once_its_copies_are_a_cluster() -> None:
    y, t, x = world(150)
    twice = np.tile(np.arange(len(y)), 2)
    once = ipw(y, t, x, weights=np.ones(len(y)))
    doubled = ipw(y[twice], t[twice], x[twice], weights=np.full(2 * len(y), 0.5))
    # But for the light penalty, which twice the units need half as much.
    assert doubled.effect == pytest.approx(once.effect, abs=0.02 * once.std_error)
    of_unit = np.bincount(twice, weights=doubled.contributions)
    assert np.sqrt(of_unit @ of_unit) == pytest.approx(once.std_error, rel=0.01)


@pytest.mark.parametrize("name", ["g_formula", "ipw"])
def test_intervals_cover(name: str) -> None:
    runs, hits = 200, 0
    for seed in range(runs):
        y, t, x = world(250, seed=100 + seed)
        inference = infer(METHODS[name](y, t, x), t)
        hits += inference.ci_low <= 1.0 <= inference.ci_high  # type: ignore[operator]
    assert hits / runs == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / runs))
