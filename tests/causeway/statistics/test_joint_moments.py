from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.statistics import JointMoments, Moments
from tests.causeway.statistics.nist_strd import STRD

NAMES = ("outcome", "denominator", "before")

values = st.floats(-1e6, 1e6, allow_subnormal=False)
days = st.lists(st.tuples(values, values, values), max_size=30)

# 1,000,000.1 and its like are no binary fractions: a double keeps 1e-10 of them, a billionth of the spread of 0.1.
REPRESENTABLE = {"NumAcc3": 1e-9, "NumAcc4": 1e-8}


def joint(rows: list[tuple[float, float, float]]) -> JointMoments:
    return JointMoments.from_arrays({name: [row[i] for row in rows] for i, name in enumerate(NAMES)})


def assert_same(left: JointMoments, right: JointMoments) -> None:
    """Equal up to rounding, measured against the largest value that can occur."""
    assert (left.names, left.n) == (right.names, right.n)
    assert left.means == pytest.approx(right.means, rel=1e-12, abs=1e-8)
    assert left.comoments == pytest.approx(right.comoments, rel=1e-9, abs=1e-3 * max(left.n, 1))


@pytest.mark.parametrize("name", STRD)
@pytest.mark.parametrize("chunk", [10_000, 50, 1])
def test_nist_reference_data_to_the_certified_digits(name, chunk):
    """Twelve digits of the mean and ten of the spread, in one go, merged from chunks, and unit by unit."""
    certified = STRD[name]
    parts = [certified.values[at : at + chunk] for at in range(0, certified.values.size, chunk)]
    found = reduce(add, (JointMoments.from_arrays({"y": part}) for part in parts))
    tolerance = REPRESENTABLE.get(name, 1e-13 if chunk == 10_000 else 1e-10)
    assert found.mean("y") == pytest.approx(certified.mean, rel=1e-14 if chunk == 10_000 else 1e-12)
    assert found.variance("y") ** 0.5 == pytest.approx(certified.std_dev, rel=tolerance)


@pytest.mark.parametrize("name", STRD)
def test_comoments_give_nists_certified_autocorrelation(name):
    """With the series and itself a step later as two variables; certified is the one about the common mean."""
    certified = STRD[name]
    lagged = JointMoments.from_arrays({"now": certified.values[:-1], "next": certified.values[1:]})
    whole = JointMoments.from_arrays({"y": certified.values})
    apart = (lagged.mean("now") - whole.mean("y")) * (lagged.mean("next") - whole.mean("y"))
    found = (lagged.comoment("now", "next") + lagged.n * apart) / whole.comoment("y", "y")
    assert found == pytest.approx(certified.autocorrelation, rel=REPRESENTABLE.get(name, 1e-12))


@given(days, days)
def test_monday_plus_tuesday_equals_both_days_recomputed(monday, tuesday):
    assert_same(joint(monday) + joint(tuesday), joint(monday + tuesday))


@given(days, days, days)
def test_the_order_of_merging_does_not_matter(a, b, c):
    assert_same((joint(a) + joint(b)) + joint(c), joint(a) + (joint(b) + joint(c)))
    assert_same(joint(a) + joint(b), joint(b) + joint(a))


@given(days)
def test_an_empty_day_changes_nothing(rows):
    empty = JointMoments.empty(NAMES)
    assert joint(rows) + empty == joint(rows) == empty + joint(rows)


@given(days, days)
def test_every_pair_is_what_the_moments_of_two_variables_are(monday, tuesday):
    """The same numbers as `Moments`, which is tested on its own, whatever is merged before."""
    both = joint(monday) + joint(tuesday)
    for y in range(3):
        for x in range(3):
            alone = [Moments.from_arrays([r[y] for r in rows], x=[r[x] for r in rows]) for rows in (monday, tuesday)]
            expected, found = alone[0] + alone[1], both.moments(NAMES[y], NAMES[x])
            assert (found.mean_y, found.mean_x) == pytest.approx((expected.mean_y, expected.mean_x), abs=1e-8)
            for name in ("m2_y", "m2_x", "c_xy"):
                wanted = pytest.approx(getattr(expected, name), rel=1e-9, abs=1e-3 * max(both.n, 1))
                assert getattr(found, name) == wanted


def test_covariances_agree_with_numpy():
    rng = np.random.default_rng(1)
    columns = rng.normal(size=(3, 40)) + 0.7 * rng.normal(size=40)
    found = JointMoments.from_arrays(dict(zip(NAMES, columns, strict=True)))
    expected = np.cov(columns)
    for i, a in enumerate(NAMES):
        assert found.variance(a) == pytest.approx(expected[i, i], rel=1e-12)
        for j, b in enumerate(NAMES):
            assert found.covariance(a, b) == pytest.approx(expected[i, j], rel=1e-12)
    np.testing.assert_allclose(found.comoment_matrix(NAMES[1:], NAMES) / 39, expected[1:], rtol=1e-12)


def test_selecting_keeps_the_pairs_in_the_new_order():
    whole = JointMoments.from_arrays({"a": [1.0, 2.0, 4.0], "b": [0.0, 5.0, 1.0], "c": [2.0, 2.0, 3.0]})
    part = whole.select(["c", "a"])
    assert part == JointMoments.from_arrays({"c": [2.0, 2.0, 3.0], "a": [1.0, 2.0, 4.0]})
    assert whole.select(whole.names) == whole
    assert whole.select([]).n == 3


def test_one_variable_alone_has_moments_without_a_covariate():
    found = JointMoments.from_arrays({"outcome": [1.0, 2.0, 6.0], "before": [1.0, 1.0, 4.0]})
    assert found.moments("outcome") == Moments(3, 3.0, 14.0)
    assert found.moments("outcome", "before").c_xy == 9.0


def test_variance_of_fewer_than_two_units_is_undefined():
    one = JointMoments.from_arrays({"outcome": [3.0], "before": [1.0]})
    assert (one.variance("outcome"), one.covariance("outcome", "before")) == (None, None)
    assert JointMoments.empty(("outcome",)).variance("outcome") is None


def test_a_constant_has_no_variance_even_where_rounding_leaves_a_trace():
    tenths = JointMoments.from_arrays({"y": [0.1] * 7}) + JointMoments.from_arrays({"y": [0.1] * 3})
    accumulated_in_sql = JointMoments(("y",), 1_000_000, (0.1 + 1e-12,), (1e6 * (0.1 * 1e-11) ** 2,))
    assert tenths.variance("y") == 0.0
    assert accumulated_in_sql.variance("y") == 0.0


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ((("y",), -1, (0.0,), (0.0,)), "negative"),
        ((("y",), 2, (0.0,), (-1.0,)), "negative"),
        ((("y", "x"), 2, (0.0, 0.0), (1.0, 0.0, -1.0)), "negative"),
        ((("y",), 2, (float("nan"),), (1.0,)), "finite"),
        ((("y",), 2, (0.0,), (float("inf"),)), "finite"),
        ((("y", "x"), 2, (0.0, 0.0), (1.0, float("nan"), 1.0)), "finite"),
        ((("y",), 0, (1.0,), (0.0,)), "no units"),
        ((("y",), 0, (0.0,), (1.0,)), "no units"),
        ((("y", "x"), 2, (0.0,), (1.0, 0.0, 1.0)), "want 2 means"),
        ((("y", "x"), 2, (0.0, 0.0), (1.0, 1.0)), "3 co-moments"),
        ((("y", "y"), 2, (0.0, 0.0), (1.0, 0.0, 1.0)), "twice"),
        ((("y", "x"), 2, (0.0, 0.0), (1.0, 1.1, 1.0)), "larger than its two sums of squares"),
        ((("y", "x"), 2, (0.0, 0.0), (1.0, -1.1, 1.0)), "larger than its two sums of squares"),
        ((("y", "x"), 2, (0.0, 0.0), (0.0, 0.1, 1.0)), "larger than its two sums of squares"),
    ],
)
def test_impossible_moments_are_refused(numbers, reason):
    with pytest.raises(ValueError, match=reason):
        JointMoments(*numbers)


def test_proportional_variables_are_possible():
    """Cauchy and Schwarz with equality, where rounding may fall on either side."""
    y = np.random.default_rng(2).normal(1e6, 1e-3, size=1000)
    assert JointMoments.from_arrays({"y": y, "x": -3.0 * y}).covariance("y", "x") < 0


@pytest.mark.parametrize(
    "variables",
    [
        {"y": [1.0, np.nan]},
        {"y": [1.0, np.inf]},
        {"y": [1.0, 2.0], "x": [1.0, np.nan]},
        {"y": [1.0, 2.0], "x": [1.0]},
        {"y": [[1.0], [2.0]]},
    ],
)
def test_missing_values_and_other_shapes_are_refused(variables):
    with pytest.raises(ValueError):
        JointMoments.from_arrays(variables)


def test_moments_of_different_variables_do_not_add_up():
    monday = JointMoments.from_arrays({"y": [1.0], "x": [2.0]})
    for names in (["y"], ["x", "y"]):
        with pytest.raises(ValueError, match="do not add up"):
            monday + monday.select(names)


@pytest.mark.parametrize("ask", [lambda m: m.mean("z"), lambda m: m.covariance("y", "z"), lambda m: m.select(["z"])])
def test_an_unknown_name_is_refused(ask):
    with pytest.raises(ValueError, match="there is no 'z'"):
        ask(JointMoments.from_arrays({"y": [1.0, 2.0]}))


def test_what_sql_leaves_of_a_constant_is_not_taken_for_a_contradiction():
    """The spread of 0.1, 0.1, ... is rounding, and so is its co-moment with anything else."""
    traces = JointMoments(("constant", "x"), 1000, (0.1, 5.0), (1e-24, 1e-10, 1.0))
    assert traces.variance("constant") == 0.0


def test_the_rounding_of_a_large_mean_is_made_good():
    """A billion and the smallest steps there are: the mean is no double, and the squares must not show it."""
    steps = np.array([0, 1, 2, 3, 5, 8, 13, 21, 34, 56])
    found = JointMoments.from_arrays({"y": 1e9 + steps * 2.0**-23, "x": 1e9 - steps * 2.0**-23})
    exact = float(((steps - steps.mean()) ** 2).sum()) * 2.0**-46
    assert found.comoments == pytest.approx((exact, -exact, exact), rel=1e-9, abs=0)
