"""A meal-planner world: households, the plans made for them, and a trial of three planner policies.

A planner makes plans for each household; the household edits, accepts or drops each of them within minutes.
In `planner_policy` (from day 91) `policy_v2` is accepted more and needs fewer edits; `policy_v3` is accepted
more still, but needs more edits, which is what the guardrail is for. Which plans are made does not depend on
the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from causeway.simulate.arrivals import Arrivals, Season, arrive
from causeway.simulate.randomness import (
    Streams,
    forget,
    frailty,
    levels,
    negative_binomial,
    pick,
    scaled,
    values_at,
)
from causeway.simulate.records import Recorder, identifiers, in_order
from causeway.simulate.truth import ExperimentTruth, SimulatedWorld, WorldTruth, average_effects

DAYS = 182
DIETS = {"omnivore": 0.55, "vegetarian": 0.25, "vegan": 0.10, "low_carb": 0.10}
REGIONS = {"north": 0.3, "south": 0.3, "east": 0.2, "west": 0.2}
SIZES = {"1": 0.22, "2": 0.33, "3": 0.18, "4": 0.17, "5": 0.07, "6": 0.03}
DIET_LOGIT = {"omnivore": 0.1, "vegetarian": 0.0, "vegan": -0.4, "low_carb": -0.2}

EXPERIMENT, TRIAL_START, ENROLMENT, WINDOW = "planner_policy", 91.0, 14.0, 56.0
POLICIES = {"baseline": 1.0, "policy_v2": 1.0, "policy_v3": 1.0}
POLICY_VERSIONS = ("planner-1.4.0", "planner-2.0.0", "planner-3.0.0-rc1")
# Added to the chance that a plan is accepted, by policy and diet; v2 was trained on plant-based plans.
ACCEPTANCE_LIFT = (
    {"omnivore": 0.0, "vegetarian": 0.0, "vegan": 0.0, "low_carb": 0.0},
    {"omnivore": 0.06, "vegetarian": 0.12, "vegan": 0.16, "low_carb": 0.04},
    {"omnivore": 0.14, "vegetarian": 0.10, "vegan": 0.08, "low_carb": 0.12},
)
EDITS_FACTOR = (1.0, 0.8, 1.35)


@dataclass(frozen=True)
class _Households:
    """Traits of the households, one element each; `plans` is per average day, `edits` is per plan."""

    unit_ids: pl.Series
    members: NDArray[np.int64]
    diet: NDArray[np.intp]
    region: NDArray[np.intp]
    tenure_days: NDArray[np.int64]
    plans: NDArray[np.float64]
    accepts: NDArray[np.float64]
    edits: NDArray[np.float64]

    @property
    def segments(self) -> dict[str, pl.Series]:
        return {"diet": levels(DIETS, self.diet)}

    def accepts_under(self, policy: int) -> NDArray[np.float64]:
        """Chance that a plan of this policy is accepted."""
        return self.accepts + values_at(ACCEPTANCE_LIFT[policy], self.diet)


@dataclass(frozen=True)
class _Trial:
    """Who was enrolled when, and in which arm (position in POLICIES)."""

    day: NDArray[np.float64]
    policy: NDArray[np.intp]


def planner_world(
    seed: int = 1,
    scale: float = 1.0,
    *,
    households: int = 2000,
    start: date = date(2024, 1, 1),
) -> SimulatedWorld:
    """Simulate the planner world.

    seed: the same seed and size give the same world, row for row. scale: multiplies the households. start:
    first day of the 182 days; profiles lie in the month before. ValueError if the size or the scale is not
    positive.

    >>> planner_world(seed=1, households=50).tenant
    'planner'
    """
    streams = Streams(seed)
    record = Recorder("planner_world", start, streams)
    season = Season.of_year(start, DAYS, amplitude=0.15, peak_day=15.0, weekend=1.6)

    household = _households(streams, scaled(households, scale))
    trial = _randomise(streams, len(household.unit_ids))
    decisions = arrive(streams["plans"], streams["plan times"], season, household.plans)

    events = in_order(
        [
            _profiles(streams, record, household),
            *_plans(streams, record, household, trial, decisions),
        ]
    )
    assignments = in_order(
        [
            record.assignments(
                EXPERIMENT,
                household.unit_ids,
                trial.day,
                levels(POLICIES, trial.policy),
                {"policy_version": pl.Series(POLICY_VERSIONS).gather(trial.policy)},
            )
        ]
    )
    truth = WorldTruth(experiments={EXPERIMENT: _policy_truth(season, household, trial)}, studies={})
    return SimulatedWorld("planner", events, assignments, truth)


def _households(streams: Streams, size: int) -> _Households:
    rng = streams["households"]
    members = 1 + pick(rng, SIZES, size).astype(np.int64)
    diet = pick(rng, DIETS, size)
    logit = -0.3 + values_at(DIET_LOGIT, diet) + 0.1 * (members - 3) + rng.normal(0, 0.5, size)
    return _Households(
        unit_ids=identifiers("household", size, 6),
        members=members,
        diet=diet,
        region=pick(rng, REGIONS, size),
        tenure_days=np.maximum(np.rint(rng.lognormal(5.0, 1.0, size)), 1).astype(np.int64),
        plans=1 / 7 * np.exp(0.1 * (members - 3)) * frailty(streams["plan frailty"], 4.0, size),
        # The cap leaves room for the largest lift: a chance cut off at 1 would falsify the truth.
        accepts=np.clip(1 / (1 + np.exp(-logit)), 0.05, 0.80),
        edits=1.2 * frailty(streams["edit frailty"], 3.0, size),
    )


def _randomise(streams: Streams, size: int) -> _Trial:
    rng = streams[f"assignment:{EXPERIMENT}"]
    return _Trial(day=TRIAL_START + rng.random(size) * ENROLMENT, policy=pick(rng, POLICIES, size))


def _profiles(streams: Streams, record: Recorder, household: _Households) -> pl.DataFrame:
    rng = streams["profiles"]
    return record.events(
        "profile",
        "household_profile",
        household.unit_ids,
        -30 + 29 * rng.random(len(household.unit_ids)),
        {
            "household_size": household.members,
            **household.segments,
            "region": levels(REGIONS, household.region),
            "tenure_days": forget(rng, pl.Series(household.tenure_days), 0.05),
        },
    )


def _plans(
    streams: Streams, record: Recorder, household: _Households, trial: _Trial, decisions: Arrivals
) -> list[pl.DataFrame]:
    """Generated, edited and accepted plans.

    Edits and acceptance are recorded when the household decides; the policy of a plan is the one in force at
    that moment.
    """
    rng = streams["plan properties"]
    unit, decided = decisions.unit, decisions.day
    count = len(unit)
    in_trial = decided >= trial.day[unit]
    policy = np.where(in_trial, trial.policy[unit], 0)
    # A plan made under the new policy cannot have been made before the household was given that policy.
    earliest = np.where(in_trial, trial.day[unit], 0.0)
    generated = np.maximum(decided - rng.exponential(0.01, count), earliest)

    chance = np.stack([household.accepts_under(arm) for arm in range(len(POLICIES))])[policy, unit]
    accepted = streams["acceptance"].random(count) < chance
    edits = negative_binomial(streams["edits"], household.edits[unit] * np.array(EDITS_FACTOR)[policy], 1.5)
    edited = edits > 0

    unit_ids = household.unit_ids.gather(unit)
    plan_ids = identifiers("plan", count, 8)
    version = pl.Series(POLICY_VERSIONS).gather(policy)
    minutes = np.round((decided - generated) * 1440, 1)
    rating = forget(rng, pl.Series(rng.integers(1, 6, count)), 0.6)
    return [
        record.events(
            "plan_generated",
            "generated",
            unit_ids,
            generated,
            {
                "plan_id": plan_ids,
                "policy_version": version,
                "meals": 3 + rng.poisson(2, count),
                "latency_ms": forget(rng, pl.Series(np.round(rng.lognormal(6.5, 0.5, count), 1)), 0.02),
            },
        ),
        record.events(
            "plan_edited",
            "edited",
            unit_ids.filter(pl.Series(edited)),
            decided[edited],
            {
                "plan_id": plan_ids.filter(pl.Series(edited)),
                "policy_version": version.filter(pl.Series(edited)),
                "edits": edits[edited],
            },
        ),
        record.events(
            "plan_accepted",
            "accepted",
            unit_ids.filter(pl.Series(accepted)),
            decided[accepted],
            {
                "plan_id": plan_ids.filter(pl.Series(accepted)),
                "policy_version": version.filter(pl.Series(accepted)),
                "minutes_to_accept": minutes[accepted],
                "rating": rating.filter(pl.Series(accepted)),
            },
        ),
    ]


def _policy_truth(season: Season, household: _Households, trial: _Trial) -> ExperimentTruth:
    plans = household.plans * season.mass(trial.day, trial.day + WINDOW)
    accepted = [plans * household.accepts_under(arm) for arm in range(len(POLICIES))]
    expected = {
        "accepted_plans": accepted,
        # Acceptances are a thinned Poisson process: the chance of none is exp(-mean).
        "accepted": [1 - np.exp(-mean) for mean in accepted],
        "edits": [plans * household.edits * factor for factor in EDITS_FACTOR],
    }
    control, *variants = POLICIES
    return ExperimentTruth(
        tuple(
            effect
            for metric, (baseline, *means) in expected.items()
            for effect in average_effects(
                metric, (control, baseline), dict(zip(variants, means, strict=True)), household.segments
            )
        )
    )
