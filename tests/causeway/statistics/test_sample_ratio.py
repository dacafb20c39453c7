from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from causeway.statistics import sample_ratio, sample_ratio_test

counts = st.fixed_dictionaries({"a": st.integers(50, 500), "b": st.integers(50, 500), "c": st.integers(50, 500)})


@given(counts)
def test_agrees_with_scipy(observed):
    weights = {"a": 2, "b": 1, "c": 1}
    total = sum(observed.values())
    theirs = stats.chisquare([observed[variant] for variant in weights], [total / 2, total / 4, total / 4])
    ours = sample_ratio_test(observed, weights)
    assert ours.method == "chi_square"
    assert ours.statistic == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-12)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert ours.passed == (theirs.pvalue >= 0.001)


@given(counts, st.floats(1e-6, 1e6), st.permutations(["a", "b", "c"]))
def test_neither_the_scale_of_the_weights_nor_the_order_of_the_variants_matters(observed, scale, order):
    weights = {"a": 2.0, "b": 1.0, "c": 1.0}
    plain = sample_ratio_test(observed, weights)
    other = sample_ratio_test(observed, {variant: weights[variant] * scale for variant in order})
    assert other.p_value == pytest.approx(plain.p_value, rel=1e-9)


def test_zero_weight_arm_is_left_out_of_the_degrees_of_freedom():
    """With the arm counted there would be two degrees of freedom, and p = 0.041 instead of 0.011."""
    with_retired_arm = sample_ratio_test({"a": 540, "b": 460, "retired": 0}, {"a": 1, "b": 1, "retired": 0})
    without = sample_ratio_test({"a": 540, "b": 460}, {"a": 1, "b": 1})
    assert with_retired_arm.df == without.df == 1
    assert with_retired_arm.p_value == without.p_value == pytest.approx(stats.chi2.sf(6.4, 1), rel=1e-9)
    assert with_retired_arm.expected["retired"] == 0


def test_one_unit_in_a_zero_weight_arm_fails_the_test():
    result = sample_ratio_test({"a": 500, "b": 500, "retired": 1}, {"a": 1, "b": 1, "retired": 0})
    assert (result.passed, result.p_value) == (False, 0.0)
    assert "retired" in result.detail


def test_no_units_at_all_is_not_a_pass():
    result = sample_ratio_test({}, {"a": 1, "b": 1})
    assert (result.p_value, result.passed, result.statistic) == (None, False, None)
    assert result.observed == {"a": 0, "b": 0}
    assert "No unit" in result.detail


def test_a_single_arm_with_weight_has_no_ratio_to_test():
    result = sample_ratio_test({"a": 500}, {"a": 1, "b": 0})
    assert (result.p_value, result.passed, result.df) == (None, True, 0)


@pytest.mark.parametrize(("a", "b", "share"), [(3, 0, 0.5), (8, 0, 0.5), (2, 17, 0.2), (6, 18, 0.1), (5, 2995, 0.001)])
def test_small_counts_agree_with_the_exact_binomial_test(a, b, share):
    result = sample_ratio_test({"a": a, "b": b}, {"a": share, "b": 1 - share})
    assert result.method == "exact_multinomial"
    assert result.p_value == pytest.approx(stats.binomtest(a, a + b, share).pvalue, rel=1e-6)


def test_small_counts_of_three_arms_agree_with_counting_by_hand():
    shares = (0.5, 0.3, 0.2)
    seen = (1, 2, 5)

    def probability(outcome):
        ways = math.factorial(8) / math.prod(math.factorial(n) for n in outcome)
        return ways * math.prod(share**n for share, n in zip(shares, outcome, strict=True))

    outcomes = [outcome for outcome in itertools.product(range(9), repeat=3) if sum(outcome) == 8]
    expected = sum(p for p in map(probability, outcomes) if p <= probability(seen) * (1 + 1e-9))
    result = sample_ratio_test(dict(zip("abc", seen, strict=True)), dict(zip("abc", shares, strict=True)))
    assert result.p_value == pytest.approx(expected, rel=1e-9)


def test_many_outcomes_are_drawn_and_agree_with_the_exact_answer(monkeypatch):
    """The same trial, once with every outcome listed and once with the list forbidden."""
    observed, weights = {"a": 6, "b": 150, "c": 144}, {"a": 0.01, "b": 0.5, "c": 0.49}
    exact = sample_ratio_test(observed, weights)
    monkeypatch.setattr(sample_ratio, "MOST_OUTCOMES_TO_LIST", 0)
    drawn = sample_ratio_test(observed, weights)
    assert (exact.method, drawn.method) == ("exact_multinomial", "monte_carlo_multinomial")
    assert 0.05 < exact.p_value < 0.95
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.006)
    assert drawn == sample_ratio_test(observed, weights)


def test_mismatch_is_found_and_chance_is_not():
    rng = np.random.default_rng(3)
    fair = rng.binomial(10_000, 0.5, size=2000)
    skewed = rng.binomial(10_000, 0.53, size=200)

    def passed(a):
        return sample_ratio_test({"a": int(a), "b": 10_000 - int(a)}, {"a": 1, "b": 1}).passed

    assert sum(not passed(a) for a in fair) <= 10  # 2 are expected at the threshold of 0.001
    assert sum(passed(a) for a in skewed) <= 10


@pytest.mark.parametrize(
    ("observed", "weights"),
    [
        ({"a": 1}, {}),
        ({"a": 1}, {"a": 0}),
        ({"a": 1}, {"a": -1, "b": 2}),
        ({"a": 1}, {"a": float("nan"), "b": 1}),
        ({"a": -1}, {"a": 1, "b": 1}),
        ({"stranger": 1}, {"a": 1, "b": 1}),
    ],
)
def test_unusable_weights_and_counts_are_refused(observed, weights):
    with pytest.raises(ValueError):
        sample_ratio_test(observed, weights)
