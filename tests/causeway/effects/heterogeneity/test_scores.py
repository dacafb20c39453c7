"""Scores have the effect as their mean if either the propensity or the outcomes are right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from causeway.effects.heterogeneity.scores import mean_score, scores_of


@pytest.mark.parametrize("wrong", [{}, {"propensity": 0.4}, {"outcome_control": 3.0, "outcome_treated": -1.0}])
def test_one_wrong_nuisance_leaves_the_mean_right(worlds: Any, wrong: dict[str, float]) -> None:
    world = worlds(40_000, 5, "two_slopes")
    given = replace(world.nuisances, **{name: np.full(40_000, value) for name, value in wrong.items()})
    scores = scores_of(world.outcome, world.treated, given).doubly_robust
    assert scores.mean() == pytest.approx(world.effect.mean(), abs=4 * scores.std() / 200)


def test_both_wrong_is_wrong(worlds: Any) -> None:
    world = worlds(40_000, 5, "two_slopes")
    names = ("propensity", "outcome_control", "outcome_treated")
    given = replace(world.nuisances, **{name: np.full(40_000, 0.5) for name in names})
    scores = scores_of(world.outcome, world.treated, given).doubly_robust
    assert abs(scores.mean() - world.effect.mean()) > 10 * scores.std() / 200


def test_the_constant_minimises_the_weighted_r_loss(world_with_slopes: Any) -> None:
    world = world_with_slopes
    weights = np.random.default_rng(0).uniform(0.5, 2, len(world.outcome))
    scores = scores_of(world.outcome, world.treated, world.nuisances, weights=weights)

    def loss(effect: float) -> float:
        return float(np.average(scores.r_loss(effect), weights=weights))

    assert loss(scores.constant) < min(loss(scores.constant + 1e-3), loss(scores.constant - 1e-3))
    assert scores.weights.mean() == pytest.approx(1)


def test_propensities_are_held_away_from_the_ends_but_a_rare_treatment_is_left_alone() -> None:
    n = 1_000
    treated = np.arange(n) < 5
    nuisances = make(n, propensity=np.where(np.arange(n) % 100 == 0, 1e-6, 0.005))
    scores = scores_of(np.zeros(n), treated, nuisances)
    assert scores.clipped == pytest.approx(0.01)
    assert scores.propensity.min() == pytest.approx(0.001)
    assert np.median(scores.propensity) == 0.005


def test_several_splits_are_averaged_and_bad_shapes_refused(world_with_slopes: Any) -> None:
    world = world_with_slopes
    one = scores_of(world.outcome, world.treated, world.nuisances)
    other = scores_of(world.outcome, world.treated, replace(world.nuisances, propensity=np.full(2_000, 0.5)))
    assert mean_score([one, other]) == pytest.approx((one.doubly_robust + other.doubly_robust) / 2)
    with pytest.raises(ValueError, match="one number per unit"):
        scores_of(world.outcome[1:], world.treated[1:], world.nuisances)
    with pytest.raises(ValueError, match="finite"):
        scores_of(np.full(2_000, np.nan), world.treated, world.nuisances)


def make(n: int, **given: Any) -> Any:
    from causeway.effects.nuisances import Nuisances

    zeros = np.zeros(n)
    return Nuisances(np.arange(n) % 2, **{"outcome_control": zeros, "outcome_treated": zeros, **given})
