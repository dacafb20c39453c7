"""GrowthBook's published cases, and what must hold of any hash and any ranges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import growthbook.core
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.assignment.hashing import bucket_ranges, choose_variation, equal_weights, fnv1a_32, hash_unit


@pytest.fixture(scope="module")
def cases(conformance_data: Path) -> dict[str, list[Any]]:
    parsed: dict[str, list[Any]] = json.loads((conformance_data / "growthbook-cases.json").read_text(encoding="utf-8"))
    return parsed


def test_hash_agrees_with_growthbook(cases: dict[str, list[Any]]) -> None:
    assert len(cases["hash"]) == 15
    for seed, value, version, expected in cases["hash"]:
        assert hash_unit(seed, value, version) == expected, (seed, value, version)


def test_bucket_ranges_agree_with_growthbook(cases: dict[str, list[Any]]) -> None:
    assert len(cases["getBucketRange"]) == 13
    for name, (variations, coverage, weights), expected in cases["getBucketRange"]:
        found = bucket_ranges(variations, coverage, weights)
        assert [list(bounds) for bounds in found] == [pytest.approx(bounds) for bounds in expected], name


def test_choose_variation_agrees_with_growthbook(cases: dict[str, list[Any]]) -> None:
    assert len(cases["chooseVariation"]) == 13
    for name, value, ranges, expected in cases["chooseVariation"]:
        assert choose_variation(value, [tuple(bounds) for bounds in ranges]) == expected, name


def test_equal_weights_agree_with_growthbook(cases: dict[str, list[Any]]) -> None:
    assert len(cases["getEqualWeights"]) == 6
    for variations, expected in cases["getEqualWeights"]:
        assert equal_weights(variations) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(("text", "expected"), [("", 0x811C9DC5), ("a", 0xE40C292C), ("foobar", 0xBF9CF968)])
def test_fnv1a_agrees_with_its_authors_test_vectors(text: str, expected: int) -> None:
    assert fnv1a_32(text) == expected


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_fnv1a_agrees_with_growthbooks_sdk_beyond_ascii(text: str) -> None:
    assert fnv1a_32(text) == growthbook.core.fnv1a32(text)
    for version in (1, 2):
        assert hash_unit("seed", text, version) == growthbook.core.gbhash("seed", text, version)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), st.sampled_from([1, 2]))
def test_a_hash_lies_in_the_unit_interval(value: str, version: int) -> None:
    found = hash_unit("seed", value, version)
    assert found is not None
    assert 0 <= found < 1
