"""Strengths of observed covariates against a second implementation's t statistics."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from causeway.effects.sensitivity.linear_bias import linear_benchmark
from causeway.effects.sensitivity.observed_strengths import observed_strengths

NAMES = ["none", "some", "strong"]


def world(n=500, *, seed=2):
    dice = np.random.default_rng(seed)
    x = dice.normal(size=(n, 3))
    treated = x @ [0, 0.3, 0.8] + dice.normal(size=n) > 0
    return x @ [0, 0.5, 1.0] + treated + dice.normal(size=n), treated, x, dice.uniform(0.5, 2, n)


@pytest.mark.parametrize("weighted", [False, True])
def test_they_are_the_partial_r2_of_two_regressions(weighted):
    outcome, treated, x, weights = world()
    w = weights if weighted else np.ones(len(outcome))
    of_treatment = sm.WLS(treated.astype(float), sm.add_constant(x), weights=w).fit()
    of_outcome = sm.WLS(outcome, sm.add_constant(np.column_stack([x, treated])), weights=w).fit()
    found = observed_strengths(outcome, treated, x, NAMES, weights=weights if weighted else None)
    assert [name for name, _ in found] == ["strong", "some", "none"]
    for name, strength in found:
        at = NAMES.index(name) + 1
        treatment, of_y = (
            fit.tvalues[at] ** 2 / (fit.tvalues[at] ** 2 + fit.df_resid) for fit in (of_treatment, of_outcome)
        )
        expected = linear_benchmark(treatment=treatment, outcome=of_y, times_treatment=1, times_outcome=1)
        assert (strength.treatment, strength.outcome) == pytest.approx((expected.treatment, expected.outcome), rel=1e-9)


def test_the_strongest_alone_are_named():
    outcome, treated, x, _ = world()
    assert [name for name, _ in observed_strengths(outcome, treated, x, NAMES, most=1)] == ["strong"]


@pytest.mark.parametrize("rows", [0, 6])
def test_too_few_units_have_none(rows):
    outcome, treated, x, _ = world()
    assert observed_strengths(outcome[:rows], treated[:rows], x[:rows], NAMES) == ()


def test_a_column_that_nearly_is_the_treatment_is_nobodys_measure():
    outcome, treated, x, _ = world()
    x[:, 0] = treated + 0.01 * x[:, 0]
    assert "none" not in dict(observed_strengths(outcome, treated, x, NAMES))
