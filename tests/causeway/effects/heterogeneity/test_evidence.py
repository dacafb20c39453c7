"""The gate: held at its level where everybody has one effect, open where effects differ."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from causeway.effects.heterogeneity.cate import fit_cate
from causeway.effects.heterogeneity.scores import scores_of

RUNS = 200


def test_with_one_effect_for_everybody_the_gate_opens_in_at_most_one_of_twenty_runs(worlds: Any) -> None:
    """Lines alone, which chance finds most easily. By all learners on boosted nuisances it was 21 of 600 runs."""
    tested = []
    for seed in range(RUNS):
        world = worlds(300, seed, "one_effect", p=5)
        scores = scores_of(world.outcome, world.treated, world.nuisances)
        tested.append(fit_cate(world.x, world.treated, [scores], constant=0.5, learners=["dr_linear"]).p_value)
    assert np.mean(np.array(tested) <= 0.05) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / RUNS)
    assert np.mean(np.array(tested) <= 0.5) == pytest.approx(0.5, abs=3 * math.sqrt(0.25 / RUNS))


def test_by_boosted_trees_too(worlds: Any) -> None:
    opened = []
    for seed in range(25):
        world = worlds(400, seed, "one_effect", confounded=False)
        scores = scores_of(world.outcome, world.treated, world.nuisances)
        found = fit_cate(world.x, world.treated, [scores], constant=0.5, seed=seed, learners=["r_linear", "r_boosted"])
        opened.append(found.beats_constant)
    assert sum(opened) <= stats.binom.ppf(0.999, 25, 0.05)


def test_with_a_clear_effect_the_gate_opens_nearly_always(worlds: Any) -> None:
    opened = []
    for seed in range(8):
        world = worlds(1_000, seed, "a_kink")
        scores = scores_of(world.outcome, world.treated, world.nuisances)
        opened.append(fit_cate(world.x, world.treated, [scores], constant=0.5, seed=seed).beats_constant)
    assert sum(opened) >= 7


@pytest.mark.parametrize("by_cluster", [False, True])
def test_clusters_are_what_is_counted(worlds: Any, by_cluster: bool) -> None:
    """Each unit twenty times: told of it, the p-value is that of the units; not told, it is far too small."""
    world = worlds(300, 4, "two_slopes")
    copies = np.repeat(np.arange(300), 20)
    given = world.nuisances
    nuisances = type(given)(
        given.folds[copies], given.propensity[copies], given.outcome_control[copies], given.outcome_treated[copies]
    )
    once = scores_of(world.outcome, world.treated, given)
    many = scores_of(world.outcome[copies], world.treated[copies], nuisances)
    x, treated = world.x[copies], world.treated[copies]
    clusters = copies if by_cluster else None
    expected = fit_cate(world.x, world.treated, [once], constant=0.5, learners=["r_linear"]).p_value
    found = fit_cate(x, treated, [many], constant=0.5, learners=["r_linear"], clusters=clusters).p_value
    z, z_expected = stats.norm.isf(found), stats.norm.isf(expected)
    # The penalty is chosen by how many units it believes there are, so that the numbers are near, not equal.
    assert z / z_expected == pytest.approx(1 if by_cluster else math.sqrt(20), rel=0.2)
