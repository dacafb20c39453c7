"""Models of the effect: right where the truth is in their reach, and contributions that add up."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from causeway.effects.heterogeneity.final_stage import Learner, fit_boosted, fit_line, fit_stage
from causeway.effects.heterogeneity.scores import scores_of

GENERATOR = np.random.default_rng(0)


def test_the_line_is_ridge_regression() -> None:
    z = GENERATOR.normal(size=(300, 5)).astype(np.float32)
    label, weight = z[:, 0] + GENERATOR.normal(size=300), GENERATOR.uniform(0.5, 2, 300)
    line = fit_line(z, label, weight)
    reference = Ridge(alpha=300 * line.penalty).fit(z.astype(np.float64), label, sample_weight=weight)
    assert line.slopes == pytest.approx(reference.coef_, rel=1e-5)
    assert line.intercept == pytest.approx(float(reference.intercept_), rel=1e-5)


def test_the_penalty_follows_the_evidence() -> None:
    z = GENERATOR.normal(size=(500, 8)).astype(np.float32)
    noise, ones = GENERATOR.normal(size=500), np.ones(500)
    assert fit_line(z, 3 * z[:, 0] + 0.1 * noise, ones).penalty < 0.01
    flat = fit_line(z, noise, ones)
    assert np.abs(flat.slopes).max() < 0.1


@pytest.mark.parametrize("learner", get_args(Learner))
def test_every_learner_finds_a_kink(world_with_a_kink: Any, learner: Learner) -> None:
    world = world_with_a_kink
    scores = scores_of(world.outcome, world.treated, world.nuisances)
    z = world.x.astype(np.float32)
    rows, groups = np.arange(3_000), np.random.default_rng(1).random(4_000)
    stage = fit_stage(learner, z, scores, rows, groups, seed=1)
    error = np.sqrt(np.mean((stage.predict(z[3_000:]) - world.effect[3_000:]) ** 2))
    # The spread of the effect is 0.87, what a line cannot reach of it 0.45.
    assert error < (0.55 if "linear" in learner else 0.32)
    contributions = stage.contributions(z[3_000:])
    if learner == "causal_forest":
        assert contributions is None
    else:
        assert contributions.sum(axis=1) == pytest.approx(stage.predict(z[3_000:]), abs=1e-5)


def test_trees_stop_at_a_constant_where_there_is_nothing_to_learn() -> None:
    z = GENERATOR.normal(size=(400, 3)).astype(np.float32)
    held_out = np.arange(400) % 5 == 0
    same = fit_boosted(z, np.full(400, 2.5), np.ones(400), held_out, seed=1)
    assert same.trees is None
    assert (same.predict(z) == 2.5).all()
    assert same.contributions(z).sum(axis=1) == pytest.approx(2.5)
    few = [fit_boosted(z, GENERATOR.normal(size=400), np.ones(400), held_out, seed=seed).rounds for seed in range(8)]
    assert np.median(few) < 20


def test_a_scale_of_the_outcome_is_only_a_scale(world_with_a_kink: Any) -> None:
    z, label = world_with_a_kink.x.astype(np.float32), world_with_a_kink.effect
    held_out = np.arange(4_000) % 5 == 0
    one = fit_boosted(z, label, np.ones(4_000), held_out, seed=1).predict(z)
    million = fit_boosted(z, 7 + 1e6 * label, np.ones(4_000), held_out, seed=1).predict(z)
    assert million == pytest.approx(7 + 1e6 * one, rel=1e-3, abs=1e3)
