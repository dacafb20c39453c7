"""How often 95 % intervals hold the truth, over simulated trials: the library alone, without a database."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.figure import Figure
from causeway.simulate import ExperimentTruth, pharma_world, two_arm_trial
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Effect
from causeway.statistics.moments import Moments
from causeway.statistics.regression_adjustment import adjusted_effect
from causeway.twins.covariates import design_matrix
from causeway.twins.prognostic import fit_prognostic

WORLDS = 200
UNITS = 600
LEVEL = 0.95
# R squared is measured on control units; a treated arm varies in ways that no twin under control can know.
SAVED_OF_PROMISED = 0.8
METHODS = ("difference_in_means", "adjusted", "econml_linear_dml")


@dataclass(frozen=True)
class _Trial:
    """One row a unit: unit, variant, value, the covariates and the segment."""

    frame: pl.DataFrame
    truth: ExperimentTruth
    metric: str
    variant: str
    control: str
    covariates: tuple[str, ...]
    segment: str


@dataclass(frozen=True)
class _World:
    """What one world showed: per method whether each interval held its truth, and how wide the two main ones were."""

    held: Mapping[str, tuple[bool, ...]]
    width: float
    width_adjusted: float
    r_squared: float


def coverage(report: Callable[[str], object]) -> list[Figure]:
    """Coverage per kind of world and method, and the width that the twin saves beside what its R squared promises."""
    figures = []
    # A fresh process each: polars and OpenMP do not survive a fork with their threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=context, initializer=_settle) as pool:
        for kind in _TRIALS:
            report(f"{WORLDS} worlds, {kind}")
            worlds = []
            for world in pool.map(_observe, [kind] * WORLDS, range(1, WORLDS + 1), chunksize=5):
                worlds.append(world)
                if len(worlds) % 50 == 0:
                    report(f"  {len(worlds)} of {WORLDS}")
            figures += _figures(kind, worlds)
    return figures


def _figures(kind: str, worlds: Sequence[_World]) -> Iterator[Figure]:
    for method in METHODS:
        held = [each for world in worlds for each in world.held[method]]
        error = math.sqrt(LEVEL * (1 - LEVEL) / len(held))
        share = sum(held) / len(held)
        yield Figure(
            f"{method}: {kind}, {len(held)} intervals",
            share,
            "share that holds the truth",
            "nominal",
            LEVEL,
            f"0.95 within 3 Monte-Carlo errors of {error:.4f}",
            abs(share - LEVEL) <= 3 * error,
        )
    # Widths over all worlds together: a mean of ratios would lean towards the worlds in which little was known.
    ratio = sum(world.width_adjusted for world in worlds) / sum(world.width for world in worlds)
    promised = sum(math.sqrt(1 - world.r_squared) for world in worlds) / len(worlds)
    yield Figure(
        f"width of adjusted over plain: {kind}",
        ratio,
        "ratio",
        "sqrt(1 - R2) of the twin out of fold",
        promised,
        f"saves at least {SAVED_OF_PROMISED:.0%} of what its anchor promises",
        1 - ratio >= SAVED_OF_PROMISED * (1 - promised),
    )


def _settle() -> None:
    """Once a process: the slow import, before anything is asked of it."""
    import econml.dml  # noqa: F401


def _observe(kind: str, seed: int) -> _World:
    from causeway.effects.segments import segment_effects

    trial = _TRIALS[kind](seed)
    frame, truth = trial.frame, trial.truth
    matrix = design_matrix(frame, trial.covariates)
    values, treated = frame["value"].to_numpy(), (frame["variant"] == trial.variant).to_numpy()
    twin = fit_prognostic(matrix.values, values, ~treated, frame["unit"].to_numpy(), seed=seed)
    if twin.scores is None or twin.r_squared is None:
        raise RuntimeError(f"no twin in world {seed}, {kind}: {twin.status}")

    def moments(rows: np.ndarray) -> Moments:
        return Moments.from_arrays(values[rows], twin.scores[rows])

    plain = difference_in_means(moments(treated), moments(~treated))
    adjusted = adjusted_effect(moments(treated), moments(~treated))
    everybody = truth.find(trial.metric, trial.variant).effect
    by_segment = segment_effects(
        values,
        frame["variant"].to_numpy(),
        frame[trial.segment].to_numpy(),
        matrix.values,
        variants=[trial.control, trial.variant],
        control=trial.control,
        seed=seed,
    )
    return _World(
        held={
            "difference_in_means": (_holds(plain, everybody),),
            "adjusted": (_holds(adjusted, everybody),),
            "econml_linear_dml": tuple(
                _holds(found.effect, truth.find(trial.metric, trial.variant, f"{trial.segment}={found.level}").effect)
                for found in by_segment
            ),
        },
        width=_width(plain),
        width_adjusted=_width(adjusted),
        r_squared=twin.r_squared,
    )


def _holds(effect: Effect, truth: float) -> bool:
    """RuntimeError for an effect without an interval: the trials are large enough for all of them."""
    if effect.ci_low is None or effect.ci_high is None:
        raise RuntimeError(f"no interval: {effect.status}, {effect.n} and {effect.n_control} units")
    return effect.ci_low <= truth <= effect.ci_high


def _width(effect: Effect) -> float:
    return (effect.ci_high or 0.0) - (effect.ci_low or 0.0)


def _two_arms(seed: int, *, skewed: bool) -> _Trial:
    made = two_arm_trial(seed, UNITS, skewed=skewed, effect_by_segment={"north": 0.1, "south": 0.3, "west": 0.0})
    frame = made.frame.rename({"arm": "variant", "outcome": "value"})
    return _Trial(frame, made.truth, "outcome", "treatment", "control", ("x1", "x2"), "segment")


def _rep_trigger(seed: int) -> _Trial:
    """The trial of the pharma world by prescriptions in ninety days, adjusted as its declaration says."""
    world = pharma_world(seed, hcps=UNITS, patients=UNITS)
    units = world.assignments.filter(pl.col("experiment") == "rep_trigger").select("unit_id", "variant", "occurred_at")
    prescribed = (
        world.events.filter(pl.col("type") == "prescription")
        .select("unit_id", at="occurred_at")
        .join(units, on="unit_id")
        .with_columns(days=(pl.col("at") - pl.col("occurred_at")).dt.total_microseconds() / 86_400_000_000)
        .group_by("unit_id")
        .agg(
            value=pl.col("days").is_between(0, 90, closed="left").sum().cast(pl.Float64),
            prescriptions_before=pl.col("days").is_between(-180, 0, closed="left").sum().cast(pl.Float64),
        )
    )
    traits = pl.Struct(
        {
            "specialty": pl.String,
            "priority_tier": pl.String,
            "years_of_practice": pl.Float64,
            "patient_volume": pl.Float64,
        }
    )
    profiles = (
        world.events.filter(pl.col("event_id").str.starts_with("hcp_profile"))
        .select("unit_id", pl.col("properties").str.json_decode(traits))
        .unnest("properties")
    )
    frame = (
        units.join(prescribed, on="unit_id", how="left")
        .join(profiles, on="unit_id", how="left")
        .with_columns(pl.col("value", "prescriptions_before").fill_null(0.0))
        .rename({"unit_id": "unit"})
        .sort("unit")
    )
    covariates = ("prescriptions_before", "patient_volume", "years_of_practice", "specialty", "priority_tier")
    truth = world.truth.experiments["rep_trigger"]
    return _Trial(frame, truth, "prescriptions", "trigger", "no_trigger", covariates, "specialty")


def _normal(seed: int) -> _Trial:
    return _two_arms(seed, skewed=False)


def _skewed(seed: int) -> _Trial:
    return _two_arms(seed, skewed=True)


_TRIALS: Mapping[str, Callable[[int], _Trial]] = {
    "normal outcome": _normal,
    "skewed outcome": _skewed,
    "pharma rep_trigger": _rep_trigger,
}
