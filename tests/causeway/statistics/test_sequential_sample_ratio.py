from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from causeway.statistics.sequential_sample_ratio import log_bayes_factor, sequential_sample_ratio_test

HALVES = {"a": 1, "b": 1}
shares = st.lists(st.floats(0.05, 1), min_size=2, max_size=4).map(lambda raw: [each / sum(raw) for each in raw])


@settings(max_examples=40)
@given(shares, st.data())
def test_agrees_with_scipys_dirichlet_multinomial(share, data):
    counts = [1 + n for n in data.draw(st.lists(st.integers(0, 300), min_size=len(share), max_size=len(share)))]
    for concentration in (3.0, 100.0, 10_000.0):
        n = sum(counts)
        theirs = stats.dirichlet_multinomial.logpmf(counts, concentration * np.array(share), n)
        theirs -= stats.multinomial.logpmf(counts, n, share)
        ours = float(log_bayes_factor(counts, share, concentrations=[concentration]))
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-8)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60), st.floats(0.1, 0.9), st.permutations(range(60)))
def test_unit_by_unit_it_is_the_product_of_predictions_in_any_order(units, share, order):
    """Lindon & Malek: each unit multiplies the odds by its predicted over its declared probability."""

    def product(sequence, concentration):
        counts, log = [0, 0], 0.0
        for unit in sequence:
            prior = concentration * (share if unit else 1 - share)
            log += math.log((prior + counts[unit]) / (concentration + sum(counts)) / (share if unit else 1 - share))
            counts[unit] += 1
        return log

    shuffled = [units[place] for place in order if place < len(units)]
    counts = [units.count(0), units.count(1)]
    for concentration in (10.0, 1000.0):
        ours = float(log_bayes_factor(counts, [1 - share, share], concentrations=[concentration]))
        assert ours == pytest.approx(product(units, concentration), abs=1e-9)
        assert ours == pytest.approx(product(shuffled, concentration), abs=1e-9)


@pytest.mark.parametrize("share", [(0.5, 0.5), (0.2, 0.3, 0.5)])
def test_the_evidence_is_one_on_average_under_the_declared_shares(share):
    outcomes = [each for each in itertools.product(range(13), repeat=len(share)) if sum(each) == 12]
    probabilities = stats.multinomial.pmf(outcomes, 12, share)
    assert float(probabilities @ np.exp(log_bayes_factor(outcomes, share))) == pytest.approx(1.0, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8), st.floats(1e-6, 1e6))
def test_p_never_rises_and_neither_scale_nor_order_of_variants_matters(days, scale):
    looks = [{"a": int(a), "b": int(b)} for a, b in np.cumsum(days, axis=0)]
    plain = sequential_sample_ratio_test(looks, {"a": 2, "b": 1})
    other = sequential_sample_ratio_test(looks, {"b": scale, "a": 2 * scale})
    assert list(plain.p_values) == sorted(plain.p_values, reverse=True)
    assert other.p_values == pytest.approx(plain.p_values, rel=1e-9)


def test_a_failure_is_kept_although_the_arms_come_together_again():
    looks = [{"a": 900, "b": 700}, {"a": 5000, "b": 5000}]
    result = sequential_sample_ratio_test(looks, HALVES)
    assert (result.passed, result.first_failure) == (False, 0)
    assert result.p_value == result.p_values[0] < 0.001
    assert result.log_bayes_factor < 0
    assert "since look 1 of 2" in result.detail
    assert sequential_sample_ratio_test(looks[1:], HALVES).passed


def test_one_unit_in_a_zero_weight_arm_fails_from_that_look_on():
    weights = {**HALVES, "retired": 0}
    looks = [{"a": 500, "b": 500}, {"a": 600, "b": 600, "retired": 1}]
    result = sequential_sample_ratio_test(looks, weights)
    assert (result.passed, result.p_values, result.first_failure) == (False, (1.0, 0.0), 1)
    assert result.log_bayes_factor is None
    assert "retired" in result.detail
    without = sequential_sample_ratio_test(looks[:1], weights)
    assert without.p_values == sequential_sample_ratio_test(looks[:1], HALVES).p_values
    assert without.expected["retired"] == 0


def test_no_units_at_all_is_not_a_pass():
    result = sequential_sample_ratio_test([{}, {}], HALVES)
    assert (result.p_value, result.passed, result.log_bayes_factor) == (None, False, None)
    assert result.observed == {"a": 0, "b": 0}


def test_a_single_arm_with_weight_has_no_ratio_to_test():
    result = sequential_sample_ratio_test([{"a": 500}], {"a": 1, "b": 0})
    assert (result.p_value, result.passed) == (None, True)
    assert not sequential_sample_ratio_test([{"a": 500, "b": 1}], {"a": 1, "b": 0}).passed


def test_a_hundred_units_in_one_arm_are_enough():
    """The wide alternatives see what a single one, tuned to ten thousand units, would not."""
    assert not sequential_sample_ratio_test([{"a": 30, "b": 0}], HALVES).passed
    assert sequential_sample_ratio_test([{"a": 100, "b": 0}], HALVES, concentrations=[10_000.0]).passed


@pytest.mark.parametrize(
    ("looks", "weights", "concentrations"),
    [
        ([], HALVES, [1.0]),
        ([{"a": 1}], {"a": 0}, [1.0]),
        ([{"a": -1}], HALVES, [1.0]),
        ([{"stranger": 1}], HALVES, [1.0]),
        ([{"a": 5}, {"a": 4, "b": 9}], HALVES, [1.0]),
        ([{"a": 5}], HALVES, []),
        ([{"a": 5}], HALVES, [0.0]),
    ],
)
def test_unusable_arguments_are_refused(looks, weights, concentrations):
    with pytest.raises(ValueError):
        sequential_sample_ratio_test(looks, weights, concentrations=concentrations)


def daily(seed, runs, size, share):
    return np.cumsum(np.random.default_rng(seed).multinomial(size, share, size=(runs, 60)), axis=1)


@pytest.mark.parametrize("share", [(0.5, 0.5), (0.1, 0.9), (0.2, 0.3, 0.5)])
@pytest.mark.parametrize("size", [20, 5000])
def test_sixty_looks_fail_no_more_often_than_the_threshold(share, size):
    runs, threshold = 4000, 0.05
    crossed = log_bayes_factor(daily(size, runs, size, share), share).max(axis=1) > -math.log(threshold)
    assert 0 < crossed.mean() <= threshold


def test_the_fixed_test_does_not_survive_sixty_looks():
    counts = daily(1, 2000, 500, (0.5, 0.5))
    n = counts.sum(axis=2)
    p_values = stats.chi2.sf((counts[:, :, 0] - n / 2) ** 2 / (n / 4), 1)
    assert (p_values < 0.05).any(axis=1).mean() > 0.25


@pytest.mark.parametrize(("size", "share"), [(20, 0.6), (1000, 0.52), (50_000, 0.502)])
def test_a_mismatch_is_found_at_every_scale(size, share):
    crossed = log_bayes_factor(daily(2, 200, size, (share, 1 - share)), [0.5, 0.5]).max(axis=1) > -math.log(0.001)
    assert crossed.mean() > 0.95
