"""Layers: shares change hands and nobody else moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.assignment.hashing import bucketer
from causeway.assignment.layers import (
    BUCKETS,
    Allocation,
    free,
    held,
    layer_filter,
    problems_of_allocations,
    reallocate,
)

CHANGES = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, BUCKETS)), max_size=12)


def owners(allocations: tuple[Allocation, ...]) -> dict[int, str]:
    found: dict[int, str] = {}
    for each in allocations:
        for bucket in range(each.start, each.end):
            assert bucket not in found
            found[bucket] = each.experiment
    return found


@given(CHANGES)
def test_reallocation_moves_no_other_and_as_few_of_its_own_as_it_can(changes: list[tuple[str, int]]) -> None:
    layer: tuple[Allocation, ...] = ()
    for experiment, buckets in changes:
        before = owners(layer)
        available = BUCKETS - len(before) + held(layer, experiment)
        if buckets > available:
            with pytest.raises(ValueError, match="more than are free"):
                reallocate(layer, experiment, buckets)
            continue
        layer = reallocate(layer, experiment, buckets)
        after = owners(layer)
        assert problems_of_allocations(layer) == []
        assert held(layer, experiment) == buckets
        assert {key: one for key, one in after.items() if one != experiment} == {
            key: one for key, one in before.items() if one != experiment
        }
        own_before, own_after = ({key for key, one in each.items() if one == experiment} for each in (before, after))
        assert own_before <= own_after or own_after <= own_before


def test_growth_takes_the_lowest_free_buckets_and_shrinking_gives_the_last_back() -> None:
    layer = reallocate((), "a", 2_000)
    layer = reallocate(layer, "b", 3_000)
    layer = reallocate(layer, "a", 2_500)
    assert layer == (Allocation("a", 0, 2_000), Allocation("b", 2_000, 5_000), Allocation("a", 5_000, 5_500))
    assert reallocate(layer, "a", 1_500) == (Allocation("a", 0, 1_500), Allocation("b", 2_000, 5_000))
    assert free(layer) == [(5_500, BUCKETS)]
    assert free(reallocate(layer, "b", 0)) == [(2_000, 5_000), (5_500, BUCKETS)]


@pytest.mark.parametrize("buckets", [-1, BUCKETS + 1])
def test_a_layer_gives_no_more_than_it_has(buckets: int) -> None:
    with pytest.raises(ValueError, match="a layer has"):
        reallocate((), "a", buckets)


@pytest.mark.parametrize(
    ("allocations", "said"),
    [
        ([Allocation("a", 5, 5)], "a: buckets 5 to 5 are no range within 0 to 10000"),
        ([Allocation("a", -1, 5)], "no range"),
        ([Allocation("a", 0, BUCKETS + 1)], "no range"),
        ([Allocation("a", 0, 100), Allocation("b", 50, 60)], "a and b: both have buckets 50 to 60"),
        ([Allocation("a", 0, 100), Allocation("b", 20, 30), Allocation("c", 90, 95)], "a and c: both have"),
    ],
)
def test_ranges_that_are_none_or_overlap_are_named(allocations: list[Allocation], said: str) -> None:
    assert any(said in problem for problem in problems_of_allocations(allocations))
    with pytest.raises(ValueError, match=r"\w"):
        reallocate(allocations, "z", 1)


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
def test_the_filter_takes_exactly_the_units_of_the_buckets(unit: str) -> None:
    layer = (Allocation("a", 0, 3_333), Allocation("b", 3_333, 7_001), Allocation("a", 9_999, 10_000))
    bucket = bucketer(2, "salt")(unit)
    for experiment in "ab":
        each = layer_filter("shop", "salt", layer, experiment, attribute="id")
        position = each.position(unit)
        inside = any(start <= position < end for start, end in each.ranges)
        assert inside is (owners(layer).get(bucket) == experiment)
    assert (each.kind, each.name) == ("layer", "shop")
