from __future__ import annotations

import pytest

from causeway.statistics import Effect, Moments, difference_in_means

NUMBERS = {"effect": 1.0, "std_error": 0.5, "ci_low": 0.0, "ci_high": 2.0, "p_value": 0.05}


def test_a_status_other_than_ok_cannot_carry_an_effect():
    for name, number in {**NUMBERS, "relative_effect": 0.1, "relative_ci_low": 0.0}.items():
        with pytest.raises(ValueError, match="with an effect"):
            Effect("zero_variance", 5, 5, **{name: number})


def test_status_ok_needs_every_number_but_the_relative_ones():
    assert Effect("ok", 5, 5, **NUMBERS).relative_effect is None
    for name in NUMBERS:
        with pytest.raises(ValueError, match="without an effect"):
            Effect("ok", 5, 5, **{**NUMBERS, name: None})


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinity_are_refused(number):
    with pytest.raises(ValueError, match="never nan"):
        Effect("ok", 5, 5, **{**NUMBERS, "ci_high": number})
    with pytest.raises(ValueError, match="never nan"):
        Effect("no_units", 0, 5, mean_control=number)


def test_a_withheld_row_gives_nothing_away():
    """With both means left in the row, their difference would still be the effect."""
    shown = difference_in_means(Moments.from_arrays([1.0, 2.0, 4.0]), Moments.from_arrays([0.0, 1.0, 3.0]))
    closed = shown.withheld("srm: the units contradict the weights")
    assert (closed.status, closed.n, closed.n_control) == ("withheld", 3, 3)
    assert closed.settings == {"reasons": ["srm: the units contradict the weights"]}
    assert (closed.mean, closed.mean_control, closed.effect, closed.p_value) == (None, None, None, None)
