from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from causeway.simulate.metric_worlds import MetricWorld, clicks_per_session, with_covariates
from causeway.statistics import Effect, JointMoments, adjusted_effect, difference_in_means
from causeway.statistics.covariate_choice import imbalance, usable_covariates
from causeway.statistics.cuped import cuped
from causeway.statistics.ratio import difference_in_ratios

RUNS = 2000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5
SLOPES = ("by_arm", "pooled")

small = st.integers(-50, 50)
rows = st.lists(st.tuples(small, small, small), min_size=4, max_size=15)


def of_rows(triples) -> JointMoments:
    columns = np.array(triples, dtype=float)
    return JointMoments.from_arrays(dict(zip(("outcome", "x1", "x2"), columns.T, strict=True)))


def one_trial(seed: int = 1, units=(60, 45), **world) -> tuple[JointMoments, JointMoments]:
    return next(with_covariates(np.random.default_rng(seed), 1, units, **world).arms())


def results_of(world: MetricWorld, names, **how) -> list[Effect]:
    return [cuped(*arms, names, **how) for arms in world.arms()]


def covering(results: list[Effect], truth: float) -> float:
    return float(np.mean([result.ci_low <= truth <= result.ci_high for result in results]))


@pytest.mark.parametrize(("rho", "slopes"), [(0.0, "by_arm"), (0.6, "pooled"), (0.9, "by_arm")])
def test_the_variance_factor_is_one_minus_rho_squared(rho, slopes):
    """What several covariates together explain, they save; measured as a variance over runs, not as an estimate."""
    runs = 1000
    world = with_covariates(np.random.default_rng(11), runs, (150, 150), rho=rho)
    results = results_of(world, ["x1", "x2"], slopes=slopes)
    adjusted = np.var([result.effect for result in results])
    plain = np.var([result.settings["effect_unadjusted"] for result in results])
    # Relative error of a ratio of two variances whose estimates are correlated by 1 - rho**2.
    error = 2 * rho / runs**0.5
    assert adjusted / plain == pytest.approx(1 - rho**2, rel=3 * error + 0.02)
    estimated = [result.settings["variance_ratio"] for result in results]
    assert np.mean(estimated) == pytest.approx(1 - rho**2, rel=0.03)
    assert np.mean([result.settings["r_squared"] for result in results]) == pytest.approx(rho**2, abs=0.02)


@given(rows, rows)
def test_one_covariate_is_adjusted_effect(treated, control):
    arms = of_rows(treated), of_rows(control)
    ours = cuped(*arms, ["x1"])
    theirs = adjusted_effect(*(arm.moments("outcome", "x1") for arm in arms))
    if ours.status == "no_covariates":
        assert theirs.status in ("no_covariates", "not_estimable")
        return
    assert ours.status == theirs.status
    assume(ours.status == "ok")
    for name in ("effect", "std_error", "p_value", "mean", "relative_effect", "relative_ci_low", "relative_ci_high"):
        expected = getattr(theirs, name)
        assert getattr(ours, name) == (None if expected is None else pytest.approx(expected, rel=1e-6, abs=1e-9)), name


@given(rows, rows, st.sampled_from(SLOPES))
def test_swapping_the_arms_flips_the_sign(treated, control, slopes):
    there = cuped(of_rows(treated), of_rows(control), ["x1", "x2"], slopes=slopes)
    back = cuped(of_rows(control), of_rows(treated), ["x1", "x2"], slopes=slopes)
    assert there.status == back.status
    assume(there.status == "ok")
    assert there.effect == pytest.approx(-back.effect, rel=1e-6, abs=1e-6)
    assert there.p_value == pytest.approx(back.p_value, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("slopes", SLOPES)
@pytest.mark.parametrize(
    "transform", [[[2.0, 0.0], [0.0, -1e-9]], [[1.0, 1.0], [1.0, -1.0]], [[1e100, 0.0], [0.0, 1.0]]]
)
def test_covariates_in_other_units_or_combinations_say_the_same(transform, slopes):
    world = with_covariates(np.random.default_rng(12), 1, (40, 30), interaction=0.5)
    plain = cuped(*next(world.arms()), ["x1", "x2"], slopes=slopes)
    others = []
    for arm in (world.treated, world.control):
        x = np.stack([arm["x1"][0], arm["x2"][0]], axis=1) @ np.array(transform) + [5.0, -3.0]
        others.append(JointMoments.from_arrays({"outcome": arm["outcome"][0], "a": x[:, 0], "b": x[:, 1]}))
    other = cuped(*others, ["a", "b"], slopes=slopes)
    assert other.settings["covariates"] == ["a", "b"]
    assert other.effect == pytest.approx(plain.effect, rel=1e-6)
    assert other.std_error == pytest.approx(plain.std_error, rel=1e-6)


@pytest.mark.parametrize("slopes", SLOPES)
def test_moving_and_stretching_the_outcome_does_the_same_to_the_effect(slopes):
    world = with_covariates(np.random.default_rng(13), 1, (40, 30))
    plain = cuped(*next(world.arms()), ["x1", "x2"], slopes=slopes)
    arms = [
        JointMoments.from_arrays(
            {name: runs[0] * 1000 + 7 if name == "outcome" else runs[0] for name, runs in arm.items()}
        )
        for arm in (world.treated, world.control)
    ]
    other = cuped(*arms, ["x1", "x2"], slopes=slopes)
    assert other.effect == pytest.approx(1000 * plain.effect, rel=1e-9)
    assert other.std_error == pytest.approx(1000 * plain.std_error, rel=1e-9)


def test_constant_and_collinear_covariates_are_dropped_and_change_nothing():
    rng = np.random.default_rng(14)
    arms = []
    for n in (50, 40):
        x1, x2 = rng.normal(size=(2, n))
        outcome = x1 - x2 + rng.normal(size=n)
        arms.append(
            {"outcome": outcome, "x1": x1, "one": np.ones(n), "x2": x2, "sum": x1 + x2, "tenth": np.full(n, 0.1)}
        )
    arms = [JointMoments.from_arrays(arm) for arm in arms]
    for slopes in SLOPES:
        all_of_them = cuped(*arms, ["x1", "one", "x2", "sum", "tenth"], slopes=slopes)
        those_kept = cuped(*arms, ["x1", "x2"], slopes=slopes)
        assert all_of_them.settings["covariates"] == ["x1", "x2"]
        assert all_of_them.settings["dropped"] == {"one": "constant", "sum": "collinear", "tenth": "constant"}
        assert all_of_them.settings["imbalance"]["one"] is None
        assert (all_of_them.effect, all_of_them.std_error) == (those_kept.effect, those_kept.std_error)


def test_a_covariate_constant_in_one_arm_has_no_slope_there_but_a_pooled_one():
    treated = JointMoments.from_arrays({"outcome": [1.0, 2.0, 4.0, 3.0], "x1": [1.0, 1.0, 1.0, 1.0]})
    control = JointMoments.from_arrays({"outcome": [1.0, 2.0, 4.0, 2.0], "x1": [1.0, 2.0, 3.0, 1.0]})
    by_arm = cuped(treated, control, ["x1"])
    assert (by_arm.status, by_arm.settings["dropped"]) == ("no_covariates", {"x1": "constant"})
    assert cuped(treated, control, ["x1"], slopes="pooled").status == "ok"


def test_more_covariates_than_units_can_carry_are_dropped_from_the_end():
    treated, control = one_trial(units=(5, 30), covariates=5)
    result = cuped(treated, control, ["x5", "x4", "x3", "x2", "x1"])
    assert result.settings["covariates"] == ["x5", "x4", "x3"]
    assert result.settings["dropped"] == {"x2": "too_few_units", "x1": "too_few_units"}
    assert result.settings["df"] >= 1


def test_nearly_collinear_covariates_are_judged_by_what_the_others_leave():
    rng = np.random.default_rng(15)
    x = rng.normal(size=200)
    names = {"x": x, "close": x + 1e-3 * rng.normal(size=200), "same": x + 1e-5 * rng.normal(size=200)}
    sample = JointMoments.from_arrays(names)
    assert usable_covariates([sample], ["x", "close", "same"]) == (("x", "close"), {"same": "collinear"})


def test_imbalance_is_in_standard_deviations_of_both_arms():
    treated = JointMoments.from_arrays({"x": [2.0, 4.0, 6.0]})
    control = JointMoments.from_arrays({"x": [1.0, 3.0, 5.0]})
    assert imbalance(treated, control, ["x"]) == {"x": pytest.approx(1 / np.std([1, 2, 3, 4, 5, 6], ddof=1))}


def test_adjusting_takes_back_what_the_covariate_gave_by_chance():
    """Same units, but the treated started 1 ahead: the difference is 1, the effect is none."""
    rng = np.random.default_rng(16)
    x, noise = rng.normal(size=500), rng.normal(size=(2, 500)) * 0.1
    treated = JointMoments.from_arrays({"outcome": x + 1 + noise[0], "x1": x + 1})
    control = JointMoments.from_arrays({"outcome": x + noise[1], "x1": x})
    for slopes in SLOPES:
        result = cuped(treated, control, ["x1"], slopes=slopes)
        assert result.settings["effect_unadjusted"] == pytest.approx(1, abs=0.02)
        assert result.effect == pytest.approx(0, abs=0.03)


def test_covariates_that_say_nothing_leave_the_plain_answer():
    treated, control = one_trial(seed=17, units=(5000, 4000), rho=0.0, effect=0.1)
    plain = difference_in_means(treated.moments("outcome"), control.moments("outcome"))
    for slopes in SLOPES:
        result = cuped(treated, control, ["x1", "x2"], slopes=slopes)
        assert result.effect == pytest.approx(plain.effect, abs=plain.std_error / 20)
        assert result.std_error == pytest.approx(plain.std_error, rel=1e-3)
        assert result.settings["mean_unadjusted"] == plain.mean


@pytest.mark.parametrize(
    ("slopes", "world"),
    [
        ("by_arm", {"skewed": True, "interaction": 1.0}),
        ("by_arm", {"covariates": 3}),
        ("pooled", {"skewed": True, "interaction": 1.0}),
    ],
)
def test_the_interval_covers(slopes, world):
    """Effects that grow with the covariates, skewed noise, several covariates, in arms of unequal size."""
    simulated = with_covariates(np.random.default_rng(18), RUNS, (200, 120), effect=0.2, **world)
    names = [name for name in simulated.treated if name != "outcome"]
    results = results_of(simulated, names, slopes=slopes)
    assert abs(covering(results, 0.2) - 0.95) < THREE_ERRORS
    relative = np.mean([result.relative_ci_low <= 0.02 <= result.relative_ci_high for result in results])
    assert abs(relative - 0.95) < THREE_ERRORS


def test_small_arms_cover_by_arm():
    results = results_of(with_covariates(np.random.default_rng(19), RUNS, (10, 25), rho=0.8), ["x1", "x2"])
    assert abs(covering(results, 0.0) - 0.95) < THREE_ERRORS


def test_five_of_100_trials_without_an_effect_are_significant():
    results = results_of(with_covariates(np.random.default_rng(20), RUNS, (60, 90), skewed=True), ["x1", "x2"])
    assert abs(np.mean([result.p_value < 0.05 for result in results]) - 0.05) < THREE_ERRORS


def test_a_ratio_adjusted_for_the_pre_period_covers_and_varies_less():
    rng = np.random.default_rng(21)
    world = clicks_per_session(rng, RUNS, (400, 300), sessions=10, spread=0.5, effect=0.1, more_sessions=0.2)
    names = ["clicks_before", "sessions_before"]
    results = results_of(world, names, denominator="denominator")
    assert abs(covering(results, world.effect) - 0.95) < THREE_ERRORS
    adjusted = np.var([result.effect for result in results])
    assert adjusted < 0.8 * np.var([result.settings["effect_unadjusted"] for result in results])
    treated, control = next(world.arms())
    plain = difference_in_ratios(treated, control)
    assert results[0].settings["effect_unadjusted"] == pytest.approx(plain.effect, rel=1e-12)
    ratio = (results[0].std_error / plain.std_error) ** 2
    assert results[0].settings["variance_ratio"] == pytest.approx(ratio, rel=1e-9)


def test_a_ratio_with_one_denominator_a_unit_is_adjusted_like_a_mean():
    world = with_covariates(np.random.default_rng(22), 1, (40, 30))
    arms = [
        JointMoments.from_arrays(
            {**{name: runs[0] for name, runs in arm.items()}, "denominator": np.ones(runs.shape[1])}
        )
        for arm, runs in ((world.treated, world.treated["x1"]), (world.control, world.control["x1"]))
    ]
    for slopes in SLOPES:
        ratio = cuped(*arms, ["x1", "x2"], denominator="denominator", slopes=slopes)
        mean = cuped(*arms, ["x1", "x2"], slopes=slopes)
        assert ratio.effect == pytest.approx(mean.effect, rel=1e-9)
        assert ratio.std_error == pytest.approx(mean.std_error, rel=1e-9)


def arm(y, x, **more) -> JointMoments:
    return JointMoments.from_arrays({"outcome": y, "x1": x, **more})


@pytest.mark.parametrize("slopes", SLOPES)
@pytest.mark.parametrize(
    ("treated", "control", "status"),
    [
        (arm([], []), arm([1.0, 2.0, 4.0], [1.0, 2.0, 3.0]), "no_units"),
        (arm([1.0], [1.0]), arm([1.0, 2.0, 4.0], [1.0, 2.0, 3.0]), "too_few_units"),
        (arm([1.0, 3.0, 2.0], [5.0] * 3), arm([1.0, 2.0, 4.0], [5.0] * 3), "no_covariates"),
        (arm([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]), arm([3.0, 5.0, 7.0], [1.0, 2.0, 3.0]), "zero_variance"),
        (arm([0.3, 0.6, 0.9], [0.1, 0.2, 0.3]), arm([0.4, 0.7, 1.0], [0.1, 0.2, 0.3]), "zero_variance"),
        (arm([5.0] * 4, [1.0, 2.0, 3.0, 5.0]), arm([5.0] * 4, [1.0, 2.0, 4.0, 3.0]), "zero_variance"),
        (arm([0.1] * 4, [1.0, 2.0, 3.0, 5.0]), arm([0.1] * 4, [1.0, 2.0, 4.0, 3.0]), "zero_variance"),
    ],
)
def test_what_cannot_be_adjusted_has_a_status_a_reason_and_no_number(treated, control, status, slopes):
    result = cuped(treated, control, ["x1"], slopes=slopes)
    assert result.status == status
    assert result.settings["reason"]
    assert (result.effect, result.std_error, result.p_value, result.mean) == (None, None, None, None)


def test_a_weak_denominator_is_not_adjusted():
    rng = np.random.default_rng(23)
    arms = [
        arm(d * 0.5 + rng.normal(size=60) * d, rng.normal(size=60), denominator=d) for d in rng.poisson(0.3, (2, 60))
    ]
    result = cuped(*arms, ["x1"], denominator="denominator")
    assert result.status == "not_estimable"
    assert "delta method" in result.settings["reason"]


def test_a_constant_outcome_has_no_slope_even_where_rounding_leaves_a_trace():
    accumulated_in_sql = JointMoments(("outcome", "x1"), 1000, (0.1, 5.0), (1e-24, 1e-10, 1.0))
    result = cuped(accumulated_in_sql, one_trial()[1], ["x1"])
    assert (result.status, result.settings["slopes"]) == ("ok", {"x1": 0.0})
    assert result.mean == 0.1


@pytest.mark.parametrize(
    ("covariates", "reason"), [(["x1", "x1"], "different"), (["outcome"], "different"), (["x9"], "no 'x9'")]
)
def test_covariates_that_make_no_sense_are_refused(covariates, reason):
    with pytest.raises(ValueError, match=reason):
        cuped(*one_trial(), covariates)


@pytest.mark.parametrize("slopes", SLOPES)
def test_settings_are_json(slopes):
    settings = cuped(*one_trial(), ["x1", "x2"], slopes=slopes).settings
    assert json.loads(json.dumps(settings)) == settings
    assert set(settings) >= {"covariates", "dropped", "imbalance", "r_squared", "variance_ratio", "effect_unadjusted"}


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_an_impossible_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match="alpha"):
        cuped(*one_trial(), ["x1"], alpha=alpha)
