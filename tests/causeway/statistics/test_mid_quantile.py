from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.statistics.mid_quantile import Step, crossing, rank_at, steps_near

samples = st.lists(st.integers(-3, 12), min_size=1, max_size=40)
levels = st.floats(0.001, 0.999)


def steps_of(values: list[int] | np.ndarray) -> tuple[Step, ...]:
    distinct, counts = np.unique(np.asarray(values, dtype=float), return_counts=True)
    return steps_near(distinct, counts, range(1, int(counts.sum()) + 1))


@given(st.lists(st.integers(-1000, 1000), unique=True, min_size=2, max_size=40), levels)
def test_without_ties_it_is_numpys_hazen_quantile(values, level):
    found = crossing(steps_of(values), len(values), level)
    inside = 0.5 <= len(values) * level < len(values) - 0.5
    assert (found is not None) == inside
    if found is not None:
        assert found.value == pytest.approx(np.quantile(values, level, method="hazen"), rel=1e-9, abs=1e-9)


@given(samples, levels)
def test_with_ties_it_joins_the_middles_of_the_steps(values, level):
    steps = steps_of(values)
    found = crossing(steps, len(values), level)
    if found is not None:
        middles = [np.mean(np.less(values, step.value)) + np.mean(np.equal(values, step.value)) / 2 for step in steps]
        expected = np.interp(level, middles, [step.value for step in steps])
        assert found.value == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(samples, levels)
def test_the_weighted_share_below_the_quantile_is_its_level(values, level):
    found = crossing(steps_of(values), len(values), level)
    if found is not None:
        at_low, at_high = found.weights
        weight = {found.low.value: at_low, found.high.value: at_high}
        shares = [1.0 if value < found.low.value else weight.get(float(value), 0.0) for value in values]
        assert np.mean(shares) == pytest.approx(level, rel=1e-12)


@given(samples, levels)
def test_the_step_at_the_rank_and_its_neighbours_are_enough(values, level):
    distinct, counts = np.unique(np.asarray(values, dtype=float), return_counts=True)
    near = steps_near(distinct, counts, [rank_at(len(values), level)])
    assert len(near) <= 3
    assert crossing(near, len(values), level) == crossing(steps_of(values), len(values), level)


@given(samples, levels)
def test_the_rank_is_that_of_the_ordinary_quantile(values, level):
    expected = np.quantile(values, level, method="inverted_cdf")
    assert sorted(values)[rank_at(len(values), level) - 1] == expected


def test_a_missing_neighbour_is_an_error_and_not_another_quantile():
    low, _, high = steps_of([1, 2, 3])
    with pytest.raises(ValueError, match="not all here"):
        crossing([low, high], 3, 0.5)
    with pytest.raises(ValueError, match="not all here"):
        crossing([low], 3, 0.5)
    with pytest.raises(ValueError, match="not all here"):
        crossing([high], 3, 0.5)
    with pytest.raises(ValueError, match="not all here"):
        crossing([], 3, 0.5)


@pytest.mark.parametrize("numbers", [(float("nan"), 0, 1), (float("inf"), 0, 1), (1.0, -1, 1), (1.0, 0, 0)])
def test_an_impossible_step_is_refused(numbers):
    with pytest.raises(ValueError, match="a step wants"):
        Step(*numbers)
