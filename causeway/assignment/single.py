"""Which variant a unit gets: a function of the experiment's salt and weights and the unit's id, and of
nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from causeway.assignment.hashing import bucket_ranges, choose_variation, hash_unit

HASH_VERSION = 2
BUCKETS = 10_000


class Randomised(Protocol):
    """What an experiment says about its assignment; an ExperimentDeclaration is one."""

    @property
    def bucketing_salt(self) -> str:
        """Text hashed with the unit's id."""

    @property
    def ordered_variants(self) -> Sequence[tuple[str, float]]:
        """Variants and their weights, in the order in which buckets are dealt out."""


@dataclass(frozen=True)
class Assignment:
    """A unit's variant, the bucket (0 to 9,999) that its id fell into, and the version of the hash."""

    variant: str
    bucket: int
    hash_version: int


class UnusableUnitError(ValueError):
    """A unit id that nothing can be assigned to: empty, or no valid Unicode text."""


def assign(experiment: Randomised, unit_id: str) -> Assignment:
    """The variant of a unit. Weights are relative: {a: 1, b: 3} gives b three quarters of the units.

    Raises UnusableUnitError for an unusable id, ValueError when no weight is above zero or one is negative or
    infinite.

    >>> from types import SimpleNamespace >>> experiment = SimpleNamespace(bucketing_salt="checkout",
    ordered_variants=(("old", 1.0), ("new", 1.0))) >>> assign(experiment, "customer-1") == assign(experiment,
    "customer-1") True
    """
    if not unit_id.strip():
        raise UnusableUnitError("a unit id must not be empty")
    names = [name for name, _ in experiment.ordered_variants]
    weights = _shares([weight for _, weight in experiment.ordered_variants])
    try:
        value = hash_unit(experiment.bucketing_salt, unit_id, HASH_VERSION)
    except UnicodeEncodeError:
        raise UnusableUnitError("a unit id must be valid Unicode text") from None
    assert value is not None
    chosen = choose_variation(value, bucket_ranges(len(weights), 1.0, weights))
    if chosen < 0:
        # Shares such as three times a third add up to a hair below 1; the last variant with a weight has what
        # is left.
        chosen = max(index for index, weight in enumerate(weights) if weight > 0)
    return Assignment(names[chosen], round(value * BUCKETS), HASH_VERSION)


def _shares(weights: Sequence[float]) -> list[float]:
    if any(weight < 0 or not math.isfinite(weight) for weight in weights):
        raise ValueError("weights must be finite and not negative")
    total = math.fsum(weights)
    if not 0 < total < math.inf:
        raise ValueError("at least one weight must be above zero")
    return [weight / total for weight in weights]
