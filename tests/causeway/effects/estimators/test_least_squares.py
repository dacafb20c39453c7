"""The treatment's coefficient: the reference agrees, and its interval covers."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from causeway.effects.estimators.least_squares import treatment_coefficient


def test_value_and_hc3_error_are_those_of_statsmodels() -> None:
    generator = np.random.default_rng(0)
    exog = np.column_stack([np.ones(80), generator.uniform(size=80) < 0.3, generator.normal(size=(80, 4))])
    y = exog @ np.arange(6.0) + generator.normal(size=80) * (1 + exog[:, 1])
    reference = sm.OLS(y, exog).fit(cov_type="HC3")
    found = treatment_coefficient(exog, y)
    assert found.variance == "hc3"
    assert found.value == pytest.approx(reference.params[1], abs=1e-10)
    assert found.std_error == pytest.approx(reference.bse[1], abs=1e-10)


def test_a_unit_that_is_fitted_exactly_makes_it_hc1() -> None:
    generator = np.random.default_rng(1)
    alone = np.arange(60) == 7
    exog = np.column_stack([np.ones(60), generator.uniform(size=60) < 0.5, alone])
    y = generator.normal(size=60)
    found = treatment_coefficient(exog, y)
    assert found.variance == "hc1"
    assert found.std_error == pytest.approx(sm.OLS(y, exog).fit(cov_type="HC1").bse[1], abs=1e-10)


def test_intervals_cover_in_a_small_noisy_treated_group_where_the_textbook_ones_do_not() -> None:
    """2,000 studies of 120 units, a fifth treated with three times the noise.

    DoWhy reports the textbook error, made for equal variances.
    """
    covered = classical = 0
    for seed in range(2_000):
        generator = np.random.default_rng(seed)
        c = generator.normal(size=120)
        t = generator.uniform(size=120) < 0.2 * (1 + 0.5 * np.tanh(c))
        y = t + c + generator.normal(size=120) * (1 + 2 * t)
        exog = np.column_stack([np.ones(120), t, c])
        found = treatment_coefficient(exog, y)
        q = stats.t.isf(0.025, 117)
        covered += abs(found.value - 1.0) <= q * found.std_error
        residuals = y - exog @ np.linalg.lstsq(exog, y, rcond=None)[0]
        error = np.sqrt(residuals @ residuals / 117 * np.linalg.inv(exog.T @ exog)[1, 1])
        classical += abs(found.value - 1.0) <= q * error
    print("HC3", covered / 2_000, "classical", classical / 2_000)
    assert 0.93 <= covered / 2_000 <= 0.97
    assert classical / 2_000 < 0.85
