"""The E-value: published examples, and a confounder of that strength that really explains the effect."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.effects.sensitivity.e_value import e_value

CONVERSION: dict[str, Any] = {"sd": 0.0, "is_conversion": True}
MEASURE: dict[str, Any] = {"mean_control": 0.0, "is_conversion": False}


def test_the_example_of_the_paper() -> None:
    """VanderWeele & Ding 2017: RR 3.9 (1.8, 8.7) has E-values 7.26 and 3.0."""
    found = e_value(effect=0.029, ci_low=0.008, ci_high=0.077, mean_control=0.01, **CONVERSION)
    assert found.scale == "risk_ratio"
    assert found.ratio == pytest.approx(3.9)
    assert found.point == pytest.approx(7.26, abs=0.01)
    assert found.limit == pytest.approx(3.0, abs=0.01)


def test_a_preventive_ratio_counts_as_its_inverse() -> None:
    found = e_value(effect=-0.05, ci_low=-0.06, ci_high=-0.04, mean_control=0.1, **CONVERSION)
    assert found.point == pytest.approx(2 + math.sqrt(2))
    assert found.limit == pytest.approx(1 / 0.6 + math.sqrt(1 / 0.6 * (1 / 0.6 - 1)))


def test_a_measure_goes_by_its_standard_deviation_and_the_sign_means_nothing() -> None:
    up = e_value(effect=2.0, ci_low=1.0, ci_high=3.0, sd=4.0, **MEASURE)
    down = e_value(effect=-2.0, ci_low=-3.0, ci_high=-1.0, sd=4.0, **MEASURE)
    ratio = math.exp(0.91 * 0.5)
    assert up.scale == "standardised_difference"
    assert up.point == pytest.approx(ratio + math.sqrt(ratio * (ratio - 1)))
    assert (up.point, up.limit) == pytest.approx((down.point, down.limit))


def test_an_interval_that_holds_no_effect_needs_nothing_to_explain_it() -> None:
    found = e_value(effect=0.01, ci_low=-0.01, ci_high=0.03, mean_control=0.1, **CONVERSION)
    assert found.limit == 1.0
    assert found.point is not None and found.point > 1


@pytest.mark.parametrize(
    ("numbers", "status"),
    [
        ({"effect": 0.1, "ci_low": 0.0, "ci_high": 0.2, "mean_control": 0.0, **CONVERSION}, "not_estimable"),
        ({"effect": -0.1, "ci_low": -0.2, "ci_high": -0.05, "mean_control": 0.1, **CONVERSION}, "not_estimable"),
        ({"effect": 1e9, "ci_low": 1e8, "ci_high": 1e10, "sd": 1.0, **MEASURE}, "not_estimable"),
        ({"effect": 1.0, "ci_low": 0.0, "ci_high": 2.0, "sd": 0.0, **MEASURE}, "zero_variance"),
    ],
)
def test_undefined_is_none_with_a_status(numbers: dict[str, Any], status: str) -> None:
    found = e_value(**numbers)
    assert (found.status, found.point, found.limit) == (status, None, None)


def test_an_interval_beside_its_effect_is_refused() -> None:
    with pytest.raises(ValueError, match="does not hold"):
        e_value(effect=1.0, ci_low=2.0, ci_high=3.0, sd=1.0, **MEASURE)


@settings(deadline=None)
@given(st.floats(0.01, 5.0), st.floats(0.0, 1.0))
def test_the_limit_is_never_above_the_point_and_both_are_what_ding_bounds(effect: float, share: float) -> None:
    found = e_value(effect=effect, ci_low=share * effect, ci_high=2 * effect, sd=1.0, **MEASURE)
    assert found.point is not None and found.limit is not None and found.ratio is not None
    assert 1 <= found.limit <= found.point
    # Ding & VanderWeele 2016: two associations of e move a ratio by at most e^2 / (2 e - 1).
    assert found.point**2 / (2 * found.point - 1) == pytest.approx(found.ratio, rel=1e-9)
