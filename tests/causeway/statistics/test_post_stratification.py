from __future__ import annotations

import json
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from causeway.simulate.metric_worlds import stratified
from causeway.statistics import Effect, Moments, difference_in_means, relative_effect
from causeway.statistics.post_stratification import post_stratified_difference

RUNS = 2000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5
NUMBERS = ("effect", "std_error", "ci_low", "ci_high", "p_value", "relative_effect", "relative_ci_low")

outcomes = st.lists(st.integers(-1000, 1000).map(lambda tenth: tenth / 10), min_size=2, max_size=20)
arms = st.dictionaries(st.sampled_from("abcde"), outcomes, min_size=1)


def of_lists(arm) -> dict[str, Moments]:
    return {name: Moments.from_arrays(values) for name, values in arm.items()}


def covering(results: list[Effect], truth: float) -> float:
    return float(np.mean([result.ci_low <= truth <= result.ci_high for result in results]))


@given(outcomes, outcomes)
def test_one_stratum_is_the_plain_difference(treated, control):
    ours = post_stratified_difference(*(of_lists({"all": values}) for values in (treated, control)), smallest=2)
    plain = difference_in_means(Moments.from_arrays(treated), Moments.from_arrays(control))
    assert ours.status == plain.status
    for name in NUMBERS:
        expected = getattr(plain, name)
        assert getattr(ours, name) == (None if expected is None else pytest.approx(expected, rel=1e-9)), name


@given(arms, arms, st.integers(2, 30))
def test_merging_loses_no_unit_and_leaves_no_stratum_too_small(treated, control, smallest):
    """However few they are, the answer is there; with everything merged it is the plain difference."""
    ours = post_stratified_difference(of_lists(treated), of_lists(control), smallest=smallest)
    together = [reduce(add, of_lists(arm).values()) for arm in (treated, control)]
    assert (ours.n, ours.n_control) == tuple(arm.n for arm in together)
    if ours.status != "ok":
        return
    assert ours.settings["effect_unadjusted"] == pytest.approx(together[0].mean_y - together[1].mean_y, abs=1e-9)
    names = treated.keys() | control.keys()
    alone = names - set(ours.settings["merged"])
    assert ours.settings["strata"] == len(alone) + bool(ours.settings["merged"])
    if ours.settings["strata"] > 1:
        of_both = {name: [len(arm[name]) for arm in (treated, control)] for name in alone}
        share = min(ours.n, ours.n_control) / (ours.n + ours.n_control)
        assert all(min(counts) >= 2 and sum(counts) * share >= smallest - 1e-9 for counts in of_both.values())
    else:
        assert ours.effect == pytest.approx(ours.settings["effect_unadjusted"], abs=1e-9)


@given(arms, arms)
def test_swapping_the_arms_flips_the_sign(treated, control):
    there, back = (
        post_stratified_difference(of_lists(a), of_lists(b), smallest=3)
        for a, b in ((treated, control), (control, treated))
    )
    assert there.status == back.status
    if there.status == "ok":
        assert there.effect == pytest.approx(-back.effect, abs=1e-9)
        assert there.std_error == pytest.approx(back.std_error)
        assert there.settings["merged"] == back.settings["merged"]


def test_by_hand():
    """Two strata of 60 and 40 units: weights 0.6 and 0.4, effects 1 and 3."""
    treated = {"a": Moments(30, 2.0, 29.0), "b": Moments(10, 5.0, 36.0)}
    control = {"a": Moments(30, 1.0, 58.0), "b": Moments(30, 2.0, 29.0)}
    result = post_stratified_difference(treated, control)
    assert result.effect == pytest.approx(0.6 * 1 + 0.4 * 3)
    given_shares = 0.36 * (1 / 30 + 2 / 30) + 0.16 * (4 / 10 + 1 / 30)
    of_shares = (0.6 * (1 - 1.8) ** 2 + 0.4 * (3 - 1.8) ** 2) / 100
    assert result.std_error**2 == pytest.approx(given_shares + of_shares)
    assert (result.mean, result.mean_control) == pytest.approx((0.6 * 2 + 0.4 * 5, 0.6 * 1 + 0.4 * 2))
    parts = [(0.36 / 30, 29), (0.36 * 2 / 30, 29), (0.16 * 0.4, 9), (0.16 / 30, 29), (of_shares, 99)]
    df = (given_shares + of_shares) ** 2 / sum(part**2 / each for part, each in parts)
    assert result.settings["df"] == pytest.approx(df)
    relative = relative_effect(
        3.2,
        1.4,
        variance=0.36 / 30 + 0.16 * 0.4 + (0.6 * (2 - 3.2) ** 2 + 0.4 * (5 - 3.2) ** 2) / 100,
        variance_control=0.36 * 2 / 30 + 0.16 / 30 + (0.6 * (1 - 1.4) ** 2 + 0.4 * (2 - 1.4) ** 2) / 100,
        covariance=(0.6 * (2 - 3.2) * (1 - 1.4) + 0.4 * (5 - 3.2) * (2 - 1.4)) / 100,
        critical_value=stats.t.isf(0.025, df),
    )
    assert (result.relative_ci_low, result.relative_ci_high) == pytest.approx((relative.ci_low, relative.ci_high))


def test_arms_with_other_mixtures_are_compared_like_with_like():
    """Nobody is affected; the treated happen to have more of the high stratum."""
    treated = {"low": Moments(50, 1.0, 49.0), "high": Moments(100, 9.0, 99.0)}
    control = {"low": Moments(100, 1.0, 99.0), "high": Moments(50, 9.0, 49.0)}
    result = post_stratified_difference(treated, control)
    assert result.effect == pytest.approx(0.0, abs=1e-12)
    assert result.settings["effect_unadjusted"] == pytest.approx(8 / 3)
    assert result.settings["r_squared"] > 0.9


def test_strata_too_small_are_merged_and_then_the_smallest_joins():
    def arm(**counts):
        return {name: Moments(n, 1.0, float(n)) for name, n in counts.items()}

    def merged(treated, control):
        settings = post_stratified_difference(treated, control).settings
        return settings["merged"], settings["strata"]

    assert merged(arm(a=50, b=50), arm(a=50, b=50)) == ([], 2)
    assert merged(arm(a=50, b=6, c=5), arm(a=50, b=6, c=5)) == (["b", "c"], 2)
    assert merged(arm(a=50, b=5, c=20), arm(a=50, b=5, c=20)) == (["b", "c"], 2)
    assert merged(arm(a=50, b=5, c=20, d=20), arm(a=50, b=5, c=21, d=20)) == (["b", "d"], 3)
    assert merged(arm(a=50, b=30), arm(a=50, c=30)) == (["b", "c"], 2)
    assert merged(arm(a=50, b=30), arm(a=50)) == (["b", "a"], 1)
    assert merged(arm(a=4, b=4), arm(a=4, b=4)) == (["a", "b"], 1)
    assert merged(arm(a=4), arm(a=4)) == ([], 1)


def test_a_stratum_out_of_balance_is_not_merged_for_that():
    """Nine units in one arm and thirteen in the other are enough, for eleven were to be expected in each."""
    treated, control = ({"a": Moments(50, 1.0, 50.0), "b": Moments(n, 9.0, 20.0)} for n in (9, 13))
    result = post_stratified_difference(treated, control)
    assert (result.settings["strata"], result.settings["merged"]) == (2, [])
    assert result.effect == pytest.approx(0.0, abs=1e-12)


def test_a_small_arm_needs_larger_strata():
    """Units of both arms count by the share of the smaller arm: 10 of 110 means that 110 are wanted."""
    treated = {"a": Moments(20, 1.0, 20.0), "b": Moments(10, 9.0, 10.0)}
    control = {"a": Moments(200, 1.0, 200.0), "b": Moments(99, 9.0, 99.0)}
    assert post_stratified_difference(treated, control).settings["strata"] == 1
    assert post_stratified_difference(treated, control, smallest=9).settings["strata"] == 2


@pytest.mark.parametrize("units", [(60, 60), (300, 150)])
def test_the_interval_covers_where_effects_differ_by_stratum(units):
    """The effect in the population: shares vary from run to run, some strata are rare, the noise is skewed."""
    world, truth = stratified(np.random.default_rng(31), RUNS, units, effects=(0.0, 1.0, 3.0, -2.0))
    results = [post_stratified_difference(*run) for run in world]
    assert abs(covering(results, truth) - 0.95) < THREE_ERRORS
    gain = np.var([r.effect for r in results]) / np.var([r.settings["effect_unadjusted"] for r in results])
    assert gain < 0.75
    assert np.mean([r.settings["variance_ratio"] for r in results]) == pytest.approx(gain, rel=0.15)


def test_five_of_100_trials_without_an_effect_are_significant():
    world, _ = stratified(np.random.default_rng(32), RUNS, (150, 200))
    p_values = [post_stratified_difference(*run).p_value for run in world]
    assert abs(np.mean(np.array(p_values) < 0.05) - 0.05) < THREE_ERRORS


@pytest.mark.parametrize(
    ("treated", "control", "status"),
    [
        ({}, {"a": [1.0, 2.0]}, "no_units"),
        ({}, {}, "no_units"),
        ({"a": []}, {"a": [1.0, 2.0]}, "no_units"),
        ({"a": [1.0]}, {"a": [1.0, 2.0]}, "too_few_units"),
        ({"a": [1.0] * 10, "b": [2.0] * 10}, {"a": [0.0] * 10, "b": [3.0] * 10}, "zero_variance"),
        ({"a": [0.1] * 10, "b": [0.2] * 10}, {"a": [0.0] * 10, "b": [0.3] * 10}, "zero_variance"),
    ],
)
def test_what_cannot_be_estimated_has_a_status_and_no_number(treated, control, status):
    result = post_stratified_difference(of_lists(treated), of_lists(control))
    assert result.status == status
    assert (result.effect, result.std_error, result.p_value, result.relative_effect) == (None,) * 4


def test_settings_are_json():
    arm = {"a": Moments(30, 2.0, 29.0), "b": Moments(10, 5.0, 36.0), "c": Moments(3, 5.0, 3.0)}
    settings = post_stratified_difference(arm, arm).settings
    assert json.loads(json.dumps(settings)) == settings


@pytest.mark.parametrize("how", [{"alpha": 0.0}, {"alpha": 1.0}, {"smallest": 1}])
def test_impossible_settings_are_refused(how):
    arm = {"a": Moments(30, 2.0, 29.0)}
    with pytest.raises(ValueError):
        post_stratified_difference(arm, arm, **how)
