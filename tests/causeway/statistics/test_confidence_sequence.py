from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from causeway.simulate.looks import OUTCOMES, arm_looks
from causeway.statistics import Effect, Moments, difference_in_means, relative_effect
from causeway.statistics.burn_in import DEFAULT_BURN_IN, BurnIn
from causeway.statistics.confidence_sequence import confidence_sequence, running_intersection
from causeway.statistics.normal_mixture import critical_value, tuned_rho
from tests.oracles.environment import ask

ANY_SIZE = BurnIn(arm=0, imbalance=0)
LOOK = Effect("ok", 5000, 5000, 10.5, 10.0, 0.5, 0.1, 0.304, 0.696, 6e-7)


def test_agrees_with_growthbook():
    """GrowthBook tunes rho by an approximation of Lambert's function; the plan is chosen so that rho is the same."""
    rng = np.random.default_rng(5)
    questions = [
        [rng.normal(10, 3, n).tolist(), (shift + rng.gamma(2, 2, m)).tolist(), alpha, 5000]
        for n, m, shift, alpha in [(40, 60, 6.0, 0.05), (300, 20, 8.5, 0.01), (100, 100, 6.2, 0.2)]
    ]
    for (control, treated, alpha, _), theirs in zip(questions, ask("gbstats_sequential", questions), strict=True):
        fixed = difference_in_means(Moments.from_arrays(treated), Moments.from_arrays(control))
        planned_n = (tuned_rho(1, alpha=alpha) / theirs["rho"]) ** 2
        ours = confidence_sequence(fixed, planned_n=planned_n, alpha=alpha, burn_in=ANY_SIZE)
        assert planned_n == pytest.approx(5000, rel=0.1)
        for name in ("ci_low", "ci_high", "p_value"):
            assert getattr(ours, name) == pytest.approx(theirs[name], rel=1e-9)


def test_the_half_width_is_the_one_of_the_theorem():
    """Waudby-Smith et al., theorem 2.2, written with the standard deviation of one unit."""
    n, planned, alpha = 10_000, 20_000, 0.05
    sigma = 0.1 * math.sqrt(n)
    rho2 = (-special.lambertw(-(alpha**2) / math.e, -1).real - 1) / planned
    width = sigma * math.sqrt(2 * (n * rho2 + 1) / (n**2 * rho2) * math.log(math.sqrt(n * rho2 + 1) / alpha))
    look = confidence_sequence(LOOK, planned_n=planned)
    assert (look.ci_low, look.ci_high) == pytest.approx((0.5 - width, 0.5 + width), rel=1e-12)
    assert (look.effect, look.std_error, look.n, look.mean) == (LOOK.effect, LOOK.std_error, LOOK.n, LOOK.mean)


@given(st.floats(-1, 1), st.floats(0.01, 1), st.floats(-0.5, 0.5), st.sampled_from(["two-sided", "greater", "less"]))
def test_the_interval_leaves_out_the_null_exactly_where_p_is_below_alpha(effect, std_error, null, alternative):
    fixed = replace(LOOK, effect=effect, std_error=std_error)
    look = confidence_sequence(fixed, planned_n=30_000, alternative=alternative, null=null)
    inside = {
        "two-sided": look.ci_low <= null <= look.ci_high,
        "greater": look.ci_low <= null,
        "less": null <= look.ci_high,
    }[alternative]
    if abs(look.p_value - 0.05) > 1e-9:
        assert inside == (look.p_value > 0.05)


@given(st.floats(-1, 1), st.floats(-0.5, 0.5))
def test_less_is_greater_in_the_mirror(effect, null):
    greater = confidence_sequence(replace(LOOK, effect=effect), planned_n=1e4, alternative="greater", null=null)
    less = confidence_sequence(replace(LOOK, effect=-effect), planned_n=1e4, alternative="less", null=-null)
    assert (less.ci_low, less.ci_high) == pytest.approx((-greater.ci_high, -greater.ci_low), rel=1e-12)
    assert less.p_value == pytest.approx(greater.p_value, rel=1e-12)


@given(st.integers(-30, 30))
def test_a_change_of_units_changes_nothing_but_the_units(exponent):
    factor = 2.0**exponent
    treated, control = Moments(500, 3.0, 900.0), Moments(520, 2.0, 700.0)
    plain, other = (
        confidence_sequence(
            difference_in_means(
                *(replace(arm, mean_y=arm.mean_y * f, m2_y=arm.m2_y * f * f) for arm in (treated, control))
            ),
            planned_n=5000,
        )
        for f in (1.0, factor)
    )
    assert other.ci_low == pytest.approx(plain.ci_low * factor, rel=1e-12)
    assert other.p_value == pytest.approx(plain.p_value, rel=1e-9)
    assert other.relative_ci_high == pytest.approx(plain.relative_ci_high, rel=1e-9)


def test_the_relative_interval_is_fiellers_with_the_same_critical_value():
    fixed = difference_in_means(Moments(500, 3.3, 900.0), Moments(520, 3.0, 700.0))
    look = confidence_sequence(fixed, planned_n=5000)
    expected = relative_effect(
        3.3,
        3.0,
        variance=900 / 499 / 500,
        variance_control=700 / 519 / 520,
        critical_value=look.settings["critical_value"],
    )
    assert (look.relative_effect, look.relative_ci_low, look.relative_ci_high) == pytest.approx(
        (expected.effect, expected.ci_low, expected.ci_high), rel=1e-12
    )
    assert look.relative_ci_low < fixed.relative_ci_low < fixed.relative_ci_high < look.relative_ci_high
    assert "df" not in look.settings


def test_means_that_go_together_keep_their_covariance():
    variances = {"mean": 0.02, "mean_control": 0.02, "covariance": 0.015}
    look = confidence_sequence(replace(LOOK, settings={"variance_of_means": variances}), planned_n=5000)
    q = look.settings["critical_value"]
    expected = relative_effect(10.5, 10.0, variance=0.02, variance_control=0.02, covariance=0.015, critical_value=q)
    assert (look.relative_ci_low, look.relative_ci_high) == pytest.approx(
        (expected.ci_low, expected.ci_high), rel=1e-12
    )


def test_without_the_variances_of_the_means_there_is_no_relative_interval():
    look = confidence_sequence(LOOK, planned_n=5000)
    assert (look.relative_effect, look.settings["relative_status"]) == (None, "variances_unknown")


def test_clusters_count_instead_of_units():
    by_units = confidence_sequence(LOOK, planned_n=20_000)
    by_clusters = confidence_sequence(LOOK, planned_n=400, n=200)
    assert by_clusters.ci_low == pytest.approx(by_units.ci_low, rel=1e-12)
    assert confidence_sequence(LOOK, planned_n=400, n=199).status == "too_few_units"


@pytest.mark.parametrize(
    ("n", "n_control", "ready"),
    [
        (100, 100, True),
        (99, 200, False),
        (100, 120, True),
        (100, 200, False),
        (500, 1000, True),
        (2000, 18_000, False),
        (2200, 19_800, True),
    ],
)
def test_the_burn_in_is_longer_in_unequal_arms(n, n_control, ready):
    look = confidence_sequence(replace(LOOK, n=n, n_control=n_control), planned_n=20_000)
    mirrored = confidence_sequence(replace(LOOK, n=n_control, n_control=n), planned_n=20_000)
    assert look.status == mirrored.status == ("ok" if ready else "too_few_units")
    assert (look.mean, look.mean_control) == (10.5, 10.0)
    assert look.settings.get("burn_in") == (None if ready else {"arm": 100, "imbalance": 3000.0})


def test_an_undefined_effect_keeps_its_status_and_a_withheld_one_stays_bare():
    constant = Effect("zero_variance", 500, 500, 1.0, 1.0, settings={"alpha": 0.05})
    assert confidence_sequence(constant, planned_n=5000).status == "zero_variance"
    withheld = LOOK.withheld("srm: failed")
    assert confidence_sequence(withheld, planned_n=5000) == withheld


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0.0}, {"planned_n": 0}, {"n": -1}, {"alternative": "both"}, {"null": math.nan}]
)
def test_unusable_arguments_are_refused(wrong):
    with pytest.raises(ValueError):
        confidence_sequence(LOOK, **{"planned_n": 5000, **wrong})


def looks_of(effects, std_errors):
    return [
        replace(LOOK, effect=e, ci_low=e - 3 * s, ci_high=e + 3 * s, p_value=p)
        for e, s, p in zip(effects, std_errors, (0.5, 0.1, 0.3), strict=True)
    ]


def test_the_running_intersection_only_gets_narrower():
    found = running_intersection(looks_of([0.5, 0.8, 0.4], [0.2, 0.1, 0.15]))
    assert [(round(each.ci_low, 9), round(each.ci_high, 9), each.p_value) for each in found] == [
        (-0.1, 1.1, 0.5),
        (0.5, 1.1, 0.1),
        (0.5, 0.85, 0.1),
    ]
    assert all(each.settings["running_intersection"] for each in found)


def test_an_empty_intersection_is_not_estimable_from_then_on():
    found = running_intersection(looks_of([0.0, 2.0, 0.0], [0.1, 0.1, 0.1]))
    assert [each.status for each in found] == ["ok", "not_estimable", "not_estimable"]


def test_a_look_without_an_effect_is_passed_over():
    early = Effect("too_few_units", 10, 10, 1.0, 1.0)
    first, second, third = looks_of([0.5, 0.8, 0.4], [0.2, 0.1, 0.15])
    found = running_intersection([early, first, early, second, third])
    assert found[0] == found[2] == early
    assert found[4] == running_intersection([first, second, third])[2]


def test_relative_intervals_are_intersected_too():
    relative = replace(LOOK, relative_effect=0.05, relative_ci_low=0.0, relative_ci_high=0.1)
    narrower = replace(relative, relative_ci_low=0.02, relative_ci_high=0.2)
    found = running_intersection([LOOK, relative, narrower, relative])
    assert [(each.relative_ci_low, each.relative_ci_high) for each in found] == [
        (None, None),
        (0.0, 0.1),
        (0.02, 0.1),
        (0.02, 0.1),
    ]


def ready(treated, control):
    return np.array([DEFAULT_BURN_IN.over(int(n), int(m)) for n, m in zip(treated.n, control.n, strict=True)])


def simulated(outcome, seed, *, runs, units, units_control, lift=0.0):
    """z around the truth at the looks past the burn-in, shape (runs, looks), and n there."""
    rng = np.random.default_rng(seed)
    treated = arm_looks(outcome, rng, runs=runs, units=[units] * 60, lift=lift)
    control = arm_looks(outcome, rng, runs=runs, units=[units_control] * 60)
    effect, std_error = treated.minus(control)
    past = ready(treated, control)
    error = effect - (treated.truth - control.truth)
    z = np.divide(error, std_error, out=np.zeros_like(error), where=std_error > 0)[:, past]  # else: zero_variance
    return z, (treated.n + control.n)[past], int((treated.n + control.n)[-1])


RUNS = 600
MOST = 0.05 + 3 * math.sqrt(0.05 * 0.95 / RUNS)


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize(("units", "units_control", "lift"), [(20, 20, 0.0), (20, 20, 0.3), (50, 150, 0.0)])
def test_the_truth_is_inside_at_all_sixty_looks_together(outcome, units, units_control, lift):
    if outcome == "ratio" and units_control > 20:
        units, units_control = 20, 60
    z, n, planned = simulated(outcome, 11, runs=RUNS, units=units, units_control=units_control, lift=lift)
    assert len(n) > 5
    for sides in (1, 2):
        bound = critical_value(n, rho=tuned_rho(planned, alpha=0.05, sides=sides), alpha=0.05, sides=sides)
        assert (z > bound).any(axis=1).mean() <= MOST
        assert (-z > bound).any(axis=1).mean() <= MOST
    assert (np.abs(z) > bound).any(axis=1).mean() > 0  # a boundary that nothing ever reaches would prove nothing


def test_a_fixed_interval_does_not_survive_sixty_looks():
    """What the sequence is for: 1.96 at each look is crossed by a third of the null trials."""
    z, _, _ = simulated("normal", 11, runs=RUNS, units=20, units_control=20)
    assert (np.abs(z) > 1.96).any(axis=1).mean() > 0.25


def test_without_the_burn_in_unequal_arms_fail():
    """The reason for BurnIn.imbalance: a small arm without a conversion has no variance and seems certain."""
    rng = np.random.default_rng(3)
    treated = arm_looks("conversion", rng, runs=RUNS, units=[20] * 60)
    control = arm_looks("conversion", rng, runs=RUNS, units=[180] * 60)
    effect, std_error = treated.minus(control)
    z = effect / np.where(std_error > 0, std_error, np.inf)
    n = treated.n + control.n
    crossed = np.abs(z) > critical_value(n, rho=tuned_rho(int(n[-1]), alpha=0.05), alpha=0.05)
    large_enough = np.minimum(treated.n, control.n) >= DEFAULT_BURN_IN.arm
    assert crossed[:, large_enough].any(axis=1).mean() > 0.1
    assert not ready(treated, control).any()


def test_an_effect_is_found():
    z, n, planned = simulated("normal", 4, runs=300, units=50, units_control=50)
    drift = 4.5 * np.sqrt(n / planned)
    bound = critical_value(n, rho=tuned_rho(planned, alpha=0.05), alpha=0.05)
    assert (z + drift > bound).any(axis=1).mean() > 0.85
