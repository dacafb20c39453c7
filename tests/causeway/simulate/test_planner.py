"""The planner world: what landed agrees with the truth that came with it."""

import datetime as dt
import json
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from causeway.declarations.experiment import ExperimentDeclaration
from causeway.simulate import SimulatedWorld, planner_world
from causeway.simulate.records import ASSIGNMENT_COLUMNS, EVENT_COLUMNS
from causeway.statistics.sample_ratio import sample_ratio_test

WORLD_COUNT = 200

Measured = Callable[[SimulatedWorld, str], pl.DataFrame]
Declared = Callable[[str], dict[str, ExperimentDeclaration]]


def property_of(name: str) -> pl.Expr:
    return pl.col("properties").str.json_path_match(f"$.{name}")


@pytest.fixture(scope="module")
def world() -> SimulatedWorld:
    return planner_world()


def test_same_seed_gives_the_same_world_and_another_seed_another(world: SimulatedWorld) -> None:
    again = planner_world()
    assert again.events.equals(world.events)
    assert again.assignments.equals(world.assignments)
    assert again.truth == world.truth
    assert not planner_world(2).assignments.equals(world.assignments)


def test_scale_multiplies_the_households() -> None:
    for scale, households in ((1.0, 60), (3.0, 180)):
        simulated = planner_world(scale=scale, households=60)
        assert simulated.assignments.height == households
        assert simulated.events["unit_id"].n_unique() == households


def test_records_are_well_formed(world: SimulatedWorld) -> None:
    assert tuple(world.events.columns) == EVENT_COLUMNS
    assert tuple(world.assignments.columns) == ASSIGNMENT_COLUMNS
    for frame in (world.events, world.assignments):
        assert frame["event_id"].is_unique().all()
        assert frame["occurred_at"].is_sorted()
        assert (frame["sent_at"] >= frame["occurred_at"]).all()
        assert all(isinstance(json.loads(properties), dict) for properties in frame["properties"])
    assert set(world.assignments["unit_id"]) == set(world.events.filter(pl.col("type") == "profile")["unit_id"])


def test_every_plan_is_generated_before_it_is_edited_or_accepted(world: SimulatedWorld) -> None:
    plans = world.events.filter(pl.col("type") != "profile").select(
        "type", "unit_id", "occurred_at", plan=property_of("plan_id")
    )
    generated = plans.filter(pl.col("type") == "plan_generated")
    answers = plans.filter(pl.col("type") != "plan_generated").join(generated, on=["plan", "unit_id"])
    assert generated["plan"].is_unique().all()
    assert answers.height == plans.height - generated.height
    assert (answers["occurred_at"] >= answers["occurred_at_right"]).all()


def test_plans_carry_the_assigned_policy_from_the_assignment_on(world: SimulatedWorld) -> None:
    assigned = world.assignments.select("unit_id", at="occurred_at", theirs=property_of("policy_version"))
    plans = (
        world.events.filter(pl.col("type") != "profile")
        .with_columns(policy=property_of("policy_version"))
        .join(assigned, on="unit_id")
    )
    # An answer is recorded under the policy that made the plan, at the moment of the answer.
    answers = plans.filter(pl.col("type") != "plan_generated")
    after = pl.col("occurred_at") >= pl.col("at")
    assert (answers.filter(after)["policy"] == answers.filter(after)["theirs"]).all()
    assert answers.filter(~after)["policy"].unique().to_list() == ["planner-1.4.0"]
    baseline_only = plans.filter(~after)["policy"].unique().to_list()
    assert baseline_only == ["planner-1.4.0"]


def test_values_are_missing_and_counts_skewed(world: SimulatedWorld, measured: Measured) -> None:
    profiles = world.events.filter(pl.col("type") == "profile")
    assert 0.02 < profiles["properties"].str.contains('"tenure_days":null').mean() < 0.09
    edits = measured(world, "planner_policy")["edits"].to_numpy()
    assert edits.var() > 3 * edits.mean()


def test_difference_in_means_is_unbiased_for_the_truth_over_many_worlds(measured: Measured) -> None:
    rows = []
    for seed in range(WORLD_COUNT):
        small = planner_world(seed, households=120)
        frame = measured(small, "planner_policy")
        row = {}
        for true in small.truth.experiments["planner_policy"].effects:
            if true.segment not in (None, "diet=omnivore"):
                continue
            inside = frame if true.segment is None else frame.filter(pl.col("diet") == "omnivore")
            means = [
                inside.filter(pl.col("variant") == arm)[true.metric].mean() for arm in (true.variant, true.control)
            ]
            row[f"{true.metric} {true.variant} {true.segment}"] = means[0] - means[1] - true.effect
        rows.append(row)
    errors = pl.DataFrame(rows)
    for question in errors.columns:
        error = errors[question].to_numpy()
        monte_carlo_error = error.std(ddof=1) / np.sqrt(WORLD_COUNT)
        assert abs(error.mean()) < 3 * monte_carlo_error, (question, error.mean(), monte_carlo_error)


def test_v3_gains_more_acceptances_than_v2_but_hurts_the_guardrail(world: SimulatedWorld) -> None:
    truth = world.truth.experiments["planner_policy"]
    assert truth.find("accepted_plans", "policy_v3").effect > truth.find("accepted_plans", "policy_v2").effect > 0
    assert truth.find("edits", "policy_v2").effect < 0 < truth.find("edits", "policy_v3").effect


def test_declaration_and_truth_speak_of_the_same_metrics_variants_and_segments(
    world: SimulatedWorld, declared: Declared
) -> None:
    declaration = declared("experiments")["planner_policy"]
    effects = world.truth.experiments["planner_policy"].effects
    assert declaration.tenant == world.tenant
    assert {true.metric for true in effects} == {metric.key for metric in declaration.metrics}
    assert {true.variant for true in effects} | {declaration.control} == set(declaration.variants)
    assert {true.segment.split("=")[0] for true in effects if true.segment} == set(declaration.segments)
    days = world.assignments["occurred_at"].dt.date()
    assert declaration.start == days.min()
    assert declaration.end is not None
    assert days.max() + dt.timedelta(days=56) <= declaration.end
    counts = dict(world.assignments["variant"].value_counts().iter_rows())
    assert sample_ratio_test(counts, declaration.variants).passed
