from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.statistics.alpha_spending import Spending

FAMILIES = [
    Spending("obrien_fleming"),
    Spending("pocock"),
    Spending("power", 2.0),
    Spending("power", 0.5),
    Spending("hwang_shih_decani", -4.0),
    Spending("hwang_shih_decani", 0.0),
    Spending("hwang_shih_decani", 2.0),
]


@pytest.mark.parametrize("spending", FAMILIES)
@given(st.floats(0.001, 1), st.floats(0.001, 1), st.floats(1e-4, 0.9))
def test_more_information_never_spends_less_and_all_of_it_spends_all(spending, one, other, rate):
    low, high = sorted((one, other))
    assert 0 <= spending.spent(low, rate) <= spending.spent(high, rate) * (1 + 1e-12) <= rate * (1 + 1e-9)
    assert spending.spent(1.0, rate) == spending.spent(1.3, rate) == rate
    assert spending.spent(1 - 1e-9, rate) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize(
    ("spending", "spent"),
    [
        # Lan & DeMets: 2 - 2 Phi(2.2414 / sqrt(0.5)) and 0.025 log(1 + 0.5 (e - 1)); the rest by hand.
        (Spending("obrien_fleming"), 0.001525),
        (Spending("pocock"), 0.015503),
        (Spending("power", 3.0), 0.003125),
        (Spending("hwang_shih_decani", -4.0), 0.025 * (1 - math.exp(2)) / (1 - math.exp(4))),
    ],
)
def test_half_way_values(spending, spent):
    assert spending.spent(0.5, 0.025) == pytest.approx(spent, abs=5e-7)


@pytest.mark.parametrize(
    "wrong", [("linear", None), ("power", None), ("power", 0.0), ("power", math.nan), ("pocock", 1.0)]
)
def test_an_unusable_function_is_refused(wrong):
    with pytest.raises(ValueError):
        Spending(*wrong)
