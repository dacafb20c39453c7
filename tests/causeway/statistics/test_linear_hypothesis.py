from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.oneway import anova_oneway

from causeway.statistics.linear_hypothesis import linear_hypothesis

RUNS = 2000


def against_first(k: int) -> np.ndarray:
    return np.column_stack([-np.ones(k - 1), np.eye(k - 1)])


def samples(seed: int, k: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(rng.normal(), rng.uniform(0.5, 3), size=rng.integers(4, 30)) for _ in range(k)]


def numbers(groups: list[np.ndarray]) -> tuple[list[float], list[float], list[float]]:
    return (
        [float(y.mean()) for y in groups],
        [float(y.var(ddof=1)) / len(y) for y in groups],
        [len(y) - 1.0 for y in groups],
    )


@pytest.mark.parametrize("k", [2, 3, 6])
def test_equal_means_are_welchs_analysis_of_variance(k):
    groups = samples(k, k)
    ours = linear_hypothesis(*numbers(groups), against_first(k))
    theirs = anova_oneway(groups, use_var="unequal")
    assert ours.f == pytest.approx(theirs.statistic, rel=1e-9)
    assert (ours.df, ours.df_denominator) == pytest.approx(theirs.df, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


def test_one_row_is_welchs_t_test():
    treated, control = samples(3, 2)
    ours = linear_hypothesis(*numbers([treated, control]), [1, -1])
    theirs = stats.ttest_ind(treated, control, equal_var=False)
    assert ours.f == pytest.approx(theirs.statistic**2, rel=1e-9)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert ours.df_denominator == pytest.approx(theirs.df, rel=1e-9)


@given(st.integers(0, 10_000), st.sampled_from([1e-120, 1e-3, 1e120]))
def test_neither_the_basis_nor_the_scale_matters(seed, factor):
    rng = np.random.default_rng(seed)
    m, v, df = rng.normal(size=4), rng.uniform(0.5, 2, size=4), rng.integers(3, 40, size=4)
    rows = against_first(4)
    plain = linear_hypothesis(m, v, df, rows)
    mixed = linear_hypothesis(m * factor, v * factor**2, df, rng.normal(size=(3, 3)) @ rows)
    assert mixed.f == pytest.approx(plain.f, rel=1e-6)
    assert mixed.p_value == pytest.approx(plain.p_value, rel=1e-6)


def test_known_variances_make_it_chi_square():
    found = linear_hypothesis([1.0, 2.0, 4.0], [0.5, 1.0, 1.5], [np.inf] * 3, against_first(3))
    assert found.df_denominator == np.inf
    assert found.f * found.df == pytest.approx(found.wald)
    assert found.p_value == found.p_value_wald == pytest.approx(stats.chi2.sf(found.wald, 2))


def test_small_groups_of_unequal_variance_keep_the_error_rate_where_the_chi_square_does_not():
    rng = np.random.default_rng(31)
    groups = [rng.normal(0, sd, size=(RUNS, n)) for sd, n in ((1, 6), (4, 5), (1, 20), (2, 8))]
    v = np.column_stack([y.var(axis=1, ddof=1) / y.shape[1] for y in groups])
    m = np.column_stack([y.mean(axis=1) for y in groups])
    df = [y.shape[1] - 1 for y in groups]
    found = [linear_hypothesis(m[run], v[run], df, against_first(4)) for run in range(RUNS)]
    assert abs(np.mean([each.p_value < 0.05 for each in found]) - 0.05) < 3 * (0.05 * 0.95 / RUNS) ** 0.5 + 0.005
    assert np.mean([each.p_value_wald < 0.05 for each in found]) > 0.1


def test_no_spread_no_test():
    assert linear_hypothesis([1.0, 2.0], [0.0, 0.0], [5, 5], [1, -1]) is None
    assert linear_hypothesis([1.0, 2.0, 3.0], [0.0, 0.0, 1.0], [5, 5, 5], against_first(3)) is None
    assert linear_hypothesis([1.0, 2.0], [1.0, 1.0], [5, 5], [[1, -1], [2, -2]]) is None
    assert linear_hypothesis([1.0, 2.0], [0.0, 1.0], [5, 5], [1, -1]) is not None


@pytest.mark.parametrize(
    "wrong", [([1.0], [1.0, 1.0], [5, 5]), ([1.0, 2.0], [-1.0, 1.0], [5, 5]), ([1.0, 2.0], [1.0, 1.0], [0, 5])]
)
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=r"one estimate|estimates must"):
        linear_hypothesis(*wrong, [1, -1])
