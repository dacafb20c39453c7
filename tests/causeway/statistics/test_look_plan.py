"""Looks are taken when they were planned, and their intervals are those of the method that was declared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from causeway.statistics.alpha_spending import Spending
from causeway.statistics.confidence_sequence import confidence_sequence
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Effect
from causeway.statistics.group_sequential import GroupSequentialDesign, group_sequential
from causeway.statistics.look_plan import LookPlan
from causeway.statistics.moments import Moments

EFFECT = Effect("ok", 5000, 5000, 10.5, 10.0, 0.5, 0.1, 0.304, 0.696, 6e-7)


def test_a_fixed_horizon_leaves_the_effect_as_it_is() -> None:
    assert LookPlan("fixed_horizon", 10_000).at_look(EFFECT) is EFFECT


def test_always_valid_is_narrowest_at_the_share_of_the_planned_units() -> None:
    plan = LookPlan("always_valid", 30_000, alpha=0.01)
    assert plan.at_look(EFFECT, share=0.5) == confidence_sequence(EFFECT, planned_n=15_000, alpha=0.01)
    assert plan.looks_at([5, 9, 9]) == (0, 1, 2)


def test_clusters_count_for_units() -> None:
    clustered = Effect(
        "ok", 5000, 5000, 10.5, 10.0, 0.5, 0.1, 0.3, 0.7, 1e-6, settings={"clusters": 250, "clusters_control": 250}
    )
    found = LookPlan("always_valid", 20_000).at_look(clustered)
    assert found.ci_low == confidence_sequence(clustered, planned_n=1_000, n=500).ci_low


def test_a_cluster_in_both_arms_counts_once() -> None:
    apart, across = (
        replace(EFFECT, settings={"clusters": 250, "clusters_control": 250, "clusters_in_both": both})
        for both in (0, 200)
    )
    plan = LookPlan("always_valid", 20_000)
    assert plan.at_look(across).settings["n"] == 300
    assert plan.at_look(apart).settings["n"] == 500


def test_a_planned_look_is_that_of_the_design() -> None:
    plan = LookPlan("group_sequential", 20_000, looks=4, spending="pocock")
    found = plan.at_look(EFFECT, fractions=(0.25, 0.5))
    expected = group_sequential(
        EFFECT, design=GroupSequentialDesign(spending=Spending("pocock")), fractions=(0.25, 0.5)
    )
    assert (found.ci_low, found.ci_high, found.p_value) == (expected.ci_low, expected.ci_high, expected.p_value)
    assert (found.settings["look"], found.settings["planned_looks"]) == (2, 4)


def test_before_the_first_planned_look_there_is_no_number() -> None:
    plan = LookPlan("group_sequential", 20_000, looks=4)
    found = plan.at_look(EFFECT)
    assert (found.status, found.n, found.effect) == ("not_estimable", 5000, None)
    empty = Effect("no_units", 0, 3)
    assert plan.at_look(empty) is empty


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ([], ()),
        ([249, 250, 251], (1,)),
        ([100, 600, 700, 1000], (1, 3)),
        ([5000, 6000], (0,)),
        ([250, 250, 500, 749, 750, 1000, 1000, 2000], (0, 2, 4, 5)),
    ],
)
def test_a_planned_look_is_taken_once_its_share_is_reached(units: list[int], expected: tuple[int, ...]) -> None:
    assert LookPlan("group_sequential", 1000, looks=4).looks_at(units) == expected


def test_a_look_without_new_information_is_none() -> None:
    plan = LookPlan("group_sequential", 1000, looks=5)
    assert plan.fractions([200, 200, 150, 400, 1000]) == (0.2, None, None, 0.4, 1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval": "always_valid", "planned_units": 1},
        {"interval": "always_valid", "planned_units": 100, "looks": 3},
        {"interval": "group_sequential", "planned_units": 100},
        {"interval": "group_sequential", "planned_units": 100, "looks": 0},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"planned_units|looks"):
        LookPlan(**wrong)  # type: ignore[arg-type]


def test_planned_looks_keep_the_error_rate_although_outcomes_lag_behind() -> None:
    """Half of the outcomes of a look are only there at the next: what counts is what is measured."""
    rng = np.random.default_rng(20_261_121)
    plan = LookPlan("group_sequential", 2000, looks=4)
    runs, rejected = 400, 0
    for _ in range(runs):
        y, y_control = rng.exponential(size=(2, 1000))
        measured = [125, 375, 625, 875]
        fractions = plan.fractions([2 * n for n in measured])
        looks = [
            plan.at_look(
                difference_in_means(Moments.from_arrays(y[:n]), Moments.from_arrays(y_control[:n])),
                fractions=[each for each in fractions[: position + 1] if each is not None],
                final=position == len(measured) - 1,
            )
            for position, n in enumerate(measured)
        ]
        rejected += any(look.p_value is not None and look.p_value < 0.05 for look in looks)
    assert rejected / runs < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert rejected / runs > 0.02
