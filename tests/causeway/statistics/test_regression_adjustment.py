from __future__ import annotations

import json

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st

from causeway.statistics import Moments, adjusted_effect, difference_in_means

RUNS = 2000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5


def trial(seed: int, n: int = 60, n_control: int = 40, scale: float = 1.0):
    """Outcomes and scores of both arms; the effect is 2 at the mean score of 5, and grows with the score."""
    rng = np.random.default_rng(seed)
    x, x_control = rng.normal(5, 2, size=n), rng.normal(5, 2, size=n_control)
    y = scale * (12 + 1.5 * (x - 5) + rng.normal(0, 1, size=n))
    y_control = scale * (10 + 1.0 * (x_control - 5) + rng.normal(0, 1.5, size=n_control))
    return y, x, y_control, x_control


def adjusted(y, x, y_control, x_control, **settings):
    return adjusted_effect(Moments.from_arrays(y, x), Moments.from_arrays(y_control, x_control), **settings)


def simulated(rng, response, noise, n, n_control):
    """Results of RUNS trials with a fresh sample of scores each; response(t, x) is the expected outcome."""
    arms = []
    for t, size in ((1, n), (0, n_control)):
        x = rng.normal(size=(RUNS, size))
        y = response(t, x) + noise(t, x) * rng.normal(size=x.shape)
        mean_y, mean_x = y.mean(axis=1), x.mean(axis=1)
        dy, dx = y - mean_y[:, None], x - mean_x[:, None]
        columns = (mean_y, (dy * dy).sum(axis=1), mean_x, (dx * dx).sum(axis=1), (dx * dy).sum(axis=1))
        arms.append([Moments(size, *row) for row in np.column_stack(columns).tolist()])
    return [adjusted_effect(*pair) for pair in zip(*arms, strict=True)]


def share_covering(results, truth):
    return np.mean([result.ci_low <= truth <= result.ci_high for result in results])


@pytest.mark.parametrize("seed", range(4))
def test_effect_is_the_coefficient_of_the_interacted_regression(seed):
    y, x, y_control, x_control = trial(seed)
    both_x = np.concatenate([x, x_control])
    t = np.repeat([1.0, 0.0], [len(y), len(y_control)])
    centred = both_x - both_x.mean()
    design = np.column_stack([np.ones_like(t), t, centred, t * centred])
    fit = sm.OLS(np.concatenate([y, y_control]), design).fit()
    ours = adjusted(y, x, y_control, x_control)
    assert ours.effect == pytest.approx(fit.params[1], rel=1e-9)
    assert ours.mean_control == pytest.approx(fit.params[0], rel=1e-9)
    assert ours.settings["slope_control"] == pytest.approx(fit.params[2], rel=1e-9)
    assert ours.settings["slope"] == pytest.approx(fit.params[2] + fit.params[3], rel=1e-9)
    assert ours.effect == pytest.approx(ours.mean - ours.mean_control, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_variance_is_that_of_both_lines_at_the_pooled_mean_plus_that_of_the_mean(seed):
    y, x, y_control, x_control = trial(seed)
    both_x = np.concatenate([x, x_control])
    at = np.array([[1.0, both_x.mean()]])
    fits = [sm.OLS(b, sm.add_constant(a)).fit() for b, a in ((y, x), (y_control, x_control))]
    lines = sum(float(fit.get_prediction(at).se_mean[0] ** 2) for fit in fits)
    slopes = fits[0].params[1] - fits[1].params[1]
    expected = lines + slopes**2 * both_x.var(ddof=1) / len(both_x)
    ours = adjusted(y, x, y_control, x_control)
    assert ours.std_error**2 == pytest.approx(expected, rel=1e-9)
    residual = sum(float((fit.resid**2).sum()) for fit in fits)
    within = y.var() * len(y) + y_control.var() * len(y_control)
    assert ours.settings["r_squared"] == pytest.approx(1 - residual / within, rel=1e-9)


def test_standard_error_agrees_with_hc2_in_a_large_trial_with_parallel_lines():
    rng = np.random.default_rng(5)
    n = 20_000
    x, t = rng.normal(size=2 * n), np.repeat([1.0, 0.0], n)
    y = 0.3 * t + x + rng.normal(size=2 * n) * np.where(t == 1, 2.0, 1.0) * (0.5 + np.abs(x))
    centred = x - x.mean()
    fit = sm.OLS(y, np.column_stack([np.ones_like(t), t, centred, t * centred])).fit(cov_type="HC2")
    ours = adjusted(y[:n], x[:n], y[n:], x[n:])
    assert ours.std_error == pytest.approx(fit.bse[1], rel=0.005)


def test_a_score_that_explains_nothing_leaves_the_plain_answer():
    """Balanced and uncorrelated by construction: the adjusted and the plain effect are the same number."""
    x = np.tile([-1.0, 1.0], 20)
    y, y_control = np.repeat(np.arange(20.0), 2), np.repeat(np.arange(20.0) ** 1.2, 2)
    plain = difference_in_means(Moments.from_arrays(y), Moments.from_arrays(y_control))
    ours = adjusted(y, x, y_control, x)
    assert ours.effect == pytest.approx(plain.effect, rel=1e-12)
    assert ours.settings["r_squared"] == pytest.approx(0, abs=1e-12)
    assert ours.settings["variance_ratio"] == pytest.approx(39 / 38, rel=1e-9)


def test_variance_falls_by_the_share_that_the_score_explains():
    """One minus R squared, the rule by which twins save units (Schuler et al. 2022), with one slope."""
    rng = np.random.default_rng(6)
    x, x_control = rng.normal(size=(2, 50_000))
    y, y_control = x + rng.normal(size=50_000), x_control + rng.normal(size=50_000)
    settings = adjusted(y, x, y_control, x_control).settings
    assert settings["r_squared"] == pytest.approx(0.5, abs=0.01)
    assert settings["variance_ratio"] == pytest.approx(1 - settings["r_squared"], abs=1e-3)


rows = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=15)


def columns(pairs):
    return np.array([y for y, _ in pairs], dtype=float), np.array([x for _, x in pairs], dtype=float)


@given(rows, rows)
def test_swapping_the_arms_flips_the_sign(treated, control):
    there, back = (
        adjusted(*columns(treated), *columns(control)),
        adjusted(*columns(control), *columns(treated)),
    )
    assert there.status == back.status
    assume(there.status == "ok")
    assert there.effect == pytest.approx(-back.effect, abs=1e-9)
    assert there.p_value == pytest.approx(back.p_value, rel=1e-6, abs=1e-12)


@given(rows, rows, st.integers(-100, 100), st.sampled_from([-2.0, 1e-100, 1e100]), st.sampled_from([0, 7, -30]))
def test_only_the_unit_of_the_outcome_matters_to_the_effect(treated, control, shift, x_factor, x_shift):
    """Outcome moved, score stretched and moved: the effect and its standard error stay what they were."""
    (y, x), (y_control, x_control) = columns(treated), columns(control)
    plain = adjusted(y, x, y_control, x_control)
    other = adjusted(y + shift, x_factor * (x + x_shift), y_control + shift, x_factor * (x_control + x_shift))
    assert other.status == plain.status
    assume(plain.status == "ok")
    assert other.effect == pytest.approx(plain.effect, rel=1e-6, abs=1e-6)
    assert other.std_error == pytest.approx(plain.std_error, rel=1e-6)


def test_scaling_the_outcome_scales_the_effect():
    plain, scaled = adjusted(*trial(9)), adjusted(*trial(9, scale=1000))
    assert scaled.effect == pytest.approx(1000 * plain.effect, rel=1e-9)
    assert scaled.std_error == pytest.approx(1000 * plain.std_error, rel=1e-9)
    assert scaled.relative_ci_low == pytest.approx(plain.relative_ci_low, rel=1e-9)


def test_the_interval_covers_where_effects_grow_with_the_score():
    """Opposite slopes: most of the variance is that of the pooled mean score; without it 58 % are covered."""
    results = simulated(
        np.random.default_rng(31),
        lambda t, x: 10 + 2 * t + (3 if t else -3) * x,
        lambda t, x: 1.5 + 0 * x,
        40,
        40,
    )
    assert abs(share_covering(results, 2.0) - 0.95) < THREE_ERRORS
    relative = np.mean([result.relative_ci_low <= 0.2 <= result.relative_ci_high for result in results])
    assert abs(relative - 0.95) < THREE_ERRORS


def test_the_interval_covers_in_small_arms_of_unequal_size_and_variance():
    results = simulated(
        np.random.default_rng(32),
        lambda t, x: 10 + t + 2 * x,
        lambda t, x: (3.0 if t else 1.0) + 0 * x,
        8,
        25,
    )
    assert abs(share_covering(results, 1.0) - 0.95) < THREE_ERRORS
    relative = np.mean([result.relative_ci_low <= 0.1 <= result.relative_ci_high for result in results])
    assert abs(relative - 0.95) < THREE_ERRORS


def test_the_interval_covers_although_the_line_is_wrong():
    """The outcome bends and its noise grows with the score: what carries the answer is randomisation."""
    results = simulated(
        np.random.default_rng(33), lambda t, x: t + np.exp(0.7 * x), lambda t, x: 0.5 + np.abs(x), 150, 250
    )
    assert abs(share_covering(results, 1.0) - 0.95) < THREE_ERRORS


def test_five_of_100_trials_without_an_effect_are_significant():
    results = simulated(np.random.default_rng(34), lambda t, x: 2 * x, lambda t, x: 1 + 0 * x, 30, 60)
    rate = np.mean([result.p_value < 0.05 for result in results])
    assert abs(rate - 0.05) < THREE_ERRORS
    assert np.mean([result.settings["variance_ratio"] for result in results]) < 0.3


@pytest.mark.parametrize(
    ("treated", "control", "status"),
    [
        (([], []), ([1.0, 2.0, 4.0], [1.0, 2.0, 3.0]), "no_units"),
        (([1.0], [1.0]), ([1.0, 2.0, 4.0], [1.0, 2.0, 3.0]), "too_few_units"),
        (([1.0, 3.0], [1.0, 2.0]), ([1.0, 2.0, 4.0], [1.0, 2.0, 3.0]), "not_estimable"),
        (([1.0, 3.0, 2.0], [5.0, 5.0, 5.0]), ([1.0, 2.0, 4.0], [5.0, 5.0, 5.0]), "no_covariates"),
        (([1.0, 3.0, 2.0], [0.1, 0.1, 0.1]), ([1.0, 2.0, 4.0, 3.0], [0.1, 0.1, 0.1, 0.1]), "no_covariates"),
        (([1.0, 3.0, 2.0], [6.0, 6.0, 6.0]), ([1.0, 2.0, 4.0], [5.0, 5.0, 5.0]), "not_estimable"),
        (([1.0, 3.0, 2.0], [1.0, 2.0, 3.0]), ([1.0, 2.0, 4.0], [5.0, 5.0, 5.0]), "not_estimable"),
        (([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]), ([3.0, 5.0, 7.0], [1.0, 2.0, 3.0]), "zero_variance"),
        (([0.3, 0.6, 0.9], [0.1, 0.2, 0.3]), ([0.7, 1.4, 2.1], [0.1, 0.2, 0.3]), "zero_variance"),
        (([0.0, 0.0, 0.0], [1.0, 2.0, 3.0]), ([0.0, 0.0, 0.0], [1.0, 2.0, 3.0]), "zero_variance"),
    ],
)
def test_what_cannot_be_adjusted_has_a_status_a_reason_and_no_number(treated, control, status):
    result = adjusted(*treated, *control)
    assert result.status == status
    assert result.settings["reason"]
    assert (result.effect, result.std_error, result.p_value, result.mean) == (None, None, None, None)


def test_moments_without_a_score_have_no_covariates():
    arms = Moments.from_arrays([1.0, 2.0, 4.0]), Moments.from_arrays([1.0, 2.0, 3.0])
    assert adjusted_effect(*arms).status == "no_covariates"


def test_settings_are_json():
    result = adjusted(*trial(3))
    assert json.loads(json.dumps(result.settings)) == result.settings


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_an_impossible_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        adjusted(*trial(1), alpha=alpha)
