"""Folds, learners and out-of-fold predictions: honest, reproducible, and what they say they are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from causeway.effects.estimators.aipw import aipw
from causeway.effects.folds import deal_folds
from causeway.effects.influence import Array, Flags
from causeway.effects.learners import BoostedTrees, Mean, Quadratic, Squares, learners_for, own_and_curved
from causeway.effects.nuisances import Nuisances, fit_nuisances
from causeway.effects.problem import Problem

FAST = {
    "propensity": (Quadratic(),),
    "outcome_control": (Mean(), Quadratic()),
    "outcome_treated": (Quadratic(), BoostedTrees((5, 10), 2, 0.3)),
}


def world(n: int = 240, seed: int = 0) -> tuple[Array, Flags, Array]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 2))
    t = generator.random(n) < 1 / (1 + np.exp(-x[:, 0]))
    return t + x[:, 0] + generator.normal(size=n), t, x


def fitted(y: Array, t: Flags, x: Array, **more: Any) -> Nuisances:
    given = more.pop("given", FAST)
    return fit_nuisances(outcome=y, treated=t, x=x, seeds=[7], given=given, **more)[0]


# folds


def test_folds_have_the_same_share_of_both_arms() -> None:
    _, t, _ = world(237)
    folds = deal_folds(t, 5, seed=3)
    for arm in (t, ~t):
        sizes = np.bincount(folds[arm], minlength=5)
        assert sizes.max() - sizes.min() <= 1


def test_clusters_stay_whole_and_fill_folds_evenly() -> None:
    generator = np.random.default_rng(0)
    clusters = generator.integers(0, 60, 500) + 1000
    t = (clusters % 3 == 0) | (generator.random(500) < 0.1)
    folds = deal_folds(t, 5, seed=3, clusters=clusters)
    assert all(len(set(folds[clusters == each])) == 1 for each in np.unique(clusters))
    for arm in (t, ~t):
        sizes = np.bincount(folds[arm], minlength=5)
        assert sizes.min() > 0.6 * sizes.max()


def test_folds_depend_on_the_seed_alone() -> None:
    _, t, _ = world()
    assert (deal_folds(t, 5, seed=1) == deal_folds(t, 5, seed=1)).all()
    assert (deal_folds(t, 5, seed=1) != deal_folds(t, 5, seed=2)).any()


def test_an_arm_of_one_unit_or_cluster_cannot_be_split() -> None:
    y, _, x = world()
    one = np.arange(len(y)) == 0
    with pytest.raises(ValueError, match="two units, or clusters"):
        fitted(y, one, x)
    half = np.arange(len(y)) < len(y) // 2
    with pytest.raises(ValueError, match="two units, or clusters"):
        fitted(y, half, x, clusters=half.astype(np.int64))


# learners


def test_a_declared_square_and_a_copy_add_nothing() -> None:
    _, _, x = world()
    flag = (x[:, 1] > 0).astype(float)
    columns = np.column_stack([x[:, 0], flag, x[:, 0] ** 2, 3 * x[:, 0] + 1, 1 - flag])
    assert own_and_curved(columns) == ((0, 1), (0,))
    basis = Squares.of(columns)
    assert basis(columns).shape == (len(x), 3)


def test_squares_are_standardised_by_those_they_were_made_of_and_bounded() -> None:
    _, _, x = world()
    basis = Squares.of(x)
    assert basis(x)[:, :2] == pytest.approx((x - x.mean(0)) / x.std(0))
    assert basis(np.full((1, 2), 1e9)).tolist() == [[10.0, 10.0, 100.0, 100.0]]


@pytest.mark.parametrize("kind", ["regression", "probability"])
def test_learners_are_deterministic_and_cope_with_nothing_to_learn(kind: Any) -> None:
    y, t, x = world()
    target = t.astype(float) if kind == "probability" else y
    for learner in learners_for(*x.shape, kind):
        once, again = (learner.fit(x, target, None, kind, 5)(x) for _ in range(2))
        assert (once == again).all()
        assert once.shape == (len(x), len(learner.variants))
        constant = learner.fit(x, np.ones(len(x)), None, kind, 5)(x)
        assert constant == pytest.approx(np.ones_like(constant))
        without = learner.fit(x[:, :0], target, None, kind, 5)(x[:, :0])
        assert without == pytest.approx(np.full_like(without, target.mean()))


def test_some_variants_of_trees_predict_what_they_did_among_all() -> None:
    y, _, x = world()
    trees = BoostedTrees((5, 10, 20), 2, 0.3)
    some = trees.only((0, 1)).fit(x, y, None, "regression", 1)(x)
    assert (some == trees.fit(x, y, None, "regression", 1)(x)[:, :2]).all()


def test_quadratic_learns_a_parabola_that_a_line_cannot() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(500, 1))
    y = x[:, 0] ** 2
    predicted = Quadratic().fit(x, y, None, "regression", 0)(x)[:, 0]
    assert 1 - np.var(y - predicted) / np.var(y) > 0.999


def test_products_are_learnt_where_there_is_nothing_else_to_learn() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2, 1_000, 3))
    y = x[..., 0] * x[..., 1]
    errors = {}
    for learner in (Quadratic(), Quadratic(products=True)):
        predicted = learner.fit(x[0], y[0], None, "regression", 0)(x[1])[:, 0]
        errors[learner.variants[0]] = np.var(y[1] - predicted) / np.var(y[1])
    assert errors["quadratic"] > 0.95
    assert errors["quadratic with products"] < 1e-3


@pytest.mark.parametrize(
    ("n", "p", "have"),
    [(650, 10, True), (649, 10, False), (49_999, 10, True), (50_000, 10, False), (40_000, 30, False), (900, 1, False)],
)
def test_products_are_tried_where_units_suffice_and_trees_do_not(n: int, p: int, have: bool) -> None:
    assert (Quadratic(products=True) in learners_for(n, p, "probability")) == have
    assert Quadratic(products=True) not in learners_for(n, p, "regression")


def test_a_product_that_confounds_is_adjusted_for() -> None:
    generator = np.random.default_rng(4)
    x = generator.uniform(-1, 1, size=(2_000, 4))
    t = generator.random(2_000) < 1 / (1 + np.exp(-3 * x[:, 0] * x[:, 1]))
    y = t + 4 * x[:, 0] * x[:, 1] + generator.normal(size=2_000)
    assert y[t].mean() - y[~t].mean() > 1.5
    nuisances = fit_nuisances(outcome=y, treated=t, x=x, seeds=[1])[0]
    assert nuisances.chosen["propensity"]["learners"]["quadratic with products"] > 0.5
    found = aipw(y, t, nuisances)
    assert abs(found.effect - 1) < 3 * found.std_error < 0.2


def test_products_that_add_next_to_nothing_have_no_weight() -> None:
    y, t, x = world(2_000)
    told = fit_nuisances(outcome=y, treated=t, x=x, seeds=[1])[0].chosen["propensity"]
    assert "quadratic with products" in told["losses"]
    assert "quadratic with products" not in told["learners"]


# out of fold


def test_a_prediction_does_not_know_the_units_own_outcome() -> None:
    """With learners named beforehand not through the weights either."""
    y, t, x = world()
    before = fitted(y, t, x)
    changed = y.copy()
    changed[11] += 1000
    after = fitted(changed, t, x)
    own = before.folds == before.folds[11]
    for name in ("outcome_control", "outcome_treated"):
        assert (getattr(before, name)[own] == getattr(after, name)[own]).all()
    arm = "outcome_treated" if t[11] else "outcome_control"
    assert (getattr(before, arm)[~own] != getattr(after, arm)[~own]).any()
    assert (before.propensity == after.propensity).all()


def test_a_known_propensity_is_used_and_not_learnt() -> None:
    y, t, x = world()
    known = np.random.default_rng(0).uniform(0.2, 0.8, len(y))
    found = fitted(y, t, x, known_propensity=known)
    assert (found.propensity == known).all()
    assert set(found.chosen) == {"outcome_control", "outcome_treated"}


def test_weights_of_learners_add_up_to_one_and_losses_are_told() -> None:
    y, t, x = world()
    found = fitted(y, t, x, given=None)
    for told in found.chosen.values():
        shares = list(told["learners"].values())
        assert sum(shares) == pytest.approx(1.0)
        assert min(shares) >= 0.0
        assert set(told["learners"]) <= set(told["losses"])


def test_given_learners_are_used_with_equal_weights() -> None:
    y, t, x = world()
    found = fitted(y, t, x)
    assert found.chosen["outcome_control"]["learners"] == {"mean": 0.5, "quadratic": 0.5}
    mean = fitted(y, t, x, given={**FAST, "outcome_control": (Mean(),)}).outcome_control
    other = found.folds != 0
    assert mean[~other] == pytest.approx(np.full((~other).sum(), y[other & ~t].mean()))


def test_noise_is_answered_with_the_mean() -> None:
    generator = np.random.default_rng(4)
    x, t, y = generator.normal(size=(240, 2)), generator.random(240) < 0.5, generator.normal(size=240)
    shares = fitted(y, t, x, given=None).chosen["outcome_control"]["learners"]
    assert shares.get("mean", 0) > 0.5


@pytest.mark.parametrize("n_jobs,backend", [(2, "threading"), (2, "loky"), (3, "threading")])
def test_the_same_bits_however_it_is_computed(n_jobs: int, backend: str) -> None:
    y, t, x = world()
    clusters = np.arange(len(y)) // 3
    alone, other = (fitted(y, t, x, clusters=clusters, **how) for how in ({}, {"n_jobs": n_jobs, "backend": backend}))
    for name in ("folds", "propensity", "outcome_control", "outcome_treated"):
        assert (getattr(alone, name) == getattr(other, name)).all()


def test_only_the_ratios_of_sampling_weights_matter() -> None:
    """Not to the penalties either: weights that add up to one would leave the trees without a leaf."""
    y, t, x = world()
    w = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    one = fitted(y, t, x, weights=w, given=None)
    for scale in (2.0**20, 2.0**-20):
        other = fitted(y, t, x, weights=scale * w, given=None)
        assert (one.outcome_treated == other.outcome_treated).all()
        assert (one.propensity == other.propensity).all()


def test_a_problem_among_some_units_takes_everything_along() -> None:
    y, t, x = world()
    whole = Problem(y, t, x, ("a", "b"), weights=y**2, clusters=np.arange(len(y)), known_propensity=0.5 + 0 * y)
    rows = x[:, 0] > 0
    some = whole.among(rows)
    assert (some.weights == y[rows] ** 2).all() and (some.clusters == np.flatnonzero(rows)).all()
    assert some.seeds == whole.seeds and replace(whole, seed=1).seeds != whole.seeds


def test_no_prediction_of_an_outcome_of_two_values_lies_beyond_them() -> None:
    y, t, x = world(600)
    rare = (y > 1.8).astype(np.float64)
    found = fit_nuisances(outcome=rare, treated=t, x=x, seeds=[7])[0]
    for predicted in (found.outcome_control, found.outcome_treated):
        assert predicted.min() >= 0 and predicted.max() <= 1
        assert predicted.std() > 0.05


def test_it_does_not_matter_which_two_values_an_outcome_has() -> None:
    y, t, x = world(600)
    rare = (y > 1.8).astype(np.float64)
    one = fit_nuisances(outcome=rare, treated=t, x=x, seeds=[7])[0]
    other = fit_nuisances(outcome=100 - 3 * rare, treated=t, x=x, seeds=[7])[0]
    for name in ("outcome_control", "outcome_treated"):
        assert 100 - 3 * getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-4)
