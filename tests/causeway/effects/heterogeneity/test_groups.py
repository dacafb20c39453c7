"""Groups by predicted effect and by segment: means that agree with the obvious ones, and cover."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from causeway.effects.heterogeneity.groups import by_predicted_effect, group_effects
from causeway.effects.heterogeneity.scores import scores_of

GENERATOR = np.random.default_rng(0)


def test_two_groups_are_the_t_test_of_their_scores() -> None:
    scores, labels = GENERATOR.normal(size=400), np.arange(400) % 2
    found = group_effects(scores, labels, ("a", "b"), np.arange(400) % 4 < 2)
    a, b = scores[labels == 0], scores[labels == 1]
    assert found.groups[0].effect.effect == pytest.approx(a.mean())
    assert found.groups[0].effect.std_error == pytest.approx(stats.sem(a))
    low, high = stats.t.interval(0.95, 199, a.mean(), stats.sem(a))
    assert (found.groups[0].effect.ci_low, found.groups[0].effect.ci_high) == pytest.approx((low, high))
    welch = stats.ttest_ind(b, a, equal_var=False)
    assert found.p_value == pytest.approx(welch.pvalue, rel=0.01)
    assert found.last_less_first is not None
    assert found.last_less_first.effect == pytest.approx(b.mean() - a.mean())
    assert found.last_less_first.p_value == pytest.approx(welch.pvalue, rel=0.01)


def test_groups_are_dealt_within_folds_and_keep_ties_together() -> None:
    folds = np.arange(1_000) % 2
    predicted = GENERATOR.normal(size=1_000) + 100 * folds
    labels = by_predicted_effect(predicted, folds, 5)
    for fold in (0, 1):
        assert np.bincount(labels[folds == fold]).tolist() == [100] * 5
        order = np.argsort(predicted[folds == fold])
        assert (np.diff(labels[folds == fold][order]) >= 0).all()
    assert len(np.unique(by_predicted_effect(np.zeros(1_000), folds, 5))) == 1
    heavy = np.where(np.arange(1_000) < 10, 1e6, 1.0)
    assert by_predicted_effect(np.arange(1_000.0), np.zeros(1_000, dtype=int), 2, heavy)[10:].tolist() == [1] * 990


def test_small_groups_are_silent_and_the_rest_is_compared() -> None:
    scores, labels = GENERATOR.normal(size=300), np.array([0] * 140 + [1] * 140 + [2] * 20)
    found = group_effects(scores, labels, ("a", "b", "few"), np.arange(300) % 2 == 0)
    assert found.groups[2].effect.status == "too_few_units"
    assert found.groups[2].effect.effect is None and found.groups[2].p_value_adjusted is None
    assert found.status == "ok" and found.p_value is not None
    alone = group_effects(scores, np.where(labels == 0, 0, -1), ("a", "b"), np.arange(300) % 2 == 0)
    assert alone.status == "too_few_units" and alone.p_value is None and alone.last_less_first is None


def test_intervals_of_units_of_similar_predicted_effect_cover_their_average_effect(worlds: Any) -> None:
    """Ten worlds of ten groups; over 150 groups on boosted nuisances of 2,000 units it was 94 %."""
    from causeway.effects.heterogeneity.cate import fit_cate

    held = []
    for seed in range(10):
        world = worlds(2_000, seed, "a_kink")
        scores = scores_of(world.outcome, world.treated, world.nuisances)
        found = fit_cate(world.x, world.treated, [scores], constant=0.5, seed=seed, learners=["r_boosted"])
        labels = by_predicted_effect(found.effect, scores.folds, 10)
        groups = group_effects(scores.doubly_robust, labels, [str(i) for i in range(10)], world.treated).groups
        truths = [world.effect[labels == place].mean() for place in range(10)]
        held += [g.effect.ci_low <= truth <= g.effect.ci_high for g, truth in zip(groups, truths, strict=True)]
    assert np.mean(held) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / len(held))


def test_equal_effects_are_found_different_in_one_of_twenty_runs() -> None:
    generator = np.random.default_rng(1)
    found = [
        group_effects(
            generator.normal(size=200), np.arange(200) % 4, "abcd", np.arange(200) % 8 < 4, weights=np.ones(200)
        ).p_value
        for _ in range(300)
    ]
    assert np.mean(np.array(found) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
