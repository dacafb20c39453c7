"""Layers: a bucket belongs to one experiment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.declarations.layer import BUCKETS, LayerDeclaration
from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import read_declaration


def layer(*allocations: str) -> LayerDeclaration:
    text = "kind: layer\nkey: home\nunit: user\nallocations:\n" + "".join(f"  - {each}\n" for each in allocations)
    declared = read_declaration(text, "home.yaml")
    assert isinstance(declared, LayerDeclaration)
    return declared


def test_ranges_of_one_experiment_are_its_own_and_in_order() -> None:
    declared = layer(
        "{experiment: a, from: 5000, to: 6000}",
        "{experiment: b, from: 1000, to: 5000}",
        "{experiment: a, from: 0, to: 1000}",
        "{experiment: a, from: 6000, to: 10000}",
    )
    assert declared.buckets_of("a") == ((0, 1000), (5000, 10_000))
    assert declared.buckets_of("nobody") == ()
    assert declared.experiments == ("a", "b")
    assert declared.document()["allocations"][1] == {"experiment": "b", "from": 1000, "to": 5000}


@pytest.mark.parametrize(
    ("allocations", "message"),
    [
        (("{experiment: a, from: 5, to: 5}",), "home.yaml:5: allocations[0].to: must be above from, 5"),
        (("{experiment: a, from: 0, to: 10001}",), "home.yaml:5: allocations[0].to: must be at most 10000"),
        (("{experiment: a, from: -1, to: 1}",), "home.yaml:5: allocations[0].from: must be at least 0"),
        (("{experiment: a, from: 0.5, to: 1}",), "home.yaml:5: allocations[0].from: expected a whole number"),
        (("{experiment: a, to: 1}",), "home.yaml:5: allocations[0]: missing key 'from': first bucket, from 0"),
        (
            ("{experiment: a, from: 0, to: 10}", "{experiment: b, from: 9, to: 20}"),
            "home.yaml:6: allocations[1]: overlaps the buckets 0 to 10 of 'a'",
        ),
        (
            (
                "{experiment: a, from: 0, to: 100}",
                "{experiment: a, from: 5, to: 6}",
                "{experiment: b, from: 50, to: 60}",
            ),
            "home.yaml:7: allocations[2]: overlaps the buckets 0 to 100 of 'a'",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(allocations: tuple[str, ...], message: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        layer(*allocations)
    assert message in str(raised.value)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30), st.integers(1, 31)), max_size=8))
def test_accepted_exactly_when_no_bucket_has_two_owners(ranges: list[tuple[str, int, int]]) -> None:
    owners: list[int] = [bucket for _, start, end in ranges for bucket in range(start, end)]
    valid = len(owners) == len(set(owners)) and all(start < end <= BUCKETS for _, start, end in ranges)
    try:
        declared = layer(*(f"{{experiment: {key}, from: {start}, to: {end}}}" for key, start, end in ranges or []))
    except DeclarationError:
        assert not valid or not ranges
        return
    assert valid
    dealt = sum(end - start for key in declared.experiments for start, end in declared.buckets_of(key))
    assert dealt == len(owners)
