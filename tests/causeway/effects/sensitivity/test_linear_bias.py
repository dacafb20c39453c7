"""Omitted variables of a regression: the published example, and a variable that really was omitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from causeway.effects.sensitivity.linear_bias import LinearSensitivity, linear_benchmark
from causeway.effects.sensitivity.strength import Strength, robustness

# Cinelli & Hazlett 2020, sec. 5: exposure to violence in Darfur and attitudes towards peace.
DARFUR = LinearSensitivity(effect=0.0973158, std_error=0.0232566, df=783)


def test_the_numbers_of_the_darfur_example() -> None:
    assert DARFUR.partial_r2 == pytest.approx(0.02187, abs=1e-5)
    assert DARFUR.robustness_value() == pytest.approx(0.13878, abs=1e-5)
    assert DARFUR.robustness_value_interval() == pytest.approx(0.07626, abs=1e-5)


@pytest.mark.parametrize(
    ("times", "treatment", "outcome", "effect", "error"),
    [
        (1, 0.009164, 0.124641, 0.075220, 0.021873),
        (2, 0.018329, 0.249324, 0.052915, 0.020350),
        (3, 0.027493, 0.374050, 0.030396, 0.018670),
    ],
)
def test_confounders_as_strong_as_being_female(
    times: int, treatment: float, outcome: float, effect: float, error: float
) -> None:
    # The covariate's own partial R2 are what "once as strong" implies for them.
    own_treatment = 0.009164 / 1.009164
    shared = own_treatment**2 / (1 - own_treatment) ** 2
    ratio = 0.124641 / ((1 + np.sqrt(shared)) ** 2 / (1 - shared))
    found = linear_benchmark(
        treatment=own_treatment, outcome=ratio / (1 + ratio), times_treatment=times, times_outcome=times
    )
    assert found.treatment == pytest.approx(treatment, abs=2e-6)
    assert found.outcome == pytest.approx(outcome, abs=2e-6)
    assert DARFUR.adjusted(found) == pytest.approx((effect, error), abs=2e-6)


def _study(seed: int) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    x, u = generator.normal(size=(300, 2)), generator.normal(size=300)
    d = x @ [0.5, 0.2] + 0.6 * u + generator.normal(size=300)
    y = x @ [1.0, -1.0] + 0.8 * d + 0.7 * u + generator.normal(size=300)
    return {"x": x, "u": u, "d": d, "y": y}


def _partial_r2(y: Any, exog: Any, column: int) -> float:
    fit = sm.OLS(y, exog).fit()
    return float(fit.tvalues[column] ** 2 / (fit.tvalues[column] ** 2 + fit.df_resid))


@pytest.mark.parametrize("seed", range(5))
def test_a_variable_that_was_left_out_moved_the_estimate_by_exactly_the_bias_and_changed_its_error_so(
    seed: int,
) -> None:
    data = _study(seed)
    x, u, d, y = (data[name] for name in ("x", "u", "d", "y"))
    ones = np.ones(300)
    short = sm.OLS(y, np.column_stack([ones, d, x])).fit()
    full = sm.OLS(y, np.column_stack([ones, d, x, u])).fit()
    strength = Strength(
        outcome=_partial_r2(y, np.column_stack([ones, d, x, u]), 4),
        treatment=_partial_r2(d, np.column_stack([ones, x, u]), 3),
    )
    found = LinearSensitivity(short.params[1], short.bse[1], short.df_resid)
    assert found.adjusted(strength) == pytest.approx((full.params[1], full.bse[1]), rel=1e-9)


def test_at_the_robustness_values_the_estimate_and_its_interval_reach_zero() -> None:
    from scipy import stats

    for t in (2.5, 4.0, 40.0, 400.0):
        found = LinearSensitivity(effect=t, std_error=1.0, df=200)
        value = found.robustness_value()
        assert found.bias(Strength(value, value)) == pytest.approx(t, rel=1e-9)
        limit = found.robustness_value_interval()
        assert 0 < limit < value
        # No confounder of at most that strength makes the interval hold zero, and one of it does.
        critical = stats.t.isf(0.025, 199)

        def smallest(limit: float, found: LinearSensitivity = found) -> float:
            best = np.inf
            for share in np.linspace(0, 1, 201):
                for strength in (Strength(share * limit, limit), Strength(limit, share * limit)):
                    effect, error = found.adjusted(strength)
                    best = min(best, effect / error)
            return float(best)

        assert smallest(limit) == pytest.approx(critical, rel=2e-3)
        assert smallest(0.98 * limit) > critical
    assert LinearSensitivity(effect=1.0, std_error=1.0, df=200).robustness_value_interval() == 0.0


def test_impossible_strengths_and_coefficients_are_refused() -> None:
    with pytest.raises(ValueError, match="shares"):
        Strength(0.5, 1.0)
    with pytest.raises(ValueError, match="standard error"):
        LinearSensitivity(1.0, 0.0, 10)
    with pytest.raises(ValueError, match="more than all"):
        linear_benchmark(treatment=0.4, outcome=0.1, times_treatment=2, times_outcome=1)
    assert robustness(0.0) == 0.0
    assert robustness(1e9) == pytest.approx(1.0)
