"""Effects of units are out of fold, the same under any number of jobs, and a constant unless held-out units object."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from causeway.effects.heterogeneity.cate import Cate, fit_cate
from causeway.effects.heterogeneity.scores import scores_of


def fit(world: Any, **changes: Any) -> Cate:
    scores = scores_of(world.outcome, world.treated, changes.pop("nuisances", world.nuisances))
    given = {"constant": float(scores.doubly_robust.mean()), "seed": 1, **changes}
    return fit_cate(world.x, world.treated, [scores], **given)


def test_a_clear_effect_is_found_and_close_to_the_truth(world_with_a_kink: Any) -> None:
    found = fit(world_with_a_kink)
    assert found.beats_constant and found.learner in ("r_boosted", "dr_boosted")
    assert found.p_value < 1e-6 and found.gain > 2 * found.gain_std_error
    assert np.sqrt(np.mean((found.effect - world_with_a_kink.effect) ** 2)) < 0.25
    fresh = np.random.default_rng(9).normal(size=(2_000, 4))
    truth = 0.5 + 1.5 * np.maximum(fresh[:, 0], 0)
    assert np.sqrt(np.mean((found.model.predict(fresh) - truth) ** 2)) < 0.25


def test_a_line_is_chosen_where_the_truth_is_one(world_with_slopes: Any) -> None:
    found = fit(world_with_slopes)
    assert found.learner.endswith("linear")
    assert found.losses[found.learner] == min(found.losses.values())
    assert np.sqrt(np.mean((found.effect - world_with_slopes.effect) ** 2)) < 0.2


def test_one_effect_is_answered_with_one_number(world_with_one_effect: Any) -> None:
    found = fit(world_with_one_effect)
    assert not found.beats_constant and found.learner == "constant"
    assert "no model orders held-out units better than chance" in found.reason
    assert len(np.unique(found.effect)) == 1
    assert found.model.predict(world_with_one_effect.x[:3]) == pytest.approx(found.effect[:3])


def test_no_model_behind_the_effect_of_a_unit_has_seen_its_fold(world_with_a_kink: Any) -> None:
    """Other outcomes in one fold change the effects of all folds but that one."""
    world = world_with_a_kink
    fold = world.nuisances.folds == 2
    other = replace(world, outcome=np.where(fold, world.outcome[::-1], world.outcome))
    for learner in ("r_linear", "r_boosted", "dr_boosted"):
        before, after = fit(world, learners=[learner]), fit(other, learners=[learner])
        assert (before.effect[fold] == after.effect[fold]).all()
        assert (before.effect[~fold] != after.effect[~fold]).mean() > 0.99
        # What is tested in a fold comes from the folds before it alone.
        assert before.ahead is not None and after.ahead is not None
        early = (world.nuisances.folds == 1) | fold
        assert (before.ahead[early] == after.ahead[early]).all()
        assert np.isnan(before.ahead[world.nuisances.folds == 0]).all()


def test_the_same_bits_under_any_number_of_jobs_and_any_backend(worlds: Any) -> None:
    world = worlds(1_000, 3, "a_kink")
    one = fit(world, learners=["r_boosted"], n_jobs=1)
    for jobs, backend in ((2, "threading"), (3, "threading"), (2, "loky")):
        other = fit(world, learners=["r_boosted"], n_jobs=jobs, backend=backend)
        assert (one.effect == other.effect).all() and one.p_value == other.p_value
    assert (one.effect != fit(world, learners=["r_boosted"], seed=2).effect).any()


def test_several_splits_are_averaged(world_with_slopes: Any) -> None:
    world = world_with_slopes
    folds = np.random.default_rng(7).permutation(world.nuisances.folds)
    splits = [
        scores_of(world.outcome, world.treated, given)
        for given in (world.nuisances, replace(world.nuisances, folds=folds))
    ]
    both = fit_cate(world.x, world.treated, splits, constant=0.0, learners=["r_linear"], seed=1)
    apart = [fit_cate(world.x, world.treated, [split], constant=0.0, learners=["r_linear"]) for split in splits]
    assert both.effect == pytest.approx((apart[0].effect + apart[1].effect) / 2)
    assert both.p_value == pytest.approx(min(1, apart[0].p_value + apart[1].p_value))


def test_sampling_weights_move_the_model_as_copies_of_units_do(world_with_slopes: Any) -> None:
    world = world_with_slopes
    weights = np.where(world.x[:, 2] > 0, 3.0, 1.0)
    copies = np.repeat(np.arange(2_000), weights.astype(int))
    weighted = scores_of(world.outcome, world.treated, world.nuisances, weights=weights)
    nuisances = world.nuisances
    repeated = scores_of(
        world.outcome[copies], world.treated[copies],
        type(nuisances)(*(getattr(nuisances, name)[copies] for name in (
            "folds", "propensity", "outcome_control", "outcome_treated"))),
    )  # fmt: skip
    a = fit_cate(world.x, world.treated, [weighted], constant=0.0, learners=["r_linear"])
    b = fit_cate(world.x[copies], world.treated[copies], [repeated], constant=0.0, learners=["r_linear"])
    assert a.losses["constant"] == pytest.approx(b.losses["constant"])
    assert a.effect[copies] == pytest.approx(b.effect, abs=0.06)


def test_what_cannot_be_fitted_is_a_constant_with_a_reason(world_with_slopes: Any, worlds: Any) -> None:
    world = world_with_slopes
    assert fit(replace(world, x=np.ones((2_000, 2)))).status == "no_covariates"
    assert fit(replace(world, x=np.empty((2_000, 0)))).status == "no_covariates"
    assert fit(worlds(60, 1, "two_slopes")).status == "too_few_units"
    explained = replace(world.nuisances, outcome_treated=world.nuisances.outcome_control)
    exact = replace(world, outcome=explained.outcome_control)
    assert fit(exact, nuisances=explained).status == "zero_variance"
    with pytest.raises(ValueError, match="spread over several folds"):
        fit(world, clusters=np.arange(2_000) // 10)
    with pytest.raises(ValueError, match="without gaps"):
        fit(world, nuisances=replace(world.nuisances, folds=world.nuisances.folds + 1))
    with pytest.raises(ValueError, match="each once"):
        fit(world, learners=["r_linear", "r_linear"])
