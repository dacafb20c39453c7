from __future__ import annotations

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.oneway import anova_oneway

from causeway.statistics import Effect, Moments, difference_in_means
from causeway.statistics.heterogeneity import Heterogeneity, heterogeneity, screen_segments

RUNS = 1000
THREE_ERRORS = 3 * (0.95 * 0.05 / RUNS) ** 0.5


def level(effect: float, std_error: float, df: float | None = None) -> Effect:
    settings = {} if df is None else {"df": df}
    return Effect(
        "ok",
        100,
        100,
        effect=effect,
        std_error=std_error,
        ci_low=effect - 2 * std_error,
        ci_high=effect + 2 * std_error,
        p_value=0.5,
        settings=settings,
    )


FOUR = {"a": level(1.0, 0.5), "b": level(2.0, 1.0), "c": level(-1.0, 0.4), "d": level(0.5, 0.7)}


def test_q_and_the_pooled_effect_agree_with_statsmodels():
    found = heterogeneity(FOUR)
    effects, errors = ([getattr(each, name) for each in FOUR.values()] for name in ("effect", "std_error"))
    theirs = combine_effects(np.array(effects), np.array(errors) ** 2)
    assert found.q == pytest.approx(theirs.q, rel=1e-9)
    assert found.p_value_cochran == pytest.approx(stats.chi2.sf(theirs.q, 3), rel=1e-9)
    assert found.i_squared == pytest.approx(max(theirs.i2, 0), rel=1e-9)
    assert found.pooled_effect == pytest.approx(theirs.mean_effect_fe, rel=1e-9)
    assert found.pooled_std_error == pytest.approx(theirs.sd_eff_w_fe, rel=1e-9)


def test_without_degrees_of_freedom_it_is_cochrans_test():
    found = heterogeneity(FOUR)
    assert found.p_value == pytest.approx(found.p_value_cochran, rel=1e-9)
    assert found.settings["df_denominator"] is None
    assert [each.df for each in found.levels] == [None] * 4


def test_effects_that_are_means_are_welchs_analysis_of_variance():
    rng = np.random.default_rng(61)
    groups = [rng.normal(0, sd, size=n) for sd, n in ((1, 6), (3, 9), (2, 12))]
    levels = {
        str(i): level(float(y.mean()), float(y.std(ddof=1)) / math.sqrt(len(y)), len(y) - 1)
        for i, y in enumerate(groups)
    }
    assert heterogeneity(levels).p_value == pytest.approx(anova_oneway(groups, use_var="unequal").pvalue, rel=1e-9)


def test_two_levels_are_compared_with_each_other():
    found = heterogeneity({"new": level(3.0, 0.3, 20), "old": level(1.0, 0.4, 10)})
    new, old = found.levels
    assert (new.difference, new.std_error) == (pytest.approx(2.0), pytest.approx(0.5))
    assert new.difference == -old.difference
    assert new.p_value == old.p_value == pytest.approx(found.p_value, rel=1e-9)
    assert (new.ci_low, new.ci_high) == pytest.approx((-old.ci_high, -old.ci_low))


def test_a_level_is_held_against_all_others():
    one, *_ = heterogeneity(FOUR).levels
    weights = np.array([1 / each.std_error**2 for name, each in FOUR.items() if name != "a"])
    others = weights @ [each.effect for name, each in FOUR.items() if name != "a"] / weights.sum()
    assert (one.level, one.effect) == ("a", 1.0)
    assert one.effect_others == pytest.approx(others, rel=1e-12)
    assert one.std_error == pytest.approx(math.sqrt(0.25 + 1 / weights.sum()), rel=1e-12)
    assert one.p_value == pytest.approx(2 * stats.norm.sf(abs(1 - others) / one.std_error), rel=1e-9)


def test_the_rest_has_the_degrees_of_freedom_of_its_parts():
    levels = {"a": level(0.0, 1.0, 8), "b": level(1.0, 1.0, 8), "c": level(2.0, 1.0, 8)}
    one, *_ = heterogeneity(levels).levels
    assert one.df == pytest.approx(1.5**2 / (1 / 8 + 2 * 0.25**2 / 8))


def test_p_values_of_levels_are_adjusted_within_the_segment():
    found = heterogeneity(FOUR).levels
    adjusted = stats.false_discovery_control([each.p_value for each in found])
    assert [each.p_value_adjusted for each in found] == pytest.approx(adjusted, rel=1e-9)


def test_simpson_needs_every_level_to_point_the_other_way():
    levels = {"a": level(1.0, 0.2), "b": level(0.5, 0.2)}
    assert heterogeneity(levels, overall=level(-0.1, 0.05)).simpson
    assert not heterogeneity({**levels, "c": level(-0.1, 0.2)}, overall=level(-0.1, 0.05)).simpson
    assert not heterogeneity(levels, overall=level(0.1, 0.05)).simpson
    assert not heterogeneity(levels).simpson


def test_a_level_is_reversed_only_if_it_differs_from_zero():
    levels = {"a": level(2.0, 0.3), "b": level(1.0, 0.3), "c": level(-1.0, 0.2), "d": level(-0.1, 0.2)}
    found = heterogeneity(levels, overall=level(0.8, 0.1))
    assert found.reversed_levels == ("c",)
    assert heterogeneity(levels, overall=level(-0.8, 0.1)).reversed_levels == ("a", "b")
    # Three standard errors would be enough for one level, not for one of twenty.
    many = {**{str(i): level(1.0, 1.0) for i in range(30)}, "c": level(-3.0, 1.0)}
    assert heterogeneity(many, overall=level(0.8, 0.1)).reversed_levels == ()


def test_the_qualitative_test_keeps_its_error_rate_where_it_is_hardest():
    """One effect far below zero and the others exactly zero (Gail & Simon 1985): five of 100 are significant."""
    rng = np.random.default_rng(64)
    for k in (2, 4):
        found = []
        for z in rng.normal(size=(RUNS, k)):
            z[0] = -20
            found.append(heterogeneity({str(i): level(value, 1.0) for i, value in enumerate(z)}).p_value_qualitative)
        assert abs(np.mean(np.array(found) < 0.05) - 0.05) < THREE_ERRORS
    assert heterogeneity({"a": level(1, 1), "b": level(2, 1)}).p_value_qualitative == 1.0


def test_three_levels_have_the_mixture_of_two_chi_squares():
    found = heterogeneity({"a": level(1.5, 1.0), "b": level(1.5, 1.0), "c": level(-9.0, 1.0)})
    expected = 0.5 * stats.chi2.sf(4.5, 1) + 0.25 * stats.chi2.sf(4.5, 2)
    assert found.p_value_qualitative == pytest.approx(expected, rel=1e-9)


def test_two_levels_reverse_if_the_smaller_effect_differs_from_zero_one_sided():
    found = heterogeneity({"a": level(1.5, 1.0), "b": level(-9.0, 1.0)})
    assert found.p_value_qualitative == pytest.approx(stats.norm.sf(1.5), rel=1e-9)


def test_levels_without_an_effect_are_left_out_and_named():
    levels = {**FOUR, "thin": Effect("too_few_units", 1, 3), "empty": Effect("no_units", 0, 0)}
    found = heterogeneity(levels)
    assert found.q == heterogeneity(FOUR).q
    assert found.settings["left_out"] == {"thin": "too_few_units", "empty": "no_units"}
    assert json.loads(json.dumps(asdict(found)))["settings"] == found.settings


@pytest.mark.parametrize(
    ("levels", "status"),
    [
        ({}, "no_units"),
        ({"a": level(1, 1)}, "not_estimable"),
        ({"a": level(1, 1), "b": Effect("no_units", 0, 0)}, "not_estimable"),
        ({"a": level(1, 1), "b": level(1, 1e-9)}, "ok"),
        ({"a": level(1, 1e-9), "b": level(1, 1e-9), "c": level(1, 1.0)}, "not_estimable"),
    ],
)
def test_what_cannot_be_tested_has_a_status(levels, status):
    found = heterogeneity(levels)
    assert found.status == status
    assert (found.p_value is None) == (status != "ok")


@pytest.mark.parametrize("factor", [1e-120, 1e120])
def test_the_unit_of_the_outcome_does_not_matter(factor):
    scaled = heterogeneity({name: level(each.effect * factor, each.std_error * factor) for name, each in FOUR.items()})
    plain = heterogeneity(FOUR)
    assert (scaled.p_value, scaled.q) == pytest.approx((plain.p_value, plain.q), rel=1e-9)
    assert scaled.levels[0].difference == pytest.approx(factor * plain.levels[0].difference, rel=1e-9)


def levels_of(rng: np.random.Generator, effects: list[float], sizes: list[int]) -> dict[str, Effect]:
    return {
        str(i): difference_in_means(
            Moments.from_arrays(rng.exponential(2, size=n) + effect),
            Moments.from_arrays(rng.exponential(2, size=2 * n)),
        )
        for i, (effect, n) in enumerate(zip(effects, sizes, strict=True))
    }


def test_equal_effects_are_found_different_in_five_of_100_trials_and_intervals_cover():
    rng = np.random.default_rng(62)
    found = [heterogeneity(levels_of(rng, [0.5] * 4, [40, 60, 150, 300])) for _ in range(RUNS)]
    assert abs(np.mean([each.p_value < 0.05 for each in found]) - 0.05) < THREE_ERRORS
    covered = [one.ci_low <= 0 <= one.ci_high for each in found for one in each.levels]
    assert abs(np.mean(covered) - 0.95) < THREE_ERRORS


def test_the_screen_keeps_the_false_discovery_rate_and_finds_the_level():
    """Ten segments, two of which differ in one level: wrong segments, and wrong levels in segments found."""
    rng = np.random.default_rng(63)
    wrong_segments, wrong_levels, power = [], [], []
    for _ in range(200):
        segments = {
            str(i): heterogeneity({str(j): level(rng.normal(3.5 if i < 2 and j == 0 else 0, 1), 1.0) for j in range(4)})
            for i in range(10)
        }
        found = screen_segments(segments, q=0.1)
        names = [name for name, each in found.items() if each.found]
        wrong_segments.append(sum(int(name) >= 2 for name in names) / max(len(names), 1))
        shares = [
            sum(int(name) >= 2 or one != "0" for one in found[name].levels_found)
            / max(len(found[name].levels_found), 1)
            for name in names
        ]
        wrong_levels.append(np.mean(shares) if shares else 0.0)
        power.append("0" in found["0"].levels_found)
    error = 3 * np.std(wrong_segments) / 200**0.5
    assert 0.02 < np.mean(wrong_segments) < 0.08 + error
    # Once a level differs, the others differ from the rest that holds it: allow for that.
    assert np.mean(wrong_levels) < 0.15
    assert np.mean(power) > 0.3


def test_a_segment_that_was_not_tested_counts_in_the_screen():
    tested = heterogeneity({"a": level(2.6, 1.0), "b": level(-0.4, 1.0)})
    alone = screen_segments({"x": tested}, q=0.05)
    among = screen_segments({"x": tested, "y": Heterogeneity("not_estimable")}, q=0.05)
    assert alone["x"].found
    assert alone["x"].levels_found == ("a", "b")
    assert not among["x"].found
    assert among["x"].levels_found == ()
    assert (among["y"].p_value_adjusted, among["y"].found) == (None, False)


def test_levels_are_held_to_the_share_of_segments_found():
    """Two of four segments are found: their levels are tested at half of q, and those of the others not at all."""
    one, _ = heterogeneity({"a": level(3.0, 1.0), "b": level(-0.5, 1.0)}).levels
    sure, near = (replace(one, p_value_adjusted=p) for p in (0.024, 0.026))
    found = Heterogeneity("ok", p_value=0.001, levels=(sure, replace(near, level="b")))
    missed = Heterogeneity("ok", p_value=0.9, levels=(sure,))
    screened = screen_segments({"x": found, "y": missed, "z": missed, "w": found}, q=0.05)
    assert screened["x"].levels_found == ("a",)
    assert screened["y"].levels_found == ()
