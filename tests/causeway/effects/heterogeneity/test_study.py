"""The whole answer: JSON, silent where nothing differs, honest about what is extrapolated."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from causeway.effects.heterogeneity.policy import Budget
from causeway.effects.heterogeneity.study import Heterogeneity, heterogeneity
from causeway.effects.heterogeneity.support import Support, without_counterpart


def ask(world: Any, **changes: Any) -> Heterogeneity:
    given = {"nuisances": world.nuisances, "columns": world.columns, "seed": 1, **changes}
    return heterogeneity(world.outcome, world.treated, world.x, **given)


def test_the_answer_is_json_and_says_what_there_is(world_with_a_kink: Any) -> None:
    world = world_with_a_kink
    segment = np.where(world.x[:, 0] > 0, "high", "low")
    found = ask(world, segments={"x0": segment}, budget=Budget(share=0.3, cost=0.2))
    document = found.as_document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["beats_constant"] and document["status"] == "ok"
    assert document["sd_effect"] == pytest.approx(world.effect.std(), rel=0.15)
    assert document["average_effect"]["effect"] == pytest.approx(world.effect.mean(), abs=0.12)
    assert document["drivers"]["drivers"][0]["column"] == "x0"
    groups = document["groups"]["groups"]
    assert [group["group"] for group in groups] == ["0-20 %", "20-40 %", "40-60 %", "60-80 %", "80-100 %"]
    assert groups[-1]["effect"]["effect"] > groups[0]["effect"]["effect"] + 1
    low_and_high = document["segments"]["x0"]["groups"]
    assert [group["group"] for group in low_and_high] == ["high", "low"]
    assert document["segments"]["x0"]["p_value"] < 1e-6
    assert document["uplift"]["p_value"] == 1 / 200
    assert document["policy"]["share"] == pytest.approx(0.3, abs=0.001)
    assert document["policy"]["over_random"]["ci_low"] > 0


def test_one_effect_for_everybody_says_so_everywhere(world_with_one_effect: Any) -> None:
    found = ask(world_with_one_effect, budget=Budget(cost=0.1))
    document = found.as_document()
    assert not document["beats_constant"] and document["learner"] == "constant"
    assert document["sd_effect"] == 0 and document["groups"] is None
    assert document["uplift"]["status"] == "not_estimable" and document["drivers"]["drivers"] == []
    assert "one effect for everybody" in document["drivers"]["reason"]
    # Worth its cost for one is worth its cost for all.
    assert document["policy"]["share"] == 1.0
    units = found.unit_columns()
    inside = [low for low, out in zip(units["ci_low"], units["extrapolated"], strict=True) if not out]
    assert set(inside) == {found.average_effect.ci_low}
    assert document["settings"]["interval_of"] == "average effect"


def test_intervals_of_units_cover_the_average_effect_of_their_like(world_with_a_kink: Any) -> None:
    found = ask(world_with_a_kink)
    units = found.unit_columns()
    place = found.group_of_unit
    held = []
    for group in range(place.max() + 1):
        unit = int(np.flatnonzero(place == group)[0])
        truth = world_with_a_kink.effect[place == group].mean()
        held.append(units["ci_low"][unit] <= truth <= units["ci_high"][unit])
    assert len(held) == 10 and sum(held) >= 8


def test_units_without_a_counterpart_are_extrapolated_and_have_no_interval(worlds: Any) -> None:
    world = worlds(2_000, 6, "two_slopes")
    x = world.x.copy()
    # Nobody untreated has ever been seen out there.
    far = np.flatnonzero(world.treated)[:50]
    x[far, 3] = 30.0
    propensity = world.nuisances.propensity.copy()
    certain = np.flatnonzero(~world.treated)[:20]
    propensity[certain] = 1e-4
    found = ask(replace(world, x=x), nuisances=replace(world.nuisances, propensity=propensity))
    units = found.unit_columns()
    assert found.extrapolated[far].all() and found.extrapolated[certain].all()
    assert found.share_extrapolated < 0.05
    assert all(units["ci_low"][unit] is None and units["ci_high"][unit] is None for unit in [*far, *certain])
    ordinary = int(np.flatnonzero(~found.extrapolated)[0])
    assert units["ci_low"][ordinary] < units["ci_high"][ordinary]


def test_support_is_where_both_arms_are() -> None:
    x = np.arange(101.0)[:, None]
    support = Support.of(x, x[:, 0] < 90)
    assert support.outside(np.array([[50.0], [-20.0], [89.0], [99.0]])).tolist() == [True, True, False, True]
    rare = np.arange(1_000) < 5
    assert not without_counterpart(np.full(1_000, 0.005), rare).any()
    assert without_counterpart(np.full(1_000, 0.005), np.arange(1_000) < 500).all()


def test_the_same_answer_under_any_number_of_jobs(world_with_slopes: Any) -> None:
    one, two = ask(world_with_slopes), ask(world_with_slopes, n_jobs=2)
    assert one.as_document() == two.as_document()
    assert one.unit_columns() == two.unit_columns()


def test_clusters_widen_what_they_should(worlds: Any) -> None:
    world = worlds(500, 7, "two_slopes")
    copies = np.repeat(np.arange(500), 4)
    given = world.nuisances
    nuisances = type(given)(
        given.folds[copies], given.propensity[copies], given.outcome_control[copies], given.outcome_treated[copies]
    )
    many = replace(
        world, outcome=world.outcome[copies], treated=world.treated[copies], x=world.x[copies], nuisances=nuisances
    )
    told, untold = ask(many, clusters=copies, learners=["r_linear"]), ask(many, learners=["r_linear"])
    for name in ("average_effect", "sd_effect"):
        assert getattr(told, name) is not None
    assert told.average_effect.std_error == pytest.approx(2 * untold.average_effect.std_error, rel=0.03)
    for a, b in (
        (told.policy.value, untold.policy.value),
        (told.uplift.qini, untold.uplift.qini),
        (told.best_linear_projection.slopes[0].slope, untold.best_linear_projection.slopes[0].slope),
        (told.groups.groups[0].effect, untold.groups.groups[0].effect),
    ):
        assert a.std_error == pytest.approx(2 * b.std_error, rel=0.06)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"columns": ("a",)}, "do not fit"),
        ({"nuisances": []}, "at least"),
        ({"weights": -np.ones(2_000)}, "weights"),
    ],
)
def test_what_makes_no_sense_is_refused(world_with_slopes: Any, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask(world_with_slopes, **wrong)
    with pytest.raises(ValueError, match="finite"):
        ask(replace(world_with_slopes, x=np.full((2_000, 4), np.nan)))
    with pytest.raises(ValueError, match="both arms"):
        ask(replace(world_with_slopes, treated=np.ones(2_000, dtype=bool)))
    with pytest.raises(ValueError, match="true or false"):
        ask(replace(world_with_slopes, treated=world_with_slopes.treated.astype(float)))
