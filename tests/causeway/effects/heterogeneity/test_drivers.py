"""Contributions add up to the effects, name what moves them, and are silent where nothing does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from causeway.effects.heterogeneity.cate import Cate, fit_cate
from causeway.effects.heterogeneity.drivers import TOLERANCE, drivers
from causeway.effects.heterogeneity.scores import Scores, scores_of


def fitted(world: Any, learner: str) -> tuple[Cate, list[Scores]]:
    splits = [scores_of(world.outcome, world.treated, world.nuisances)]
    return fit_cate(world.x, world.treated, splits, constant=0.5, learners=[learner], seed=1), splits  # type: ignore[list-item]


@pytest.mark.parametrize("learner", ["r_boosted", "dr_boosted", "r_linear"])
def test_contributions_add_up_to_the_effects_out_of_fold(world_with_slopes: Any, learner: str) -> None:
    cate, splits = fitted(world_with_slopes, learner)
    found = drivers(cate, world_with_slopes.x, world_with_slopes.columns, splits)
    assert found.status == "ok" and found.units is not None
    assert found.contributions is not None and found.base is not None
    total = found.contributions.sum(axis=1) + found.base
    assert np.abs(total - cate.effect[found.units]).max() <= TOLERANCE * cate.effect.std()
    assert [driver.column for driver in found.drivers[:2]] == ["x0", "x1"]
    assert [driver.direction for driver in found.drivers[:2]] == ["rises", "falls"]
    assert sum(driver.share for driver in found.drivers) == pytest.approx(1)


def test_trees_agree_with_shap_itself(world_with_a_kink: Any) -> None:
    import shap

    cate, _ = fitted(world_with_a_kink, "r_boosted")
    stage: Any = cate.model.stages[0][0]
    z = cate.model.scale.apply(world_with_a_kink.x[:50])
    reference = stage.scale * shap.TreeExplainer(stage.trees).shap_values(z)
    assert stage.contributions(z)[:, :-1] == pytest.approx(reference, abs=1e-4)


def test_a_sample_explains_itself(world_with_a_kink: Any) -> None:
    cate, splits = fitted(world_with_a_kink, "r_boosted")
    found = drivers(cate, world_with_a_kink.x, world_with_a_kink.columns, splits, units=300, seed=5)
    again = drivers(cate, world_with_a_kink.x, world_with_a_kink.columns, splits, units=300, seed=5)
    assert found.units is not None and again.units is not None
    assert len(found.units) == 300 and (found.units == again.units).all()
    assert found.drivers == again.drivers and found.drivers[0].column == "x0"


def test_one_effect_has_no_drivers_and_a_gap_has_no_contributions(
    world_with_one_effect: Any, world_with_slopes: Any
) -> None:
    cate, splits = fitted(world_with_one_effect, "r_boosted")
    found = drivers(cate, world_with_one_effect.x, world_with_one_effect.columns, splits)
    assert found.status == "ok" and found.drivers == () and "no drivers" in found.reason
    cate, splits = fitted(world_with_slopes, "r_boosted")
    off = replace(cate, effect=cate.effect + 0.01 * cate.effect.std())
    found = drivers(off, world_with_slopes.x, world_with_slopes.columns, splits)
    assert found.status == "not_estimable" and found.drivers == () and found.contributions is None


def test_a_forest_has_effects_but_no_drivers(world_with_slopes: Any) -> None:
    cate, splits = fitted(world_with_slopes, "causal_forest")
    assert cate.learner == "causal_forest"
    found = drivers(cate, world_with_slopes.x, world_with_slopes.columns, splits)
    assert found.status == "not_estimable" and "causal_forest" in found.reason
