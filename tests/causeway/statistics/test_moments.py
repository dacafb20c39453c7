from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.statistics import Moments

values = st.floats(-1e6, 1e6, allow_subnormal=False)
pairs = st.lists(st.tuples(values, values), max_size=30)


def moments(rows: list[tuple[float, float]]) -> Moments:
    return Moments.from_arrays([y for y, _ in rows], x=[x for _, x in rows])


def assert_same(left: Moments, right: Moments) -> None:
    """Equal up to rounding, measured against the largest value that can occur."""
    assert left.n == right.n
    largest_sum = 1e12 * max(left.n, 1)
    for name in ("mean_y", "mean_x"):
        assert getattr(left, name) == pytest.approx(getattr(right, name), rel=1e-12, abs=1e-8)
    for name in ("m2_y", "m2_x", "c_xy"):
        assert getattr(left, name) == pytest.approx(getattr(right, name), rel=1e-9, abs=1e-15 * largest_sum)


@given(pairs, pairs)
def test_monday_plus_tuesday_equals_both_days_recomputed(monday, tuesday):
    assert_same(moments(monday) + moments(tuesday), moments(monday + tuesday))


@given(pairs, pairs, pairs)
def test_the_order_of_merging_does_not_matter(a, b, c):
    assert_same((moments(a) + moments(b)) + moments(c), moments(a) + (moments(b) + moments(c)))
    assert_same(moments(a) + moments(b), moments(b) + moments(a))


@given(pairs)
def test_an_empty_day_changes_nothing(rows):
    assert moments(rows) + Moments.empty() == moments(rows) == Moments.empty() + moments(rows)


def test_variances_agree_with_numpy():
    rng = np.random.default_rng(1)
    y, x = rng.normal(size=50), rng.normal(size=50)
    found = Moments.from_arrays(y, x)
    assert found.var_y == pytest.approx(np.var(y, ddof=1), rel=1e-12)
    assert found.var_x == pytest.approx(np.var(x, ddof=1), rel=1e-12)
    assert found.cov_xy == pytest.approx(np.cov(x, y)[0, 1], rel=1e-12)


def test_a_large_mean_costs_no_precision():
    """The textbook formula, sum of squares minus square of the sum, returns 0 or worse here."""
    far = Moments.from_arrays([1e9 + 1, 1e9 + 2]) + Moments.from_arrays([1e9 + 3])
    assert far.var_y == pytest.approx(1.0, rel=1e-6)


def test_variance_of_fewer_than_two_units_is_undefined():
    assert Moments.empty().var_y is None
    one = Moments.from_arrays([3.0], x=[1.0])
    assert (one.var_y, one.var_x, one.cov_xy) == (None, None, None)


def test_a_constant_has_no_variance_even_where_rounding_leaves_a_trace():
    tenths = Moments.from_arrays([0.1] * 7) + Moments.from_arrays([0.1] * 3)
    accumulated_in_sql = Moments(1_000_000, 0.1 + 1e-12, m2_y=1e6 * (0.1 * 1e-11) ** 2)
    assert tenths.var_y == 0.0
    assert accumulated_in_sql.var_y == 0.0
    assert Moments.from_arrays([1e9, 1e9 + 1]).var_y == pytest.approx(0.5)


@pytest.mark.parametrize(
    "numbers",
    [
        (-1, 0.0, 0.0),
        (2, 0.0, -1.0),
        (2, float("nan"), 1.0),
        (2, 0.0, float("inf")),
        (0, 1.0, 0.0),
        (2, 0.0, 1.0, 0.0, -1.0),
    ],
)
def test_impossible_moments_are_refused(numbers):
    with pytest.raises(ValueError):
        Moments(*numbers)


@pytest.mark.parametrize(
    ("y", "x"), [([1.0, np.nan], None), ([1.0, np.inf], None), ([1.0, 2.0], [1.0]), ([[1.0], [2.0]], None)]
)
def test_missing_values_and_other_shapes_are_refused(y, x):
    with pytest.raises(ValueError):
        Moments.from_arrays(y, x)
