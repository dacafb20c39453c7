"""Assignment: the same unit always gets the same variant, and variants get their shares."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.assignment.single import Assignment, UnusableUnitError, assign
from causeway.declarations.reading import read_declaration


@dataclass(frozen=True)
class Experiment:
    bucketing_salt: str
    ordered_variants: tuple[tuple[str, float], ...]


HALVES = Experiment("checkout", (("off", 1.0), ("on", 1.0)))


def test_bucket_and_variant_are_those_of_growthbook_version_2() -> None:
    # hash("seed", "a") = 0.0505 and hash("seed", "b") = 0.2696 in GrowthBook's published cases.
    quarters = Experiment("seed", (("off", 1.0), ("on", 3.0)))
    assert assign(quarters, "a") == Assignment("off", 505, 2)
    assert assign(quarters, "b") == Assignment("on", 2696, 2)


def test_variants_get_the_shares_of_their_weights() -> None:
    experiment = Experiment("shares", (("a", 2.0), ("b", 3.0), ("c", 0.0), ("d", 5.0)))
    counts = Counter(assign(experiment, f"unit-{number}").variant for number in range(20_000))
    assert set(counts) == {"a", "b", "d"}
    # Four standard errors of a share of one half among 20,000 are 0.014.
    for variant, share in (("a", 0.2), ("b", 0.3), ("d", 0.5)):
        assert counts[variant] / 20_000 == pytest.approx(share, abs=0.015)


def test_two_salts_assign_independently() -> None:
    other = Experiment("search", HALVES.ordered_variants)
    both = Counter((assign(HALVES, f"u{n}").variant, assign(other, f"u{n}").variant) for n in range(20_000))
    assert all(count / 20_000 == pytest.approx(0.25, abs=0.015) for count in both.values())


@given(
    st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])).filter(str.strip),
    st.floats(1e-6, 1e6),
)
def test_only_the_ratio_of_weights_matters(unit_id: str, factor: float) -> None:
    scaled = Experiment("checkout", (("off", factor), ("on", factor)))
    assert assign(scaled, unit_id) == assign(HALVES, unit_id)


def test_every_bucket_has_a_variant_when_thirds_do_not_add_up_to_one() -> None:
    thirds = Experiment("thirds", (("a", 0.1), ("b", 0.1), ("c", 0.1), ("none", 0.0)))
    found = {assign(thirds, str(number)).variant for number in range(30_000)}
    assert found == {"a", "b", "c"}


@pytest.mark.parametrize("unit_id", ["", "  ", "\ud800"])
def test_an_unusable_unit_id_is_refused(unit_id: str) -> None:
    with pytest.raises(UnusableUnitError):
        assign(HALVES, unit_id)


@pytest.mark.parametrize("weights", [(0.0, 0.0), (-1.0, 2.0), (float("nan"), 1.0), (float("inf"), 1.0)])
def test_weights_that_cannot_be_dealt_are_refused(weights: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        assign(Experiment("s", (("a", weights[0]), ("b", weights[1]))), "u")


def test_the_order_of_variants_in_the_yaml_does_not_move_a_unit() -> None:
    head = "kind: experiment\nkey: k\nunit: u\ncontrol: c\nmetrics: [{key: m, type: count}]\n"
    one, other = (
        read_declaration(head + f"variants: {variants}\n", "k.yaml")
        for variants in ("{a: 1, b: 2, c: 1}", "{c: 1, b: 2, a: 1}")
    )
    for number in range(200):
        assert assign(one, str(number)) == assign(other, str(number))
