"""Random streams that do not disturb each other, and the draws that every world makes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True)
class Streams:
    """Independent generators by name: drawing more from one, or adding one, never shifts another.

    Each name is a child of SeedSequence(seed), as SeedSequence.spawn would make it, but keyed by the name
    instead of by the order of spawning.
    """

    seed: int

    def __getitem__(self, name: str) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(zlib.crc32(name.encode()),)))


def scaled(units: int, scale: float) -> int:
    """Number of units at this scale, at least 2; ValueError if either number is not positive and finite."""
    if not np.isfinite(scale) or scale <= 0:
        raise ValueError(f"scale must be a positive number, got {scale}")
    if units <= 0:
        raise ValueError(f"the number of units must be positive, got {units}")
    return max(round(units * scale), 2)


def pick(rng: np.random.Generator, shares: Mapping[str, float], size: int) -> NDArray[np.intp]:
    """Draw `size` positions into `shares` with these (unnormalised) probabilities."""
    cumulative = np.cumsum(np.array(list(shares.values()), dtype=np.float64))
    position: NDArray[np.intp] = np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right")
    return np.minimum(position, len(shares) - 1)


def levels(names: Iterable[str], positions: NDArray[np.intp]) -> pl.Series:
    """The names (or the keys of shares) at these positions."""
    return pl.Series(list(names)).gather(positions)


def values_at(values: Mapping[str, float], positions: NDArray[np.intp]) -> NDArray[np.float64]:
    """The values of a mapping at these positions, as floats."""
    return np.array(list(values.values()), dtype=np.float64)[positions]


def forget(rng: np.random.Generator, known: pl.Series, share: float) -> pl.Series:
    """Make a share of the values missing, completely at random."""
    return known.set(pl.Series(rng.random(len(known)) < share), None)


def frailty(rng: np.random.Generator, shape: float, size: int) -> NDArray[np.float64]:
    """Gamma multipliers with mean 1 and variance 1 / shape: counts mixed over them are negative binomial."""
    return rng.gamma(shape, 1.0 / shape, size)


def negative_binomial(rng: np.random.Generator, mean: NDArray[np.float64], dispersion: float) -> NDArray[np.int64]:
    """Counts with this mean and variance mean + mean^2 / dispersion."""
    return rng.poisson(mean * frailty(rng, dispersion, len(mean)))
