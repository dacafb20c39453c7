from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import tea_tasting
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW
from tea_tasting.aggr import Aggregates

from causeway.statistics import Moments, difference_in_means, sample_ratio_test

RUNS = 2000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5

outcomes = st.lists(st.integers(-1000, 1000).map(lambda tenth: tenth / 10), min_size=2, max_size=20)


def two_arms(seed: int, n: int = 40, n_control: int = 25) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(11, 3, size=n), rng.normal(10, 1, size=n_control)


def arm_of_each_run(values: np.ndarray) -> list[Moments]:
    """Moments of every row of (runs, units)."""
    means = values.mean(axis=1)
    m2 = ((values - means[:, None]) ** 2).sum(axis=1)
    return [Moments(values.shape[1], mean, m2_y) for mean, m2_y in zip(means.tolist(), m2.tolist(), strict=True)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_agrees_with_scipy(seed, alpha):
    y, y_control = two_arms(seed)
    ours = difference_in_means(Moments.from_arrays(y), Moments.from_arrays(y_control), alpha=alpha)
    theirs = stats.ttest_ind(y, y_control, equal_var=False)
    interval = theirs.confidence_interval(1 - alpha)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert ours.settings["df"] == pytest.approx(theirs.df, rel=1e-9)
    assert (ours.ci_low, ours.ci_high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_agrees_with_statsmodels():
    y, y_control = two_arms(7)
    ours = difference_in_means(Moments.from_arrays(y), Moments.from_arrays(y_control))
    theirs = CompareMeans(DescrStatsW(y), DescrStatsW(y_control))
    assert (ours.ci_low, ours.ci_high) == pytest.approx(theirs.tconfint_diff(usevar="unequal"), rel=1e-9)
    assert ours.std_error == pytest.approx(theirs.std_meandiff_separatevar, rel=1e-9)


def test_agrees_with_tea_tasting():
    arms = [Moments.from_arrays(arm) for arm in two_arms(8)]
    treated, control = (
        Aggregates(count_=arm.n, mean_={"y": arm.mean_y}, var_={"y": arm.var_y}, cov_={}) for arm in arms
    )
    theirs = tea_tasting.Mean("y").analyze_aggregates(control=control, treatment=treated)
    ours = difference_in_means(*arms)
    assert ours.effect == pytest.approx(theirs.effect_size, rel=1e-9)
    assert ours.ci_low == pytest.approx(theirs.effect_size_ci_lower, rel=1e-9)
    assert ours.ci_high == pytest.approx(theirs.effect_size_ci_upper, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert ours.relative_effect == pytest.approx(theirs.rel_effect_size, rel=1e-9)


@given(outcomes, outcomes)
def test_swapping_the_arms_flips_the_sign(y, y_control):
    treated, control = Moments.from_arrays(y), Moments.from_arrays(y_control)
    there, back = difference_in_means(treated, control), difference_in_means(control, treated)
    assert there.status == back.status
    if there.status == "ok":
        assert there.effect == -back.effect
        assert (there.ci_low, there.ci_high) == pytest.approx((-back.ci_high, -back.ci_low))
        assert there.p_value == pytest.approx(back.p_value)


@given(outcomes, outcomes, st.sampled_from([-3.0, 0.01, 1000.0, 1e-120, 1e120]))
def test_scaling_the_outcome_scales_the_effect(y, y_control, factor):
    plain = difference_in_means(Moments.from_arrays(y), Moments.from_arrays(y_control))
    scaled = difference_in_means(
        Moments.from_arrays(factor * np.array(y)), Moments.from_arrays(factor * np.array(y_control))
    )
    assert scaled.status == plain.status
    if plain.status == "ok":
        assert scaled.std_error == pytest.approx(abs(factor) * plain.std_error, rel=1e-9)
        assert scaled.effect == pytest.approx(factor * plain.effect, rel=1e-9, abs=1e-12 * abs(factor))
        assert scaled.p_value == pytest.approx(plain.p_value, rel=1e-9, abs=1e-12)
        assert scaled.settings["relative_status"] == plain.settings["relative_status"]
    if plain.relative_effect is not None:
        assert scaled.relative_effect == pytest.approx(plain.relative_effect, rel=1e-9, abs=1e-12)


@given(outcomes, outcomes, st.integers(-1000, 1000))
def test_adding_a_constant_leaves_the_effect(y, y_control, constant):
    plain = difference_in_means(Moments.from_arrays(y), Moments.from_arrays(y_control))
    moved = difference_in_means(
        Moments.from_arrays(np.array(y) + constant), Moments.from_arrays(np.array(y_control) + constant)
    )
    assert moved.status == plain.status
    if plain.status == "ok":
        assert moved.effect == pytest.approx(plain.effect, abs=1e-9)
        assert moved.std_error == pytest.approx(plain.std_error, rel=1e-9)


@given(outcomes, outcomes)
def test_absolute_and_relative_interval_exclude_no_effect_together(y, y_control):
    far_from_zero = 500
    result = difference_in_means(
        Moments.from_arrays(np.array(y) + far_from_zero),
        Moments.from_arrays(np.array(y_control) + far_from_zero),
    )
    assume(result.status == "ok" and result.relative_effect is not None)
    assume(abs(result.p_value - 0.05) > 1e-6)
    absolute = result.ci_low > 0 or result.ci_high < 0
    relative = result.relative_ci_low > 0 or result.relative_ci_high < 0
    assert absolute == relative == (result.p_value < 0.05)


def test_the_interval_covers_the_true_effect_in_95_of_100_trials():
    rng = np.random.default_rng(11)
    treated = arm_of_each_run(rng.normal(12, 4, size=(RUNS, 12)))
    control = arm_of_each_run(rng.normal(10, 1, size=(RUNS, 30)))
    results = [difference_in_means(*arms) for arms in zip(treated, control, strict=True)]
    covered = np.mean([result.ci_low <= 2 <= result.ci_high for result in results])
    relative = np.mean([result.relative_ci_low <= 0.2 <= result.relative_ci_high for result in results])
    assert abs(covered - 0.95) < THREE_ERRORS
    assert abs(relative - 0.95) < THREE_ERRORS


def test_five_of_100_trials_without_an_effect_are_significant():
    rng = np.random.default_rng(12)
    treated = arm_of_each_run(rng.exponential(5, size=(RUNS, 200)))
    control = arm_of_each_run(rng.exponential(5, size=(RUNS, 300)))
    p_values = [difference_in_means(*arms).p_value for arms in zip(treated, control, strict=True)]
    assert abs(np.mean(np.array(p_values) < 0.05) - 0.05) < THREE_ERRORS


@pytest.mark.parametrize(
    ("y", "y_control", "status"),
    [
        ([], [1.0, 2.0], "no_units"),
        ([], [], "no_units"),
        ([1.0, 2.0], [], "no_units"),
        ([1.0], [1.0, 2.0], "too_few_units"),
        ([1.0, 2.0], [5.0], "too_few_units"),
        ([3.0, 3.0], [1.0, 1.0], "zero_variance"),
        ([0.1] * 10, [0.3] * 7, "zero_variance"),
        ([0.0, 0.0], [0.0, 0.0], "zero_variance"),
    ],
)
def test_what_cannot_be_estimated_has_a_status_and_no_number(y, y_control, status):
    result = difference_in_means(Moments.from_arrays(y), Moments.from_arrays(y_control))
    assert result.status == status
    assert (result.n, result.n_control) == (len(y), len(y_control))
    assert (result.effect, result.std_error, result.p_value, result.relative_effect) == (None,) * 4
    assert (result.mean is None) == (not y)
    assert (result.mean_control is None) == (not y_control)


def test_one_constant_arm_leaves_the_uncertainty_to_the_other():
    y = [1.0, 2.0, 4.0]
    result = difference_in_means(Moments.from_arrays(y), Moments.from_arrays([1.0, 1.0, 1.0, 1.0]))
    assert result.status == "ok"
    assert result.settings["df"] == pytest.approx(2)
    assert result.p_value == pytest.approx(stats.ttest_1samp(y, 1.0).pvalue, rel=1e-9)


def test_a_spread_too_small_to_be_squared_is_no_variance():
    result = difference_in_means(Moments(100, 0.0, 5e-322), Moments(100, 0.0, 5e-322))
    assert result.status == "zero_variance"


def test_a_control_mean_near_zero_has_an_effect_but_no_relative_one():
    result = difference_in_means(Moments.from_arrays([5.0, 6.0, 7.0]), Moments.from_arrays([-1.0, 0.0, 1.0]))
    assert result.status == "ok"
    assert (result.relative_effect, result.relative_ci_low, result.relative_ci_high) == (None, None, None)
    assert result.settings["relative_status"] == "denominator_not_separated_from_zero"


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, float("nan")])
def test_an_impossible_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        difference_in_means(Moments.from_arrays([1.0, 2.0]), Moments.from_arrays([1.0, 3.0]), alpha=alpha)


def test_settings_are_json():
    result = difference_in_means(*[Moments.from_arrays(arm) for arm in two_arms(3)])
    assert json.loads(json.dumps(result.settings)) == result.settings
    assert all(type(number) is float for number in (result.effect, result.p_value, result.relative_ci_low))


HILLSTROM = [
    # metric, arm, effect, standard error, digits printed: in percentage points, spend in dollars
    ("visit", "Mens E-Mail", 7.659, 0.339, 3),
    ("visit", "Womens E-Mail", 4.523, 0.323, 3),
    ("conversion", "Mens E-Mail", 0.681, 0.092, 3),
    ("conversion", "Womens E-Mail", 0.311, 0.082, 3),
    ("spend", "Mens E-Mail", 0.770, 0.145, 3),
    ("spend", "Womens E-Mail", 0.424, 0.130, 3),
]


@pytest.fixture(scope="module")
def hillstrom(reference_data):
    return pl.read_csv(reference_data / "hillstrom" / "hillstrom.csv", infer_schema_length=None)


def moments_of(frame: pl.DataFrame, arm: str, metric: str) -> Moments:
    return Moments.from_arrays(frame.filter(pl.col("segment") == arm)[metric].to_numpy())


@pytest.mark.parametrize(("metric", "arm", "effect", "std_error", "digits"), HILLSTROM)
def test_hillstrom_email_campaign_to_the_printed_digit(hillstrom, metric, arm, effect, std_error, digits):
    found = difference_in_means(moments_of(hillstrom, arm, metric), moments_of(hillstrom, "No E-Mail", metric))
    unit = 1 if metric == "spend" else 100
    assert round(unit * found.effect, digits) == effect
    assert round(unit * found.std_error, digits) == std_error


@pytest.mark.parametrize(("womens", "effect", "std_error"), [(0, 1.11, 0.44), (1, 7.31, 0.46)])
def test_hillstrom_womens_mail_works_where_it_fits(hillstrom, womens, effect, std_error):
    segment = hillstrom.filter(pl.col("womens") == womens)
    arms = [moments_of(segment, arm, "visit") for arm in ("Womens E-Mail", "No E-Mail")]
    found = difference_in_means(*arms)
    assert (round(100 * found.effect, 2), round(100 * found.std_error, 2)) == (effect, std_error)


def test_hillstrom_arms_have_their_declared_sizes(hillstrom):
    sizes = dict(hillstrom.group_by("segment").len().iter_rows())
    assert sizes == {"No E-Mail": 21_306, "Mens E-Mail": 21_307, "Womens E-Mail": 21_387}
    assert round(sample_ratio_test(sizes, dict.fromkeys(sizes, 1.0)).p_value, 3) == 0.904


def test_lalonde_experiment_to_the_printed_digit(reference_data):
    frame = pl.read_csv(reference_data / "lalonde" / "nsw_dw.csv")
    arms = [Moments.from_arrays(frame.filter(pl.col("treat") == arm)["re78"].to_numpy()) for arm in (1, 0)]
    found = difference_in_means(*arms)
    assert (round(found.effect, 2), round(found.std_error, 2)) == (1794.34, 671.00)
