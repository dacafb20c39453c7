from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from causeway.simulate.metric_worlds import MetricWorld, clicks_per_session
from causeway.statistics import Effect, JointMoments, difference_in_means
from causeway.statistics.ratio import LOST, WEAK, denominator_cv, difference_in_ratios, linearised

RUNS = 2000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5

# Denominators of about 100: their mean is far from zero whatever is drawn.
rows = st.lists(st.tuples(st.integers(-50, 50), st.integers(95, 105)), min_size=2, max_size=20)


def arm(y, d) -> JointMoments:
    return JointMoments.from_arrays({"outcome": np.asarray(y, float), "denominator": np.asarray(d, float)})


def of_rows(pairs, y_factor=1.0, d_factor=1.0) -> JointMoments:
    return arm(y_factor * np.array([y for y, _ in pairs]), d_factor * np.array([d for _, d in pairs]))


def results_of(world: MetricWorld) -> list[Effect]:
    return [difference_in_ratios(*arms) for arms in world.arms()]


def covering(results: list[Effect], truth: float) -> float:
    return float(np.mean([result.ci_low <= truth <= result.ci_high for result in results]))


def weak_arms(seed: int = 3, n: int = 60) -> tuple[JointMoments, JointMoments]:
    """Denominators that most units do not have: coefficients of variation of the mean around 0.2."""
    rng = np.random.default_rng(seed)
    found = []
    for rate in (0.5, 0.2):
        d = rng.poisson(0.5, size=n)
        found.append(arm(rng.binomial(d, rate), d))
    assert all(WEAK < denominator_cv(each, "denominator") < LOST for each in found)
    return found[0], found[1]


@given(rows, rows)
def test_with_one_denominator_a_unit_the_ratio_is_the_mean(treated, control):
    ones = [arm([y for y, _ in pairs], np.ones(len(pairs))) for pairs in (treated, control)]
    ratio = difference_in_ratios(*ones)
    mean = difference_in_means(*(each.moments("outcome") for each in ones))
    assert ratio.status == mean.status
    if mean.status == "ok":
        for name in ("effect", "std_error", "ci_low", "ci_high", "p_value", "relative_effect", "relative_ci_high"):
            expected = getattr(mean, name)
            assert getattr(ratio, name) == (None if expected is None else pytest.approx(expected, rel=1e-9, abs=1e-12))


@given(rows, rows)
def test_swapping_the_arms_flips_the_sign(treated, control):
    there, back = (difference_in_ratios(of_rows(a), of_rows(b)) for a, b in ((treated, control), (control, treated)))
    assert there.status == back.status
    if there.status == "ok":
        assert there.effect == -back.effect
        assert there.p_value == pytest.approx(back.p_value)


@given(rows, rows, st.sampled_from([0.01, 1000.0, 1e-100, 1e100]), st.sampled_from([-1.0, 0.01, 1e6]))
def test_only_the_units_of_measurement_matter_to_the_effect(treated, control, y_factor, d_factor):
    plain = difference_in_ratios(of_rows(treated), of_rows(control))
    scaled = difference_in_ratios(of_rows(treated, y_factor, d_factor), of_rows(control, y_factor, d_factor))
    assert scaled.status == plain.status
    assume(plain.status == "ok")
    factor = y_factor / d_factor
    assert scaled.effect == pytest.approx(factor * plain.effect, rel=1e-9, abs=1e-12 * abs(factor))
    assert scaled.std_error == pytest.approx(abs(factor) * plain.std_error, rel=1e-9)
    assert scaled.p_value == pytest.approx(plain.p_value, rel=1e-9, abs=1e-12)


@given(rows, rows)
def test_adding_a_multiple_of_the_denominator_moves_both_ratios_alike(treated, control):
    """(y + 3 d) / d = y / d + 3, although every sum has changed."""
    moved = [arm([y + 3 * d for y, d in pairs], [d for _, d in pairs]) for pairs in (treated, control)]
    plain, other = difference_in_ratios(of_rows(treated), of_rows(control)), difference_in_ratios(*moved)
    assert other.status == plain.status
    assume(plain.status == "ok")
    assert other.mean == pytest.approx(plain.mean + 3, rel=1e-9)
    assert other.std_error == pytest.approx(plain.std_error, rel=1e-6)


def test_a_unit_without_denominators_counts():
    """It belongs to the sums, and it makes the ratio less certain than the same sums without it."""
    y, d = [1.0, 2.0, 0.0, 3.0, 2.0, 2.0] * 20, [5.0, 5.0, 0.0, 5.0, 5.0, 6.0] * 20
    with_idle, without = arm(y, d), arm([v for v, w in zip(y, d, strict=True) if w], [w for w in d if w])
    other = arm([1.0, 1.0, 2.0, 0.0] * 30, [5.0, 4.0, 5.0, 5.0] * 30)
    kept, left_out = difference_in_ratios(with_idle, other), difference_in_ratios(without, other)
    assert kept.n == 120
    assert kept.mean == pytest.approx(sum(y) / sum(d))
    assert kept.mean == pytest.approx(left_out.mean)
    assert kept.std_error == pytest.approx(left_out.std_error, rel=0.02)


def test_units_are_what_varies_not_denominators():
    """Ten users with a hundred sessions each say less than a thousand users with one: 17 times the variance here."""
    rng = np.random.default_rng(4)
    rates = rng.beta(2, 8, size=(2, 200))
    few = [arm(100 * rate, np.full(200, 100.0)) for rate in rates]
    naive = np.sqrt(sum(each.mean("outcome") / 100 * (1 - each.mean("outcome") / 100) / 20_000 for each in few))
    assert difference_in_ratios(*few).std_error > 2 * naive


def test_linearised_moments_are_those_of_the_linearised_values():
    rng = np.random.default_rng(5)
    y, d, x = rng.normal(5, 1, 40), rng.poisson(6, 40), rng.normal(size=40)
    z = y.mean() / d.mean() + (y - y.mean() / d.mean() * d) / d.mean()
    found = linearised(
        JointMoments.from_arrays({"x": x, "outcome": y, "w": x * y, "denominator": d}),
        "outcome",
        "denominator",
        ["w", "x"],
    )
    expected = JointMoments.from_arrays({"outcome": z, "w": x * y, "x": x})
    assert (found.names, found.n) == (expected.names, 40)
    assert found.means == pytest.approx(expected.means, rel=1e-12)
    assert found.comoments == pytest.approx(expected.comoments, rel=1e-9)


@pytest.mark.parametrize("units", [(600, 600), (900, 500)])
def test_the_interval_covers_where_sessions_are_skewed_and_the_treated_have_more(units):
    world = clicks_per_session(np.random.default_rng(21), RUNS, units, effect=0.1, more_sessions=0.2)
    results = [result for result in results_of(world) if result.status == "ok"]
    assert len(results) > 0.99 * RUNS
    assert abs(covering(results, world.effect) - 0.95) < THREE_ERRORS
    assert np.mean([result.effect for result in results]) == pytest.approx(world.effect, abs=0.002)


def test_five_of_100_trials_without_an_effect_are_significant():
    world = clicks_per_session(np.random.default_rng(22), RUNS, (400, 800), more_sessions=0.5)
    rate = np.mean([result.p_value < 0.05 for result in results_of(world) if result.status == "ok"])
    assert abs(rate - 0.05) < THREE_ERRORS


def test_where_the_denominator_is_weak_fieller_covers_and_the_delta_method_would_not():
    """Why there is WEAK: 60 units an arm, one in four with a denominator, coefficients of variation around 0.24."""
    rng = np.random.default_rng(23)
    d = rng.poisson(0.3, size=(2, RUNS, 60))
    y = [rng.binomial(d[0], 0.6), rng.binomial(d[1], 0.2)]
    world = MetricWorld(*({"outcome": y[i] * 1.0, "denominator": d[i] * 1.0} for i in (0, 1)), 0.4)
    results = results_of(world)
    answered = [result for result in results if result.status == "ok"]
    assert len(answered) > 0.85 * RUNS
    assert all(result.settings["interval"] == "fieller" for result in answered)
    assert abs(covering(answered, 0.4) - 0.95) < THREE_ERRORS
    assert {result.status for result in results} == {"ok", "not_estimable"}
    delta = [
        difference_in_means(*(linearised(each, "outcome", "denominator").moments("outcome") for each in arms))
        for arms, result in zip(world.arms(), results, strict=True)
        if result.status == "ok"
    ]
    assert covering(delta, 0.4) < 0.93


def test_limits_of_weak_denominators_by_hand():
    """Fieller's limits as the roots of (Y - r D)**2 = q**2 (v_y - 2 r c + r**2 v_d), then Zou and Donner's sum."""
    treated, control = weak_arms()
    result = difference_in_ratios(treated, control)
    q = stats.t.isf(0.025, result.settings["df"])
    limits = []
    for each in (treated, control):
        v_y, c, v_d = np.array(each.comoments) / (each.n - 1) / each.n
        y, d = each.means
        limits.append((y / d, *sorted(np.roots([d * d - q * q * v_d, -2 * (y * d - q * q * c), y * y - q * q * v_y]))))
    (r, low, high), (r_control, low_control, high_control) = limits
    assert result.settings["interval"] == "fieller"
    assert result.effect == pytest.approx(r - r_control)
    assert result.ci_low == pytest.approx(r - r_control - np.hypot(r - low, high_control - r_control), rel=1e-9)
    assert result.ci_high == pytest.approx(r - r_control + np.hypot(high - r, r_control - low_control), rel=1e-9)
    assert result.relative_effect is None
    assert result.settings["relative_status"] == "weak_denominator"


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("swapped", [False, True])
def test_with_weak_denominators_the_interval_at_the_p_value_touches_zero(seed, swapped):
    arms = weak_arms(seed)[:: -1 if swapped else 1]
    result = difference_in_ratios(*arms)
    assert (result.p_value < 0.05) == (result.ci_low > 0 or result.ci_high < 0)
    again = difference_in_ratios(*arms, alpha=result.p_value)
    assert min(abs(again.ci_low), abs(again.ci_high)) == pytest.approx(0.0, abs=1e-6)


def test_equal_ratios_of_weak_denominators_have_a_p_value_of_one():
    treated, _ = weak_arms()
    result = difference_in_ratios(treated, treated)
    assert (result.effect, result.p_value) == (0.0, 1.0)
    assert result.ci_low == pytest.approx(-result.ci_high)


def test_delta_and_fieller_meet_where_the_denominator_gets_strong():
    """A coefficient of variation just above the bound, and the delta method's answer beside it."""
    rng = np.random.default_rng(6)
    d = rng.poisson(0.5, size=(2, 195))
    arms = [arm(rng.binomial(each, 0.4), each) for each in d]
    assert max(denominator_cv(each, "denominator") for each in arms) == pytest.approx(WEAK, rel=0.1)
    fieller = difference_in_ratios(*arms)
    assert fieller.settings["interval"] == "fieller"
    delta = difference_in_means(*(linearised(each, "outcome", "denominator").moments("outcome") for each in arms))
    assert fieller.std_error == pytest.approx(delta.std_error, rel=0.05)
    assert fieller.p_value == pytest.approx(delta.p_value, rel=0.1)


@pytest.mark.parametrize(
    ("treated", "control", "status"),
    [
        (([], []), ([1.0, 2.0], [1.0, 1.0]), "no_units"),
        (([1.0], [1.0]), ([1.0, 2.0], [1.0, 1.0]), "too_few_units"),
        (([0.0, 0.0], [0.0, 0.0]), ([1.0, 2.0], [1.0, 1.0]), "not_estimable"),
        (([1.0, 2.0], [1.0, 1.0]), ([0.0, 0.0, 1.0], [0.0, 0.0, 1.0]), "not_estimable"),
        (([1.0, 2.0], [1.0, -1.0]), ([1.0, 2.0], [1.0, 1.0]), "not_estimable"),
        (([2.0, 4.0] * 30, [1.0, 2.0] * 30), ([3.0, 6.0] * 30, [1.0, 2.0] * 30), "zero_variance"),
        (([0.3, 0.6] * 30, [0.1, 0.2] * 30), ([0.7, 1.4] * 30, [0.1, 0.2] * 30), "zero_variance"),
        (([0.0] * 50, [1.0, 2.0] * 25), ([0.0] * 50, [1.0, 3.0] * 25), "zero_variance"),
    ],
)
def test_what_cannot_be_estimated_has_a_status_and_no_number(treated, control, status):
    result = difference_in_ratios(arm(*treated), arm(*control))
    assert result.status == status
    assert (result.effect, result.std_error, result.p_value, result.relative_effect) == (None,) * 4


def test_a_strict_alpha_may_have_no_interval_where_a_lenient_one_has():
    arms = weak_arms()
    assert difference_in_ratios(*arms, alpha=0.05).status == "ok"
    strict = difference_in_ratios(*arms, alpha=1e-14)
    assert (strict.status, "alpha" in strict.settings["reason"]) == ("not_estimable", True)


@pytest.mark.parametrize("arms", [weak_arms(), (of_rows([(1, 100), (3, 99)]), of_rows([(1, 100), (2, 101)]))])
def test_settings_are_json(arms):
    settings = difference_in_ratios(*arms).settings
    assert json.loads(json.dumps(settings)) == settings


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_an_impossible_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        difference_in_ratios(*weak_arms(), alpha=alpha)
