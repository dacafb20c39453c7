"""The hash functions of feature-flag vendors, as their public SDKs compute them."""

from __future__ import annotations

import hashlib

import mmh3

EPPO_SHARDS = 10_000
UNLEASH_VARIANT_SEED = 86_028_157
# PlanOut and, after it, PostHog: 15 hexadecimal digits of a SHA-1, as a share of the largest such number.
LONG_SCALE = float(0xFFFFFFFFFFFFFFF)


def eppo_shard(salt: str, subject: str, total: int = EPPO_SHARDS) -> int:
    """The shard of a subject, 0 to total - 1. Ranges of shards are half-open.

    Source: Eppo's SDKs (Eppo-exp/python-sdk, `eppo_client/sharders.py`), and their test data, sdk-test-data.

    >>> eppo_shard("exposure", "user-1") == eppo_shard_of("exposure-user-1")
    True
    """
    return eppo_shard_of(f"{salt}-{subject}", total)


def eppo_shard_of(text: str, total: int = EPPO_SHARDS) -> int:
    """The shard of a whole text: the first 32 bits of its MD5, modulo the number of shards."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4], "big") % total


def eppo_legacy_exposure(subject: str, flag: str, total: int = EPPO_SHARDS) -> int:
    """The shard that decides whether a subject enters: it does if the shard is at most exposure x total.

    Source: Eppo-exp/python-sdk before its version 3, `eppo_client/client.py`.
    """
    return eppo_shard_of(f"exposure-{subject}-{flag}", total)


def eppo_legacy_assignment(subject: str, flag: str, total: int = EPPO_SHARDS) -> int:
    """The shard that decides a subject's variation, by half-open ranges. Source: as `eppo_legacy_exposure`."""
    return eppo_shard_of(f"assignment-{subject}-{flag}", total)


def unleash_normalised(group: str, identifier: str, modulus: int = 100, seed: int = 0) -> int:
    """A number from 1 to the modulus. A unit is in a rollout if it is at most the percentage, and has the first
    variant whose cumulated weight is at least this number.

    Source: Unleash/unleash-client-python, `UnleashClient/utils.py`, and Unleash/client-specification.
    """
    return mmh3.hash(f"{group}:{identifier}", seed, signed=False) % modulus + 1


def posthog_hash(key: str, identifier: str, salt: str = "") -> float:
    """A number from 0 to 1. A unit is in a rollout if it is at most the share; with salt "variant", it has the
    variant whose half-open range of cumulated shares holds the number.

    Source: PostHog/posthog-python, `posthog/feature_flags.py`.
    """
    return _fifteen_digits(f"{key}.{identifier}{salt}") / LONG_SCALE


def planout_hash(salt: str, *unit: object) -> int:
    """60 bits of a salt and one or several units; the salt is `<experiment salt>.<salt of the parameter>`.

    Source: facebookarchive/planout, `python/planout/ops/random.py`, `getHash`.
    """
    return _fifteen_digits(".".join([salt, *map(str, unit)]))


def planout_uniform(salt: str, *unit: object, low: float = 0.0, high: float = 1.0) -> float:
    """PlanOut's RandomFloat. Its BernoulliTrial is 1 if this is at most p."""
    return low + (high - low) * (planout_hash(salt, *unit) / LONG_SCALE)


def planout_integer(salt: str, *unit: object, low: int, high: int) -> int:
    """PlanOut's RandomInteger: both ends are included."""
    return low + planout_hash(salt, *unit) % (high - low + 1)


def planout_uniform_choice(salt: str, *unit: object, choices: int) -> int:
    """PlanOut's UniformChoice: the index of one of so many choices."""
    return planout_hash(salt, *unit) % choices


def planout_weighted_choice(salt: str, *unit: object, weights: list[float]) -> int:
    """PlanOut's WeightedChoice: the index of the first choice whose cumulated weight is at least the draw."""
    total = 0.0
    ends = [total := total + weight for weight in weights]
    draw = planout_uniform(salt, *unit, low=0.0, high=total)
    return next(index for index, end in enumerate(ends) if draw <= end)


def _fifteen_digits(text: str) -> int:
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") >> 4
