from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from causeway.statistics import (
    Effect,
    GroupSequentialDesign,
    JointMoments,
    Moments,
    adjusted_effect,
    confidence_sequence,
    cuped,
    difference_in_means,
    difference_in_ratios,
    group_sequential,
    post_stratified_difference,
)
from causeway.statistics.critical_value import with_critical_value

SIZE = 400


def arm(rng, shift):
    x = rng.normal(5, 1, SIZE)
    return {"outcome": shift + x + rng.normal(0, 1, SIZE), "denominator": 1.0 + rng.poisson(3, SIZE), "x": x}


RNG = np.random.default_rng(6)
TREATED, CONTROL = arm(RNG, 0.4), arm(RNG, 0.0)
JOINT = [JointMoments.from_arrays(each) for each in (TREATED, CONTROL)]
PLAIN = [Moments.from_arrays(each["outcome"], each["x"]) for each in (TREATED, CONTROL)]


def by_stratum(each):
    high = each["x"] > 5
    return {"high": Moments.from_arrays(each["outcome"][high]), "low": Moments.from_arrays(each["outcome"][~high])}


METHODS = {
    "difference_in_means": difference_in_means(*PLAIN),
    "adjusted": adjusted_effect(*PLAIN),
    "ratio": difference_in_ratios(*JOINT),
    "cuped": cuped(*JOINT, ["x"]),
    "cuped_ratio": cuped(*JOINT, ["x"], denominator="denominator"),
    "post_stratified": post_stratified_difference(by_stratum(TREATED), by_stratum(CONTROL)),
}


@pytest.mark.parametrize("method", METHODS)
def test_at_its_own_quantile_the_effect_of_any_method_is_itself_again(method):
    fixed = METHODS[method]
    quantile = float(stats.t.isf(0.025, fixed.settings["df"]))
    again = with_critical_value(fixed, quantile, p_value=fixed.p_value, settings={})
    for name in ("effect", "std_error", "mean", "ci_low", "ci_high", "relative_effect", "relative_ci_low"):
        assert getattr(again, name) == pytest.approx(getattr(fixed, name), rel=1e-9)
    assert again.relative_ci_high == pytest.approx(fixed.relative_ci_high, rel=1e-9)
    assert again.settings["relative_status"] == "ok"


@pytest.mark.parametrize("method", METHODS)
def test_both_sequential_methods_widen_the_effect_of_any_method_around_the_same_estimate(method):
    fixed = METHODS[method]
    always = confidence_sequence(fixed, planned_n=1600)
    planned = group_sequential(fixed, design=GroupSequentialDesign(), fractions=[0.5])
    for wider in (always, planned):
        assert (wider.effect, wider.std_error, wider.n) == (fixed.effect, fixed.std_error, SIZE)
        assert wider.ci_low < fixed.ci_low < fixed.ci_high < wider.ci_high
        assert wider.relative_ci_low < fixed.relative_ci_low < fixed.relative_ci_high < wider.relative_ci_high
        assert wider.p_value > fixed.p_value
        assert set(fixed.settings) - {"df"} <= set(wider.settings)
    assert always.settings["sequential"] == "asymptotic_confidence_sequence"
    assert planned.settings["sequential"] == "group_sequential"


def test_a_ratio_with_a_weak_denominator_is_not_taken_for_normal():
    rng = np.random.default_rng(1)
    arms = [
        JointMoments.from_arrays({"outcome": rng.poisson(1, 300) * seen, "denominator": seen})
        for seen in (rng.random(300) < 0.2, rng.random(300) < 0.2)
    ]
    weak = difference_in_ratios(*arms)
    assert weak.settings["relative_status"] == "weak_denominator"
    always = confidence_sequence(weak, planned_n=1200)
    planned = group_sequential(weak, design=GroupSequentialDesign(), fractions=[0.5])
    assert always.status == planned.status == "too_few_units"


def test_there_must_be_an_effect():
    with pytest.raises(ValueError):
        with_critical_value(Effect("no_units", 0, 5), 3.0, p_value=1.0, settings={})
