"""Hashes of whole columns are those of the texts one by one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.assignment.batch.fnv import hashes_of_decimals, hashes_of_texts, remainders
from causeway.assignment.hashing import code_units, fnv1a_32

DICE = np.random.default_rng(7)


def hashed(texts: list[str], prefix: str = "", suffix: str = "") -> list[int]:
    _, offsets, data = pa.array(texts, pa.large_string()).buffers()
    content = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return hashes_of_texts(
        content, np.frombuffer(offsets, np.int64)[: len(texts) + 1], prefix, code_units(suffix)
    ).tolist()


@given(st.lists(st.text(max_size=30), max_size=80), st.text(max_size=5), st.text(max_size=5))
def test_texts_of_any_length_between_a_prefix_and_a_suffix(texts: list[str], prefix: str, suffix: str) -> None:
    assert hashed(texts, prefix, suffix) == [fnv1a_32(prefix + text + suffix) for text in texts]


@pytest.mark.parametrize("length", [0, 1, 16, 31, 32, 33, 64, 65])
@pytest.mark.parametrize("count", [1, 23, 24, 500])
def test_texts_of_one_length(length: int, count: int) -> None:
    texts = ["".join(map(chr, DICE.integers(33, 127, length))) for _ in range(count)]
    assert hashed(texts, "seed") == [fnv1a_32("seed" + text) for text in texts]


def test_a_few_texts_much_longer_than_the_others() -> None:
    texts = ["x" * length for length in [*range(100), 5_000, 5_001, 200_000]]
    assert hashed(texts, "seed", "!") == [fnv1a_32(f"seed{text}!") for text in texts]


def test_decimal_texts_of_hashes() -> None:
    """All lengths of numbers, both sides of every power of ten, and numbers with zeros in every place."""
    powers = [10**power + off for power in range(10) for off in (-1, 0, 1)]
    numbers = [*powers, 0, 2**32 - 1, 4_294_000_000, 1_000_001_000, 1_001_000_000, *DICE.integers(0, 2**32, 20_000)]
    numbers += DICE.integers(0, 2_000_000, 5_000).tolist()
    found = hashes_of_decimals(np.array(numbers, np.uint32))
    assert found.tolist() == [fnv1a_32(str(number)) for number in numbers]


@pytest.mark.parametrize("modulus", [1_000, 10_000])
def test_remainders(modulus: int) -> None:
    numbers = np.array([0, modulus - 1, modulus, 2**32 - 1, *DICE.integers(0, 2**32, 1_000)], np.uint32)
    assert remainders(numbers, modulus).tolist() == (numbers % modulus).tolist()
