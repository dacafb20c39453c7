"""32-bit FNV-1a over a whole column of texts, and over the decimal texts of a whole column of hashes.

Numbers are those of ``causeway.assignment.hashing``; what differs is that a step is made for thousands of texts at
once, in arrays that stay in the processor's cache. That is done with bytes, which are the code units of ASCII; texts
that are not ASCII are hashed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from causeway.assignment.hashing import fnv1a_32

Hashes = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[Any]

ROWS_AT_ONCE = 16_384
"""A step on so many hashes reads and writes 64 kB, which the second-level cache holds many times."""

# Of 32-bit FNV-1a.
_PRIME, _MASK = 0x01000193, 0xFFFFFFFF
_BYTES_AT_ONCE = 32
_ASCII = 128
_FEW_TEXTS = 24
"""So many long texts are hashed faster one by one than a byte of each at a time."""
_LEADING, _DIGITS = 1_000_000, 1_000
_LOW = 64
"""A digit is a byte below 64: it changes a hash in a way that depends on the hash's six lowest bits alone."""


def continued(states: Hashes, suffix: Sequence[int]) -> Hashes:
    """The hashes when every text goes on with these code units; changes ``states`` and returns it."""
    for unit in suffix:
        np.bitwise_xor(states, np.uint32(unit), out=states)
        np.multiply(states, np.uint32(_PRIME), out=states)
    return states


def hashes_of_texts(data: Bytes, offsets: Offsets, prefix: str, suffix: Sequence[int] = b"") -> Hashes:
    """The hash of ``prefix``, text and ``suffix``, for texts that lie in ``data`` from one offset to the next (UTF-8).

    Bytes that are no UTF-8 are hashed as they are: nobody's id is among them.
    """
    lengths = np.diff(offsets)
    states = np.full(len(lengths), fnv1a_32(prefix), np.uint32)
    if len(lengths) == 0:
        return states
    length = int(lengths[0])
    if len(lengths) >= _FEW_TEXTS and (lengths == length).all():
        _of_one_length(states, data[offsets[0] : offsets[-1]], length)
    else:
        _of_many_lengths(states, data, offsets[:-1], lengths)
    _hash_beyond_ascii(states, data, offsets, prefix)
    return continued(states, suffix)


def _hash_beyond_ascii(states: Hashes, data: Bytes, offsets: Offsets, prefix: str) -> None:
    """Put the hashes of texts that are not ASCII in the place of those of their bytes."""
    beyond = np.flatnonzero(data[offsets[0] : offsets[-1]] >= _ASCII)
    for row in np.unique(np.searchsorted(offsets, beyond + offsets[0], side="right") - 1):
        try:
            text = data[offsets[row] : offsets[row + 1]].tobytes().decode()
        except UnicodeDecodeError:
            continue
        states[row] = fnv1a_32(prefix + text)


def _of_one_length(states: Hashes, data: Bytes, length: int) -> None:
    """Continue ``states`` with texts that follow each other without a gap."""
    rows = data.reshape(len(states), length)
    columns = np.empty((min(length, _BYTES_AT_ONCE), len(states)), np.uint32)
    for begin in range(0, length, _BYTES_AT_ONCE):
        part = rows[:, begin : begin + _BYTES_AT_ONCE].T
        columns[: len(part)] = part
        for column in columns[: len(part)]:
            np.bitwise_xor(states, column, out=states)
            np.multiply(states, np.uint32(_PRIME), out=states)


def _of_many_lengths(states: Hashes, data: Bytes, starts: Offsets, lengths: Offsets) -> None:
    """Continue ``states`` with texts of any length: the longest first, so that those not at their end lie together."""
    order = np.argsort(-lengths, kind="stable")
    sorted_states, positions = states[order], starts[order].copy()
    longest_first = lengths[order]
    # How many texts have a byte at each position, up to the position from which on there are few of them.
    last = int(longest_first[min(_FEW_TEXTS, len(order) - 1)])
    active = np.searchsorted(-longest_first, -np.arange(last), side="left")
    for count in active:
        now = sorted_states[:count]
        np.bitwise_xor(now, np.take(data, positions[:count]), out=now)
        np.multiply(now, np.uint32(_PRIME), out=now)
        positions[:count] += 1
    for index in np.flatnonzero(longest_first > last):
        begin, end = int(positions[index]), int(positions[index] + longest_first[index]) - last
        sorted_states[index] = _stepwise(int(sorted_states[index]), data[begin:end].tobytes())
    states[order] = sorted_states


def _stepwise(state: int, content: bytes) -> int:
    for byte in content:
        state = ((state ^ byte) * _PRIME) & _MASK
    return state


def hashes_of_decimals(numbers: Hashes) -> Hashes:
    """The hash of each number's decimal text, without leading zeros.

    A number has up to ten digits. The state after those before the last six is looked up (there are 4,295 of them);
    then two steps follow, of three digits each. Such a step is ``state * prime**3`` plus something that depends on
    the three digits and on the state's six lowest bits alone, because no digit reaches higher and a product's low bits
    come from its factors' low bits: 64,000 numbers, looked up as well. One number in 4,295 has at most six digits and
    is hashed by itself.
    """
    after_leading, corrections = _tables()
    leading = np.floor_divide(numbers, np.uint32(_LEADING))
    rest = numbers - leading * np.uint32(_LEADING)
    states = after_leading[leading.astype(np.intp)]
    first = np.floor_divide(rest, np.uint32(_DIGITS))
    for digits in (first, rest - first * np.uint32(_DIGITS)):
        index = (states & np.uint32(_LOW - 1)) * np.uint32(_DIGITS) + digits
        states *= np.uint32(pow(_PRIME, 3, 1 << 32))
        states += np.take(corrections, index.astype(np.intp), mode="clip")
    for position in np.flatnonzero(leading == 0):
        states[position] = fnv1a_32(str(numbers[position]))
    return states


@cache
def _tables() -> tuple[Hashes, Hashes]:
    """The state after the leading digits 0 to 4,294; and, for six low bits and three digits, what a step adds."""
    leading = np.array([fnv1a_32(str(number)) for number in range(_MASK // _LEADING + 1)], np.uint32)
    low = np.repeat(np.arange(_LOW, dtype=np.uint32), _DIGITS)
    digits = np.tile(np.arange(_DIGITS, dtype=np.uint32), _LOW)
    states = low.copy()
    for place in (100, 10, 1):
        states ^= digits // np.uint32(place) % np.uint32(10) + np.uint32(ord("0"))
        states *= np.uint32(_PRIME)
    return leading, states - low * np.uint32(pow(_PRIME, 3, 1 << 32))


def remainders(numbers: Hashes, modulus: int) -> Hashes:
    """``numbers % modulus``; by a division and a product, which numpy makes many times faster than a remainder."""
    return np.subtract(numbers, np.floor_divide(numbers, np.uint32(modulus)) * np.uint32(modulus), dtype=np.uint32)
