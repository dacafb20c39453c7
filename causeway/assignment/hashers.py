"""Hashers: the vendors' ways from a seed and a unit to a variant. An experiment names one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from causeway.assignment.dealers import (
    Dealer,
    EppoDealer,
    EppoLegacyDealer,
    GrowthBookDealer,
    PlanOutDealer,
    PostHogDealer,
    UnleashDealer,
    growthbook_ranges,
)
from causeway.assignment.hashing import Range, bucketer
from causeway.assignment.vendors import (
    EPPO_SHARDS,
    eppo_legacy_exposure,
    eppo_shard,
    planout_uniform,
    posthog_hash,
    unleash_normalised,
)

DEFAULT_HASHER = "growthbook_v2"
Position = Callable[[str], float]


class Hasher(Protocol):
    """One vendor's hash."""

    def position(self, seed: str) -> Position:
        """A function from a unit to a number from 0 to 1, for layers and other filters."""

    def dealer(
        self,
        seed: str,
        variants: int,
        weights: Sequence[float] | None = None,
        coverage: float = 1.0,
        ranges: Sequence[Range] | None = None,
    ) -> Dealer:
        """A dealer of so many variants. Weights are shares of 1, equal ones if None. `ranges` take the place of
        weights and coverage, where one hash decides both.

        Raises ValueError for what cannot be dealt.
        """

    def admission(self, seed: str, coverage: float) -> Callable[[str], bool]:
        """A function that says whether a unit is within this share of all units."""


@dataclass(frozen=True, slots=True)
class GrowthBook:
    """FNV-1a, in one of two versions."""

    version: int

    def position(self, seed: str) -> Position:
        """Steps of 0.001 in version 1, of 0.0001 in version 2."""
        bucket, steps = bucketer(self.version, seed), 1000 if self.version == 1 else 10_000
        return lambda unit: bucket(unit) / steps

    def dealer(
        self,
        seed: str,
        variants: int,
        weights: Sequence[float] | None = None,
        coverage: float = 1.0,
        ranges: Sequence[Range] | None = None,
    ) -> Dealer:
        """Weights that do not add up to 1 become equal ones, as in GrowthBook. Ranges beyond the last variant deal
        out nothing.
        """
        dealt = growthbook_ranges(variants, weights, coverage) if ranges is None else ranges[:variants]
        return GrowthBookDealer(self.version, seed, dealt)

    def admission(self, seed: str, coverage: float) -> Callable[[str], bool]:
        """Half-open: a share of k / 10,000 holds exactly k buckets."""
        position = self.position(seed)
        return lambda unit: position(unit) < coverage


@dataclass(frozen=True, slots=True)
class TwoDraws:
    """A vendor that draws twice: once for the rollout, once for the variant."""

    name: str
    make_dealer: Callable[[str, int, Sequence[float] | None, float], Dealer]
    number: Callable[[str, str], float]

    def position(self, seed: str) -> Position:
        """The vendor's number for a unit."""
        number = self.number
        return lambda unit: number(seed, unit)

    def dealer(
        self,
        seed: str,
        variants: int,
        weights: Sequence[float] | None = None,
        coverage: float = 1.0,
        ranges: Sequence[Range] | None = None,
    ) -> Dealer:
        """Raises ValueError for ranges, which only GrowthBook's hashes have."""
        if ranges is not None:
            raise ValueError(f"{self.name} deals by weights and coverage, not by ranges")
        return self.make_dealer(seed, variants, weights, coverage)

    def admission(self, seed: str, coverage: float) -> Callable[[str], bool]:
        """The rollout's draw alone."""
        deal = self.make_dealer(seed, 1, None, coverage)
        return lambda unit: deal(unit)[0] == 0


HASHERS: Mapping[str, Hasher] = {
    "growthbook_v1": GrowthBook(1),
    "growthbook_v2": GrowthBook(2),
    "eppo": TwoDraws("eppo", EppoDealer, lambda seed, unit: eppo_shard(seed, unit) / EPPO_SHARDS),
    "eppo_legacy": TwoDraws(
        "eppo_legacy", EppoLegacyDealer, lambda seed, unit: eppo_legacy_exposure(unit, seed) / EPPO_SHARDS
    ),
    "unleash": TwoDraws(
        "unleash", UnleashDealer, lambda seed, unit: (unleash_normalised(seed, unit, 10_000) - 1) / 10_000
    ),
    "posthog": TwoDraws("posthog", PostHogDealer, posthog_hash),
    "planout": TwoDraws("planout", PlanOutDealer, planout_uniform),
}


def hasher_named(name: str) -> Hasher:
    """Raises ValueError for a name that there is no hasher of."""
    if name not in HASHERS:
        raise ValueError(f"there is no hasher {name}; there are {', '.join(HASHERS)}")
    return HASHERS[name]
