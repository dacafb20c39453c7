from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from causeway.statistics.attrition import missing_shares_p_value


@pytest.mark.parametrize(
    "outcomes", [{"a": (900, 100), "b": (850, 150)}, {"a": (500, 20), "b": (480, 40), "c": (1000, 70)}]
)
def test_agrees_with_scipy(outcomes):
    theirs = stats.chi2_contingency(list(outcomes.values()), correction=False).pvalue
    assert missing_shares_p_value(outcomes) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("outcomes", [{"a": (999, 1), "b": (99_000, 0)}, {"a": (12, 3), "b": (20, 0)}])
def test_small_expected_counts_agree_with_fishers_exact_test(outcomes):
    """One missing outcome in an arm of 1 % is nothing (p = 0.01); the chi-square would call it 1e-23."""
    theirs = stats.fisher_exact(list(outcomes.values())).pvalue
    assert missing_shares_p_value(outcomes) == pytest.approx(theirs, abs=0.003)


def test_an_empty_arm_is_left_out():
    with_empty = missing_shares_p_value({"a": (900, 100), "b": (850, 150), "c": (0, 0)})
    assert with_empty == missing_shares_p_value({"a": (900, 100), "b": (850, 150)})


@pytest.mark.parametrize(
    "outcomes",
    [{}, {"a": (5, 1)}, {"a": (5, 0), "b": (9, 0)}, {"a": (0, 5), "b": (0, 9)}, {"a": (5, 1), "b": (0, 0)}],
)
def test_nothing_to_compare_has_no_p_value(outcomes):
    assert missing_shares_p_value(outcomes) is None


def test_equal_loss_is_rarely_called_unequal():
    rng = np.random.default_rng(4)
    missing = rng.binomial(2000, 0.05, size=(1000, 2)).tolist()
    p_values = [missing_shares_p_value({"a": (2000 - m, m), "b": (2000 - k, k)}) for m, k in missing]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.021)


def test_a_negative_count_is_refused():
    with pytest.raises(ValueError, match="negative"):
        missing_shares_p_value({"a": (5, -1), "b": (5, 1)})
