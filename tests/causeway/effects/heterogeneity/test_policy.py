"""Whom to treat: within the budget, worth its cost, valued on units that the rule has not seen."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from causeway.effects.heterogeneity.policy import Budget, Policy, policy
from causeway.effects.heterogeneity.policy_tree import PolicyTree, fit_policy_tree

GENERATOR = np.random.default_rng(0)
N = 1_000
X = GENERATOR.normal(size=(N, 3))
EFFECT = X[:, 0]
SCORES = EFFECT + GENERATOR.normal(size=N)
TREATED = np.arange(N) % 2 == 0
FOLDS = np.arange(N) % 5


def decide(budget: Budget | None = None, **changes: Any) -> Policy:
    given: dict[str, Any] = {"folds": FOLDS, "x": X, "columns": ("a", "b", "c"), "budget": budget, **changes}
    return policy(given.pop("scores", SCORES), given.pop("effect", EFFECT), TREATED, **given)


def test_everybody_with_a_worthwhile_effect_is_treated_and_nobody_else() -> None:
    assert (decide().treat == (EFFECT > 0)).all()
    assert (decide(Budget(cost=0.5)).treat == (EFFECT > 0.5)).all()
    assert (decide(Budget(cost=0.5, value=2.0)).treat == (EFFECT > 0.25)).all()
    costs = np.where(X[:, 1] > 0, 10.0, 0.0)
    assert (decide(Budget(cost=costs)).treat == (costs < EFFECT)).all()


def test_a_budget_goes_to_those_worth_most() -> None:
    for budget in (Budget(share=0.1), Budget(count=100)):
        found = decide(budget)
        assert found.treat.sum() == 100 and found.share == pytest.approx(0.1)
        assert EFFECT[found.treat].min() >= np.sort(EFFECT)[-100]
    assert decide(Budget(count=10**9)).treat.sum() == (EFFECT > 0).sum()
    assert decide(Budget(share=0.0)).treat.sum() == 0
    weights = np.where(X[:, 1] > 0, 3.0, 1.0)
    weighted = decide(Budget(share=0.2), weights=weights)
    assert weighted.share == pytest.approx(0.2, abs=0.003)


def test_values_are_the_obvious_means() -> None:
    found = decide(Budget(share=0.3, cost=0.2))
    reward = SCORES - 0.2
    value = np.where(found.treat, reward, 0).mean()
    assert found.value.effect == pytest.approx(value)
    assert found.treat_all.effect == pytest.approx(reward.mean())
    assert found.over_all.effect == pytest.approx(value - reward.mean())
    assert found.over_random.effect == pytest.approx(value - 0.3 * reward.mean())
    assert found.curve[0].value == 0 and found.curve[-1].value == pytest.approx(reward.mean())
    assert found.curve[6].share == pytest.approx(0.3) and found.curve[6].value == pytest.approx(value)
    assert found.curve[10].value_at_random == pytest.approx(0.5 * reward.mean())


@pytest.mark.parametrize("share", [None, 0.2])
def test_intervals_cover_the_value_of_the_rule(share: float | None) -> None:
    """Under a budget the threshold is estimated: without its part the interval would be wrong, as it is too wide."""
    generator = np.random.default_rng(1)
    # Of the rule in the world: treat where the effect is above 0.25, or above the 80 % quantile.
    from scipy import stats

    limit = 0.25 if share is None else float(stats.norm.isf(share))
    truth = float(stats.norm.pdf(limit) - 0.25 * stats.norm.sf(limit))
    held, widths, values = [], [], []
    for seed in range(120):
        x = generator.normal(size=(400, 1))
        scores = x[:, 0] + generator.normal(size=400)
        found = policy(
            scores, x[:, 0], np.arange(400) % 2 == 0, folds=np.zeros(400, dtype=int) + np.arange(400) % 2, x=x[:, :0],
            columns=(), budget=Budget(share=share, cost=0.25), seed=seed,
        )  # fmt: skip
        assert found.value.ci_low is not None and found.value.ci_high is not None
        held.append(found.value.ci_low <= truth <= found.value.ci_high)
        widths.append(found.value.std_error)
        values.append(found.value.effect)
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 120) <= np.mean(held)
    assert np.mean(widths) == pytest.approx(np.std(values), rel=0.2)


def test_equal_predictions_are_drawn_and_gain_what_chance_gains() -> None:
    found = decide(Budget(share=0.3), effect=np.full(N, 0.5))
    assert found.treat.sum() == 300
    assert not found.treat[:300].all()
    assert abs(found.over_random.effect) < 4 * found.over_random.std_error
    assert (decide(Budget(share=0.3), effect=np.full(N, -0.5)).treat == 0).all()


def test_nobody_treated_is_worth_nothing_without_an_interval() -> None:
    found = decide(Budget(cost=100.0))
    assert not found.treat.any() and found.share == 0
    assert found.value.status == "zero_variance" and found.value.effect is None


@pytest.mark.parametrize("wrong", [{"share": 0.5, "count": 5}, {"share": 1.5}, {"count": -1}, {"cost": float("nan")}])
def test_a_budget_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Budget(**wrong)


def exhaustively(x: np.ndarray, reward: np.ndarray) -> float:
    """The best sum of rewards of any depth-two tree over values that occur."""

    def leaf(rows: np.ndarray) -> float:
        return max(0.0, float(reward[rows].sum()))

    def stump(rows: np.ndarray) -> float:
        cuts = [(j, c) for j in range(x.shape[1]) for c in np.unique(x[:, j])]
        return max(leaf(rows & (x[:, j] <= c)) + leaf(rows & (x[:, j] > c)) for j, c in cuts)

    everybody = [(j, c) for j, c in itertools.product(range(x.shape[1]), range(10)) if c in x[:, j]]
    return max(stump(x[:, j] <= c) + stump(x[:, j] > c) for j, c in everybody)


def test_the_tree_is_the_best_of_all_trees() -> None:
    for seed in range(10):
        generator = np.random.default_rng(seed)
        x, reward = generator.integers(0, 6, size=(80, 3)).astype(float), generator.normal(size=80)
        tree = fit_policy_tree(x, reward, np.ones(80))
        assert reward[tree.decide(x)].sum() == pytest.approx(exhaustively(x, reward))


def test_a_rule_in_words_decides_as_the_tree_does() -> None:
    tree = PolicyTree((0, 1, 2), (1.0, 2.0, 3.0), (True, False, True, True))
    assert tree.rule(("age", "visits", "spend")) == "treat where age <= 1 and visits <= 2, or where age > 1"
    x = np.array([[1.0, 2.0, 9.0], [1.0, 2.1, 9.0], [1.1, 9.0, 3.0], [1.1, 9.0, 3.1]])
    assert tree.decide(x).tolist() == [True, False, True, True]
    assert PolicyTree((0, 0, 0), (0.0, 0.0, 0.0), (False,) * 4).rule("a") == "treat nobody"


def test_the_tree_keeps_the_budget_and_finds_the_planted_rule() -> None:
    reward = np.where((X[:, 0] > 0) & (X[:, 2] > 0), 1.0, -1.0) + 0.3 * GENERATOR.normal(size=N)
    free = decide(scores=reward, effect=reward)
    assert free.tree is not None
    assert "a >" in free.tree.rule and "c >" in free.tree.rule
    assert free.tree.share == pytest.approx(0.25, abs=0.05)
    assert free.tree.value.effect == pytest.approx(0.25, abs=0.05)
    bound = fit_policy_tree(X, reward, np.ones(N), most_share=0.1)
    assert 0 < bound.decide(X).mean() <= 0.1


def test_a_tree_through_noise_is_worth_nothing_where_it_is_valued() -> None:
    """In sample a depth-two tree of ten columns always looks worth something; the value served is out of fold."""
    generator = np.random.default_rng(4)
    served, in_sample = [], []
    for _ in range(20):
        x, reward = generator.normal(size=(300, 6)), generator.normal(size=300)
        found = policy(reward, reward, np.arange(300) % 2 == 0, folds=np.arange(300) % 5, x=x, columns="abcdef").tree
        assert found is not None and found.value.effect is not None
        served.append(found.value.effect)
        in_sample.append(np.where(fit_policy_tree(x, reward, np.ones(300)).decide(x), reward, 0).mean())
    assert np.mean(in_sample) > 0.1
    assert np.mean(served) == pytest.approx(0, abs=3.5 * np.std(served) / np.sqrt(20))
