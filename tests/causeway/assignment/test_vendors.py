"""Vendors' hashes, held against values that their own tests publish."""

from __future__ import annotations

import pytest

from causeway.assignment.vendors import (
    UNLEASH_VARIANT_SEED,
    eppo_legacy_assignment,
    eppo_legacy_exposure,
    eppo_shard,
    eppo_shard_of,
    planout_hash,
    planout_integer,
    planout_uniform,
    planout_uniform_choice,
    planout_weighted_choice,
    posthog_hash,
    unleash_normalised,
)


@pytest.mark.parametrize(("text", "shard"), [("test-input", 5619), ("alice", 3170), ("bob", 7420), ("charlie", 7497)])
def test_shards_are_those_of_eppos_tests(text: str, shard: int) -> None:
    """Eppo-exp/python-sdk, test/sharders_test.py."""
    assert eppo_shard_of(text) == shard


def test_a_salt_and_a_subject_are_joined_by_a_dash() -> None:
    assert eppo_shard("test", "input") == 5619
    assert eppo_legacy_exposure("input", "flag") == eppo_shard_of("exposure-input-flag")
    assert eppo_legacy_assignment("input", "flag") == eppo_shard_of("assignment-input-flag")


@pytest.mark.parametrize(
    ("group", "identifier", "rollout", "variant"), [("gr1", "123", 73, 96), ("groupX", "999", 25, 60)]
)
def test_normalised_numbers_are_those_of_unleashs_tests(
    group: str, identifier: str, rollout: int, variant: int
) -> None:
    """Unleash/unleash-client-node, src/test/strategy/util.test.ts: the same across its Node, Java and Go clients."""
    assert unleash_normalised(group, identifier) == rollout
    assert unleash_normalised(group, identifier, 100, UNLEASH_VARIANT_SEED) == variant


def test_rollouts_are_those_of_posthogs_tests() -> None:
    """PostHog's `test_simple_flag_consistency`, the first ids: 45 % of simple-flag."""
    expected = "0110100101" + "0110100011" + "0100101100" + "0111100010"[:8]
    found = "".join(str(int(posthog_hash("simple-flag", f"distinct_id_{number}") <= 0.45)) for number in range(38))
    assert found == expected


def test_choices_are_those_of_planouts_tests() -> None:
    """facebookarchive/planout, python/planout/test/test_assignment.py: unit 4, salt test_salt."""
    assert ["ab"[planout_uniform_choice(f"test_salt.{name}", 4, choices=2)] for name in ("foo", "bar", "baz")] == [
        "b",
        "a",
        "a",
    ]
    assert planout_uniform_choice("test_salt.foo", 4, choices=8) == 7


def test_several_units_are_joined_by_dots() -> None:
    assert planout_hash("e.p", 4, "b") == planout_hash("e.p.4", "b") != planout_hash("e.p", "4b")


def test_planouts_draws_keep_within_their_ends() -> None:
    integers = {planout_integer("e.p", unit, low=3, high=5) for unit in range(200)}
    assert integers == {3, 4, 5}
    assert all(2.0 <= planout_uniform("e.p", unit, low=2.0, high=4.0) <= 4.0 for unit in range(200))


def test_a_weighted_choice_takes_the_first_whose_cumulated_weight_is_reached() -> None:
    for unit in range(200):
        draw = planout_uniform("e.p", unit, low=0.0, high=4.0)
        assert planout_weighted_choice("e.p", unit, weights=[1.0, 0.0, 3.0]) == (0 if draw <= 1 else 2)
