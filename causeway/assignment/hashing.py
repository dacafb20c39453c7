"""GrowthBook's bucketing: a 32-bit FNV-1a hash of a seed and a unit, and the ranges of hash values that
variants are given.

Source: the specification of GrowthBook's SDKs, "hash", "getBucketRange", "chooseVariation" and
"getEqualWeights", whose published cases the tests hold these functions against. Text is hashed as the SDKs for
JavaScript and Python do it, by its UTF-16 code units; for ASCII these are its bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

Range = tuple[float, float]

_FNV_OFFSET, _FNV_PRIME, _FNV_MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF
_NATIVE_UTF_16 = "utf-16-le" if sys.byteorder == "little" else "utf-16-be"


def code_units(text: str) -> Sequence[int]:
    """The UTF-16 code units of a text, which FNV-1a takes one by one. Raises ValueError for lone surrogates."""
    if text.isascii():
        return text.encode()
    return memoryview(text.encode(_NATIVE_UTF_16)).cast("H")


def fnv1a_32(text: str) -> int:
    """32-bit FNV-1a (Fowler, Noll and Vo) of the text's UTF-16 code units: 0 to 2**32 - 1. Raises ValueError for
    lone surrogates.
    """
    value = _FNV_OFFSET
    for unit in code_units(text):
        value = ((value ^ unit) * _FNV_PRIME) & _FNV_MASK
    return value


def hash_unit(seed: str, value: str, version: int) -> float | None:
    """A number in [0, 1) for a unit: steps of 0.001 in version 1, of 0.0001 in version 2, None for any other
    version.

    Version 2 hashes the hash once more, because one round of FNV-1a leaves experiments with similar seeds
    correlated.
    """
    if version == 1:
        return fnv1a_32(value + seed) % 1000 / 1000
    if version == 2:
        return fnv1a_32(str(fnv1a_32(seed + value))) % 10_000 / 10_000
    return None


def bucketer(version: int, seed: str) -> Callable[[str], int]:
    """`hash_unit` for one seed and many units, as an integer: 0 to 999 in version 1, 0 to 9,999 in version 2.

    The constants stand in the code because a single evaluation spends half of its time here.
    """
    if version == 1:

        def first(unit: str) -> int:
            return fnv1a_32(unit + seed) % 1000

        return first
    # Version 2 hashes the seed first: that part of the work is the same for every unit.
    seeded = fnv1a_32(seed)

    def second(unit: str) -> int:
        value = seeded
        for code in unit.encode() if unit.isascii() else code_units(unit):
            value = ((value ^ code) * 0x01000193) & 0xFFFFFFFF
        again = 0x811C9DC5
        for byte in b"%d" % value:
            again = ((again ^ byte) * 0x01000193) & 0xFFFFFFFF
        return again % 10_000

    return second


def equal_weights(variations: int) -> list[float]:
    """The same weight for each of so many variations; none for less than one."""
    return [1 / variations] * variations if variations > 0 else []


def bucket_ranges(variations: int, coverage: float, weights: Sequence[float] | None) -> list[Range]:
    """Half-open ranges of hash values, one per variation, each covering the share `coverage` of its weight
    from its start on.

    Coverage is brought into [0, 1]. Weights that are not one per variation, or do not add up to 1 within
    0.01, become equal ones.
    """
    share = min(max(coverage, 0.0), 1.0)
    shares = list(weights) if weights is not None else equal_weights(variations)
    if len(shares) != variations or not 0.99 <= sum(shares) <= 1.01:
        shares = equal_weights(variations)
    ranges: list[Range] = []
    start = 0.0
    for weight in shares:
        ranges.append((start, start + share * weight))
        start += weight
    return ranges


def choose_variation(value: float, ranges: Sequence[Range]) -> int:
    """Index of the first range that holds the hash value, -1 when none does."""
    for index, (start, end) in enumerate(ranges):
        if start <= value < end:
            return index
    return -1
