from __future__ import annotations

import json

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from causeway.statistics import Moments, difference_in_means, relative_effect
from causeway.statistics.comparison import EstimatedMean
from causeway.statistics.contrasts import contrast_name, estimated_mean, linear_contrast, trend_coefficients
from causeway.statistics.linear_hypothesis import linear_hypothesis

RUNS = 2000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5
FOUR = {"none": (10.0, 1.0, 30), "low": (11.0, 2.0, 12), "mid": (12.0, 3.0, 20), "high": (14.0, 0.5, 9)}


def groups(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(mean, sd, size=n) for name, (mean, sd, n) in FOUR.items()}


def arms_of(found: dict[str, np.ndarray]) -> dict[str, EstimatedMean]:
    return {name: estimated_mean(Moments.from_arrays(y)) for name, y in found.items()}


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_one_against_one_is_the_difference_in_means(alpha):
    y = groups(1)
    ours = linear_contrast(arms_of(y), {"high": 1, "low": -1}, alpha=alpha)
    theirs = difference_in_means(Moments.from_arrays(y["high"]), Moments.from_arrays(y["low"]), alpha=alpha)
    for name in ("n", "n_control", "mean", "mean_control", "effect", "std_error", "ci_low", "ci_high", "p_value"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-12)
    for name in ("relative_effect", "relative_ci_low", "relative_ci_high"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-12)
    assert ours.settings["df"] == pytest.approx(theirs.settings["df"], rel=1e-12)


@pytest.mark.parametrize(
    "coefficients",
    [
        {"high": 0.5, "mid": 0.5, "none": -1},
        {"none": -3, "low": -1, "mid": 1, "high": 3},
        {"none": 1, "low": -2, "high": 1},
    ],
)
def test_agrees_with_statsmodels_on_cell_means(coefficients):
    """OLS on one dummy an arm with HC2: s**2 / n in each. Its t has N - k degrees of freedom, ours Satterthwaite's."""
    y = groups(2)
    labels = np.repeat(list(y), [len(each) for each in y.values()])
    dummies = (labels[:, None] == np.array(list(y))).astype(float)
    fit = sm.OLS(np.concatenate(list(y.values())), dummies).fit(cov_type="HC2")
    theirs = fit.t_test(np.array([coefficients.get(name, 0) for name in y], dtype=float))
    ours = linear_contrast(arms_of(y), coefficients)
    assert ours.effect == pytest.approx(float(np.squeeze(theirs.effect)), rel=1e-9)
    assert ours.std_error == pytest.approx(float(np.squeeze(theirs.sd)), rel=1e-9)
    test = linear_hypothesis(
        [each.mean() for each in y.values()],
        [each.var(ddof=1) / len(each) for each in y.values()],
        [len(each) - 1 for each in y.values()],
        [coefficients.get(name, 0) for name in y],
    )
    assert ours.p_value == pytest.approx(test.p_value, rel=1e-9)
    assert ours.settings["df"] == pytest.approx(test.df_denominator, rel=1e-9)


def test_a_trend_is_the_slope_of_the_means_on_the_doses():
    y, doses = groups(3), {"none": 0.0, "low": 2.0, "mid": 5.0, "high": 10.0}
    slope = np.polyfit(list(doses.values()), [each.mean() for each in y.values()], 1)[0]
    assert linear_contrast(arms_of(y), trend_coefficients(doses)).effect == pytest.approx(slope, rel=1e-9)


def test_the_sides_of_a_contrast_are_weighted_means():
    arms = {name: EstimatedMean(10, value, 0.1) for name, value in (("a", 4.0), ("b", 8.0), ("c", 5.0))}
    found = linear_contrast(arms, {"a": 1, "b": 1, "c": -2})
    assert (found.mean, found.mean_control, found.settings["weight"]) == (6.0, 5.0, 2.0)
    assert found.effect == found.settings["weight"] * (found.mean - found.mean_control) == 2.0
    assert found.relative_effect == pytest.approx(0.2)
    assert (found.n, found.n_control) == (20, 10)
    assert found.settings["contrast"] == "a + b - 2 c"


def test_the_relative_interval_is_that_of_the_two_weighted_means():
    arms = {name: EstimatedMean(10, value, 0.1) for name, value in (("a", 4.0), ("b", 8.0), ("c", 5.0))}
    found = linear_contrast(arms, {"a": 1, "b": 1, "c": -2})
    quantile = stats.t.isf(0.025, found.settings["df"])
    fieller = relative_effect(6.0, 5.0, variance=0.05, variance_control=0.1, critical_value=quantile)
    assert (found.relative_ci_low, found.relative_ci_high) == pytest.approx((fieller.ci_low, fieller.ci_high), rel=1e-9)


@given(st.integers(0, 1000), st.sampled_from([-2.0, 0.25, 1000.0]))
def test_scaling_the_coefficients_scales_the_effect_alone(seed, factor):
    arms = arms_of(groups(seed))
    plain = linear_contrast(arms, {"high": 1, "low": -0.5, "none": -0.5})
    scaled = linear_contrast(arms, {"high": factor, "low": -0.5 * factor, "none": -0.5 * factor})
    assert scaled.effect == pytest.approx(factor * plain.effect, rel=1e-9)
    assert scaled.std_error == pytest.approx(abs(factor) * plain.std_error, rel=1e-9)
    assert scaled.p_value == pytest.approx(plain.p_value, rel=1e-9)
    bounds = sorted([factor * plain.ci_low, factor * plain.ci_high])
    assert (scaled.ci_low, scaled.ci_high) == pytest.approx(bounds, rel=1e-9)


def test_the_interval_covers_and_five_of_100_null_trends_are_significant():
    rng = np.random.default_rng(41)
    spread = {"none": (1.0, 8), "half": (4.0, 12), "full": (2.0, 30)}
    coefficients = trend_coefficients({"none": 0, "half": 1, "full": 2})
    drawn = {name: rng.normal(3, sd, size=(RUNS, n)) for name, (sd, n) in spread.items()}
    found = [
        linear_contrast(
            {
                name: EstimatedMean(y.shape[1], float(y[run].mean()), float(y[run].var(ddof=1)) / y.shape[1])
                for name, y in drawn.items()
            },
            coefficients,
        )
        for run in range(RUNS)
    ]
    assert abs(np.mean([each.ci_low <= 0 <= each.ci_high for each in found]) - 0.95) < THREE_ERRORS
    assert abs(np.mean([each.p_value < 0.05 for each in found]) - 0.05) < THREE_ERRORS


@pytest.mark.parametrize(
    ("coefficients", "why"),
    [
        ({"high": 1, "low": -0.9}, "sum to zero"),
        ({"high": 0.9, "low": -1}, "sum to zero"),
        ({"high": 1, "other": -1}, "unknown"),
        ({"high": 0, "low": 0}, "not zero"),
        ({}, "not zero"),
        ({"high": float("nan"), "low": -1}, "finite"),
    ],
)
def test_a_wrong_contrast_is_refused(coefficients, why):
    with pytest.raises(ValueError, match=why):
        linear_contrast(arms_of(groups(1)), coefficients)


def test_a_third_of_each_still_sums_to_zero():
    third = 1 / 3
    linear_contrast(arms_of(groups(1)), {"low": third, "mid": third, "high": third, "none": -1})


@pytest.mark.parametrize(
    ("arm", "status"), [([], "no_units"), ([1.0], "too_few_units"), ([2.0, 2.0], "zero_variance"), ([1.0, 2.0], "ok")]
)
def test_what_cannot_be_estimated_has_a_status(arm, status):
    arms = {"a": estimated_mean(Moments.from_arrays(arm)), "b": estimated_mean(Moments.from_arrays([1.0, 1.0]))}
    found = linear_contrast(arms, {"a": 1, "b": -1})
    assert found.status == status
    assert json.loads(json.dumps(found.settings)) == found.settings


def test_an_arm_without_a_coefficient_is_not_looked_at():
    arms = {**arms_of(groups(1)), "empty": estimated_mean(Moments.empty())}
    assert linear_contrast(arms, {"high": 1, "low": -1, "empty": 0}).status == "ok"


def test_degrees_of_freedom_may_be_given():
    arms = arms_of(groups(1))
    found = linear_contrast(arms, {"high": 1, "low": -1}, dfs={"high": 2, "low": 2})
    v, w = arms["high"].variance, arms["low"].variance
    assert found.settings["df"] == pytest.approx((v + w) ** 2 / (v**2 / 2 + w**2 / 2))
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(found.effect) / found.std_error, found.settings["df"]))


@pytest.mark.parametrize("doses", [{"a": 1.0}, {"a": 1.0, "b": 1.0}, {"a": 1.0, "b": float("inf")}])
def test_a_trend_needs_two_doses(doses):
    with pytest.raises(ValueError, match="two different"):
        trend_coefficients(doses)


def test_names_of_contrasts():
    assert contrast_name({"low": -1, "high": 1}) == "high - low"
    assert contrast_name({"a": 1.5, "b": -0.5, "c": -1}) == "1.5 a - 0.5 b - c"
