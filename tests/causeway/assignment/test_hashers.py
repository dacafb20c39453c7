"""Hashers and the dealers they make: who enters, which variant, and the edges between them."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.assignment.dealers import OUT, EppoLegacyDealer, UnleashDealer
from causeway.assignment.hashers import DEFAULT_HASHER, HASHERS
from causeway.assignment.hashing import bucketer, hash_unit
from causeway.assignment.vendors import (
    eppo_legacy_exposure,
    eppo_shard,
    planout_uniform,
    planout_uniform_choice,
    planout_weighted_choice,
    posthog_hash,
    unleash_normalised,
)

UNITS = st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"]))
NAMES = sorted(HASHERS)
MILLION = [f"{number:016x}" for number in range(1_000_000)]


def test_the_default_is_growthbooks_second_version() -> None:
    assert DEFAULT_HASHER == "growthbook_v2"
    assert set(NAMES) == {"growthbook_v1", "growthbook_v2", "eppo", "eppo_legacy", "unleash", "posthog", "planout"}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])), UNITS)
def test_buckets_are_the_published_hash_in_integers(seed: str, unit: str) -> None:
    assert bucketer(1, seed)(unit) / 1000 == hash_unit(seed, unit, 1)
    assert bucketer(2, seed)(unit) / 10_000 == hash_unit(seed, unit, 2)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_respected_within_binomial_error_over_a_million_units(name: str) -> None:
    weights, coverage = (0.1, 0.0, 0.6, 0.3), 0.5
    deal = HASHERS[name].dealer("weights", 4, weights, coverage)
    # A vendor's rollout is a whole number of its buckets, and its bounds may be inclusive: at most a bucket more.
    counts = Counter(deal(unit)[0] for unit in MILLION)
    assert counts[1] == 0
    assert sum(counts.values()) == len(MILLION)
    for index, share in ((OUT, 1 - coverage), (0, 0.1 * coverage), (2, 0.6 * coverage), (3, 0.3 * coverage)):
        error = 5 * math.sqrt(len(MILLION) * share * (1 - share)) + len(MILLION) / 10_000
        assert abs(counts[index] - len(MILLION) * share) < error, (index, counts)


@pytest.mark.parametrize("name", NAMES)
@given(unit=UNITS, shares=st.tuples(st.floats(0, 1), st.floats(0, 1)), weight=st.floats(0, 1))
def test_raising_the_coverage_never_moves_a_unit_that_was_in(
    name: str, unit: str, shares: tuple[float, float], weight: float
) -> None:
    low, high = sorted(shares)
    weights = (weight, 1 - weight)
    before = HASHERS[name].dealer("raise", 2, weights, low)(unit)[0]
    after = HASHERS[name].dealer("raise", 2, weights, high)(unit)[0]
    assert before in (OUT, after)


@pytest.mark.parametrize("name", NAMES)
@given(unit=UNITS)
def test_everybody_is_dealt_a_variant_at_full_coverage(name: str, unit: str) -> None:
    for weights in (None, (1 / 3, 1 / 3, 1 / 3), (0.1, 0.9, 0.0)):
        index, bucket, position = HASHERS[name].dealer("full", 3, weights, 1.0)(unit)
        assert 0 <= index < 3
        assert weights != (0.1, 0.9, 0.0) or index != 2
        assert bucket >= 0
        assert 0 <= position <= 1


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"eppo_legacy"}))
def test_nobody_enters_at_a_coverage_of_nothing(name: str) -> None:
    deal, admits = HASHERS[name].dealer("none", 2, None, 0.0), HASHERS[name].admission("none", 0.0)
    assert all(deal(unit)[0] == OUT and not admits(unit) for unit in MILLION[:20_000])


@pytest.mark.parametrize("name", NAMES)
@given(unit=UNITS)
def test_a_position_lies_between_0_and_1(name: str, unit: str) -> None:
    assert 0 <= HASHERS[name].position("layer")(unit) <= 1


def test_eppos_traffic_and_split_are_half_open_ranges_of_shards() -> None:
    traffic = {unit: eppo_shard("traffic-e", unit) for unit in MILLION[:50_000]}
    boundary = {unit for unit, shard in traffic.items() if shard == 2500}
    last = {unit for unit, shard in traffic.items() if shard == 2499}
    assert boundary
    assert last
    deal = HASHERS["eppo"].dealer("e", 2, (0.3, 0.7), 0.25)
    assert {deal(unit)[0] for unit in boundary} == {OUT}
    assert all(deal(unit)[0] == (0 if eppo_shard("e", unit) < 3000 else 1) for unit in last)


def test_eppos_legacy_exposure_includes_its_upper_end() -> None:
    at_the_end = [unit for unit in MILLION[:50_000] if eppo_legacy_exposure(unit, "flag") == 2500]
    beyond = [unit for unit in MILLION[:50_000] if eppo_legacy_exposure(unit, "flag") == 2501]
    deal = EppoLegacyDealer("flag", 1, None, 0.25)
    assert {deal(unit)[0] for unit in at_the_end} == {0}
    assert {deal(unit)[0] for unit in beyond} == {OUT}


@pytest.mark.parametrize(
    ("group", "weights", "user", "variant"),
    [
        ("Feature.Variants.A", (1,), "0", 0),
        ("Feature.Variants.B", (1, 1), "2", 0),
        ("Feature.Variants.B", (1, 1), "0", 1),
        ("Feature.Variants.D", (1, 49, 50), "367", 0),
        ("Feature.Variants.override.D", (33, 33, 34), "82", 1),
    ],
)
def test_whole_weights_are_unleashs_own(group: str, weights: tuple[int, ...], user: str, variant: int) -> None:
    """The rule of Unleash/client-specification, 08-variants: the modulus is the total weight."""
    number = unleash_normalised(group, user, sum(weights), 86_028_157)
    reached = [index for index in range(len(weights)) if sum(weights[: index + 1]) >= number]
    assert UnleashDealer(group, len(weights), weights, 1.0)(user)[0] == reached[0]


def test_unleashs_rollout_includes_its_percentage() -> None:
    """Unleash/client-specification, 10-flexible-rollout-strategy."""
    admits = HASHERS["unleash"].admission
    assert admits("Feature.flexibleRollout.10", 0.1)("174")
    assert not admits("Feature.flexibleRollout.10", 0.1)("499")
    assert admits("Feature.flexibleRollout.userId.55", 0.55)("25")
    assert admits("Feature.flexibleRollout.sessionId.42", 0.42)("147")
    for unit in MILLION[:500]:
        number = unleash_normalised("g", unit)
        assert admits("g", number / 100)(unit)
        assert not admits("g", (number - 1) / 100)(unit)


def test_shares_of_unleash_are_thousandths() -> None:
    assert UnleashDealer("g", 3, (1 / 3, 1 / 3, 1 / 3), 1.0).ends == (333, 667, 1000)
    with pytest.raises(ValueError, match="whole"):
        UnleashDealer("g", 2, (0.5, 0.7), 1.0)


def test_posthogs_variants_have_half_open_ranges_under_their_own_salt() -> None:
    deal = HASHERS["posthog"].dealer("flag", 2, (0.3, 0.7), 0.55)
    for unit in MILLION[:2_000]:
        inside = posthog_hash("flag", unit) <= 0.55
        variant = 0 if posthog_hash("flag", unit, "variant") < 0.3 else 1
        assert deal(unit)[0] == (variant if inside else OUT)


def test_planout_chooses_uniformly_without_weights_and_by_them_with() -> None:
    equal, weighted = (HASHERS["planout"].dealer("exp.button", 3, weights, 1.0) for weights in (None, (0.2, 0.3, 0.5)))
    for unit in MILLION[:500]:
        assert equal(unit)[0] == planout_uniform_choice("exp.button", unit, choices=3)
        assert weighted(unit)[0] == planout_weighted_choice("exp.button", unit, weights=[0.2, 0.3, 0.5])
    half = HASHERS["planout"].dealer("exp.button", 3, None, 0.5)
    assert all(
        (half(unit)[0] != OUT) == (planout_uniform("exp.button.coverage", unit) <= 0.5) for unit in MILLION[:500]
    )


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"growthbook_v1", "growthbook_v2"}))
def test_what_cannot_be_dealt_is_refused(name: str) -> None:
    hasher = HASHERS[name]
    for weights in ((0.5,), (-1.0, 2.0), (0.0, 0.0), (math.nan, 1.0), (math.inf, 1.0)):
        with pytest.raises(ValueError, match=r"weight|NaN|infinity"):
            hasher.dealer("s", 2, weights)
    with pytest.raises(ValueError, match="ranges"):
        hasher.dealer("s", 2, None, 1.0, [(0.0, 0.5)])


@pytest.mark.parametrize("weights", [(0.5,), (-1.0, 2.0), (0.0, 0.0), (math.nan, 1.0), (math.inf, 1.0)])
def test_growthbook_puts_equal_weights_in_the_place_of_unusable_ones(weights: tuple[float, ...]) -> None:
    odd, equal = (HASHERS["growthbook_v2"].dealer("s", 2, each) for each in (weights, None))
    assert [odd(unit) for unit in MILLION[:500]] == [equal(unit) for unit in MILLION[:500]]
