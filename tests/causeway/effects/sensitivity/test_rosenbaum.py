"""Rosenbaum's bounds: his own example, all assignments of a few pairs, and scipy without bias."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy import stats

from causeway.effects.sensitivity import rosenbaum
from causeway.effects.sensitivity.rosenbaum import p_value_bounds, rosenbaum_bounds

# Morton et al. 1982, in Rosenbaum 2002, sec. 4.3: lead in the blood of children whose parents work with it.
EXPOSED = [38, 23, 41, 18, 37, 36, 23, 62, 31, 34, 24, 14, 21, 17, 16, 20, 15, 10, 45, 39, 22, 35, 49, 48, 44, 35, 43,
           39, 34, 13, 73, 25, 27]  # fmt: skip
CONTROL = [16, 18, 18, 24, 19, 11, 10, 15, 16, 18, 18, 13, 19, 10, 16, 16, 24, 13, 9, 14, 21, 19, 7, 18, 19, 12, 11, 22,
           25, 16, 13, 11, 13]  # fmt: skip
LEAD = np.array(EXPOSED, dtype=np.float64) - np.array(CONTROL)


@pytest.fixture
def in_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rosenbaum, "LARGEST_EXACT", 0)


@pytest.mark.usefixtures("in_the_limit")
def test_p_values_of_the_lead_example_are_the_published_ones() -> None:
    """Rosenbaum 2002, sec. 4.3.3, one-sided by the normal limit."""
    found = rosenbaum_bounds(LEAD, gammas=(1.0, 2.0, 3.0, 4.0, 4.25, 5.0))
    assert (found.n, found.n_ties) == (32, 1)
    one_sided = [bounds.p_high / 2 for bounds in found.bounds]
    assert one_sided == pytest.approx([0.0, 0.0018, 0.0136, 0.0388, 0.0468, 0.0740], abs=5e-5)
    assert rosenbaum_bounds(LEAD, alpha=0.1).critical_gamma == pytest.approx(4.35, abs=0.05)


def test_effects_of_the_lead_example_are_the_published_ones() -> None:
    """Rosenbaum 2002, sec. 4.3.5."""
    found = rosenbaum_bounds(LEAD, gammas=(1.0, 2.0, 3.0, 4.0, 5.0))
    assert [(bounds.effect_low, bounds.effect_high) for bounds in found.bounds] == [
        pytest.approx(pair, abs=1e-9) for pair in [(15, 15), (10.25, 19.5), (8, 23), (6.5, 25), (5, 26.5)]
    ]


def _by_enumeration(differing: Any, ranks: Any, gamma: float, *, upper: bool) -> float:
    """P over every assignment of signs, each positive with gamma / (1 + gamma)."""
    chance = gamma / (1 + gamma)
    total = 0.0
    observed = ranks[differing > 0].sum() if upper else ranks[differing < 0].sum()
    for signs in product((0, 1), repeat=len(ranks)):
        drawn = np.array(signs)
        if drawn @ ranks >= observed - 1e-9:
            total += float(np.prod(np.where(drawn, chance, 1 - chance)))
    return total


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gamma", [1.0, 1.7, 4.0])
def test_p_values_are_those_of_every_assignment_written_out(seed: int, gamma: float) -> None:
    differing = np.round(np.random.default_rng(seed).normal(1.0, 2.0, size=11), seed % 2)
    differing = differing[differing != 0]
    ranks = stats.rankdata(np.abs(differing))
    expected = min(1, 2 * min(_by_enumeration(differing, ranks, gamma, upper=upper) for upper in (True, False)))
    assert p_value_bounds(differing, ranks, gamma)[1] == pytest.approx(expected, abs=1e-12)


def test_without_bias_it_is_the_signed_rank_test_and_the_median_of_walsh_averages() -> None:
    differing = np.random.default_rng(5).normal(0.4, 1, size=40)
    (bounds,) = rosenbaum_bounds(differing, gammas=(1.0,)).bounds
    assert bounds.p_high == pytest.approx(stats.wilcoxon(differing, method="exact").pvalue, rel=1e-10)
    assert bounds.p_low == bounds.p_high
    walsh = [(differing[i] + differing[j]) / 2 for i in range(40) for j in range(i, 40)]
    assert bounds.effect_low == pytest.approx(np.median(walsh), abs=1e-9)


def test_bounds_open_with_gamma_and_the_critical_one_is_where_p_crosses_alpha() -> None:
    differing = np.random.default_rng(6).normal(0.6, 1, size=60)
    found = rosenbaum_bounds(differing)
    highs, lows = [b.p_high for b in found.bounds], [b.p_low for b in found.bounds]
    assert highs == sorted(highs) and lows == sorted(lows, reverse=True)
    assert [b.effect_low for b in found.bounds] == sorted((b.effect_low for b in found.bounds), reverse=True)
    assert found.critical_gamma is not None and found.critical_gamma > 1
    ranks = stats.rankdata(np.abs(differing))
    assert p_value_bounds(differing, ranks, found.critical_gamma)[1] == pytest.approx(0.05, abs=1e-8)
    mirrored = rosenbaum_bounds(-differing)
    assert mirrored.critical_gamma == pytest.approx(found.critical_gamma)


def test_the_normal_limit_is_near_the_exact_one_where_they_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    differing = np.random.default_rng(7).normal(0.35, 1, size=100)
    ranks = stats.rankdata(np.abs(differing))
    exact = p_value_bounds(differing, ranks, 1.2)[1]
    monkeypatch.setattr(rosenbaum, "LARGEST_EXACT", 99)
    assert p_value_bounds(differing, ranks, 1.2)[1] == pytest.approx(exact, abs=2e-3)


def test_few_or_equal_pairs_have_a_status() -> None:
    assert rosenbaum_bounds(np.array([1.0, 2.0, 0.0, 3.0, 4.0])).status == "too_few_units"
    assert rosenbaum_bounds(np.full(20, 2.0)).status == "zero_variance"
    assert rosenbaum_bounds(np.array([1.0, -1.1, 0.9, -1.0, 1.2, -0.8])).critical_gamma == 1.0
    with pytest.raises(ValueError, match="at least one"):
        rosenbaum_bounds(LEAD, gammas=(0.5,))
