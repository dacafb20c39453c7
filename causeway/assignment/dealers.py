"""Dealers: the draw of one experiment's variants under one vendor's hash, with thresholds computed once.

A dealer's thresholds are public, so that the vectorised assignment of a whole table compares with the very same
numbers as a single draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Protocol

from causeway.assignment.hashing import Range, bucket_ranges, bucketer
from causeway.assignment.vendors import (
    EPPO_SHARDS,
    UNLEASH_VARIANT_SEED,
    eppo_legacy_assignment,
    eppo_legacy_exposure,
    eppo_shard,
    planout_hash,
    planout_uniform,
    posthog_hash,
    unleash_normalised,
)

OUT = -1
# The index of a unit's variant or OUT, the hasher's own integer, and the same as a number from 0 to 1.
Draw = tuple[int, int, float]

_BUCKETS = 10_000
_UNLEASH_TOTAL = 1_000
# Weights that were meant to add up to 1 do so within this.
_ROUNDING = 1e-6


class Dealer(Protocol):
    """Deals variants of one experiment: called with a unit's id, it answers the unit's draw."""

    def __call__(self, unit: str, /) -> Draw:
        """The unit's draw."""


class GrowthBookDealer:
    """One hash decides both whether a unit enters and which variant it gets. `ranges` are half-open."""

    __slots__ = ("bucket", "ranges", "seed", "steps", "version")

    def __init__(self, version: int, seed: str, ranges: Sequence[Range]) -> None:
        self.version = version
        self.seed = seed
        self.ranges = tuple(ranges)
        self.steps = 1000 if version == 1 else _BUCKETS
        self.bucket = bucketer(version, seed)

    def __call__(self, unit: str, /) -> Draw:
        """The first range that holds the unit's hash."""
        bucket = self.bucket(unit)
        position = bucket / self.steps
        for index, (start, end) in enumerate(self.ranges):
            if start <= position < end:
                return index, bucket, position
        return OUT, bucket, position


class EppoDealer:
    """A unit enters if its shard under the salt `traffic-<seed>` is below `admitted`; its variant is the first
    whose end lies above its shard under the seed itself.
    """

    __slots__ = ("admitted", "ends", "seed", "traffic_salt")

    def __init__(self, seed: str, variants: int, weights: Sequence[float] | None, coverage: float) -> None:
        self.seed = seed
        self.traffic_salt = f"traffic-{seed}"
        self.admitted = round(_share(coverage) * EPPO_SHARDS)
        self.ends = _integer_ends(variants, weights, EPPO_SHARDS)

    def __call__(self, unit: str, /) -> Draw:
        """Two shards: one for the traffic, one for the split."""
        if self.admitted < EPPO_SHARDS:
            traffic = eppo_shard(self.traffic_salt, unit)
            if traffic >= self.admitted:
                return OUT, traffic, traffic / EPPO_SHARDS
        shard = eppo_shard(self.seed, unit)
        return _below(shard, self.ends), shard, shard / EPPO_SHARDS


class EppoLegacyDealer:
    """Eppo's form before 2024: a unit enters if its exposure shard is at most `admitted`. At a coverage of 0, one
    unit in 10,000 still enters, as it did there.
    """

    __slots__ = ("admitted", "ends", "seed")

    def __init__(self, seed: str, variants: int, weights: Sequence[float] | None, coverage: float) -> None:
        self.seed = seed
        self.admitted = _share(coverage) * EPPO_SHARDS
        self.ends = _integer_ends(variants, weights, EPPO_SHARDS)

    def __call__(self, unit: str, /) -> Draw:
        """One shard for the exposure, another for the assignment."""
        exposure = eppo_legacy_exposure(unit, self.seed)
        if exposure > self.admitted:
            return OUT, exposure, exposure / EPPO_SHARDS
        shard = eppo_legacy_assignment(unit, self.seed)
        return _below(shard, self.ends), shard, shard / EPPO_SHARDS


class UnleashDealer:
    """A unit enters if its number from 1 to 100 is at most `percentage` and that is not 0. Its variant is the
    first whose end is at least its number from 1 to `total` under the variants' seed.

    Weights that are shares of 1 become thousandths; others must be whole numbers, Unleash's own weights.
    """

    __slots__ = ("ends", "percentage", "seed", "total")

    def __init__(self, seed: str, variants: int, weights: Sequence[float] | None, coverage: float) -> None:
        self.seed = seed
        # Shares such as 0.29 are a hair below their percentage.
        self.percentage = round(_share(coverage) * 100, 6)
        own = _checked(variants, weights)
        if own and abs(math.fsum(own) - 1) > _ROUNDING:
            if any(weight != int(weight) for weight in own):
                raise ValueError("Unleash's weights are shares of 1 or whole numbers")
            self.ends = tuple(accumulate(int(weight) for weight in own))
        else:
            self.ends = _integer_ends(variants, weights, _UNLEASH_TOTAL)
        self.total = self.ends[-1] if self.ends else 0

    def __call__(self, unit: str, /) -> Draw:
        """Two numbers: one for the rollout, one for the variant."""
        if self.percentage < 100:
            number = unleash_normalised(self.seed, unit)
            if number > self.percentage:
                return OUT, number, (number - 1) / 100
        number = unleash_normalised(self.seed, unit, self.total, UNLEASH_VARIANT_SEED)
        return _below(number - 1, self.ends), number, (number - 1) / self.total


class PostHogDealer:
    """A unit enters if its number is at most `coverage`. Its variant is the first whose end lies above its number
    under the salt "variant".
    """

    __slots__ = ("coverage", "ends", "seed")

    def __init__(self, seed: str, variants: int, weights: Sequence[float] | None, coverage: float) -> None:
        self.seed = seed
        self.coverage = _share(coverage)
        self.ends = _float_ends(variants, weights)

    def __call__(self, unit: str, /) -> Draw:
        """Two numbers: one for the rollout, one for the variant."""
        if self.coverage < 1:
            number = posthog_hash(self.seed, unit)
            if number > self.coverage:
                return OUT, _ten_thousandth(number), number
        number = posthog_hash(self.seed, unit, "variant")
        return _below(number, self.ends), _ten_thousandth(number), number


class PlanOutDealer:
    """A unit enters if PlanOut's BernoulliTrial under the salt `<seed>.coverage` says so. The variant is a
    UniformChoice if there are no weights, else a WeightedChoice, under the seed itself.
    """

    __slots__ = ("coverage", "coverage_salt", "ends", "seed", "total", "variants")

    def __init__(self, seed: str, variants: int, weights: Sequence[float] | None, coverage: float) -> None:
        self.seed = seed
        self.coverage_salt = f"{seed}.coverage"
        self.coverage = _share(coverage)
        self.variants = variants
        self.ends = None if weights is None else tuple(accumulate(_checked(variants, weights), initial=0.0))[1:]
        self.total = self.ends[-1] if self.ends else 0.0

    def __call__(self, unit: str, /) -> Draw:
        """A trial, then a choice."""
        if self.coverage < 1:
            trial = planout_uniform(self.coverage_salt, unit)
            if trial > self.coverage:
                return OUT, _ten_thousandth(trial), trial
        if self.ends is None:
            chosen = planout_hash(self.seed, unit) % self.variants
            return chosen, chosen, chosen / self.variants
        draw = planout_uniform(self.seed, unit)
        stop = self.total * draw
        for index, end in enumerate(self.ends):
            if stop <= end:
                return index, _ten_thousandth(draw), draw
        return len(self.ends) - 1, _ten_thousandth(draw), draw


def growthbook_ranges(variants: int, weights: Sequence[float] | None, coverage: float) -> list[Range]:
    """As GrowthBook's `getBucketRange`; weights that are negative or not finite become equal ones too."""
    usable = weights is not None and all(math.isfinite(weight) and weight >= 0 for weight in weights)
    return bucket_ranges(variants, 0.0 if math.isnan(coverage) else coverage, weights if usable else None)


def _share(coverage: float) -> float:
    return 0.0 if math.isnan(coverage) else min(max(coverage, 0.0), 1.0)


def _checked(variants: int, weights: Sequence[float] | None) -> list[float]:
    """Weights that can be dealt. Raises ValueError for others."""
    if weights is None:
        return [1 / variants] * variants if variants else []
    if len(weights) != variants:
        raise ValueError(f"{len(weights)} weights for {variants} variants")
    if any(weight < 0 or not math.isfinite(weight) for weight in weights):
        raise ValueError("weights must be finite and not negative")
    if weights and not 0 < math.fsum(weights) < math.inf:
        raise ValueError("at least one weight must be above zero")
    return list(weights)


def _float_ends(variants: int, weights: Sequence[float] | None) -> tuple[float, ...]:
    """Ends of the half-open ranges of [0, 1) that variants have, added up as PostHog does."""
    shares = _checked(variants, weights)
    total = math.fsum(shares)
    if shares and abs(total - 1) > _ROUNDING:
        shares = [share / total for share in shares]
    ends = list(accumulate(shares))
    # Shares such as three times a third add up to a hair below 1; the last variant with a weight has the rest.
    for index in range(len(ends) - 1, -1, -1):
        ends[index] = math.inf
        if shares[index] > 0:
            break
    return tuple(ends)


def _integer_ends(variants: int, weights: Sequence[float] | None, total: int) -> tuple[int, ...]:
    """Ends of the half-open ranges of 0 to total - 1 that variants have."""
    return tuple(total if end == math.inf else round(end * total) for end in _float_ends(variants, weights))


def _below(value: float, ends: Sequence[float]) -> int:
    for index, end in enumerate(ends):
        if value < end:
            return index
    return OUT


def _ten_thousandth(number: float) -> int:
    return min(int(number * _BUCKETS), _BUCKETS - 1)
