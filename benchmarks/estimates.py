"""The average effect with its interval beside EconML's estimates of it: seconds, memory, and how far from the truth.

Ours is all that a study does for its headline: three splits of cross-fitting with learners that are weighed, and AIPW.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.alone import Spent, alone, spend
from benchmarks.cate import COLUMNS, Units, boosted_nuisances, draw
from benchmarks.figure import Figure
from causeway.effects.estimators.average import METHODS
from causeway.effects.influence import infer
from causeway.effects.problem import Computing, Problem

SECONDS = {10_000: 5.0, 100_000: 15.0, 1_000_000: 60.0}
"""What the average effect of so many rows may take, with two cores."""
# The first fit of a process pays for imports and threads.
WARM_UP = 2_000

Estimate = tuple[float, float]
"""Effect and standard error."""


@dataclass(frozen=True)
class Measured:
    """truth: the mean of the units' true effects."""

    spent: Spent
    effect: float
    std_error: float
    truth: float

    @property
    def told(self) -> str:
        error = self.effect - self.truth
        return (
            f"{self.effect:.4f} (standard error {self.std_error:.4f}, truth {self.truth:.4f}, error {error:+.4f};"
            f" {self.spent.cpu_seconds:.1f} CPU s, {self.spent.gigabytes:.2f} GB)"
        )


def aipw(units: Units) -> Estimate:
    """Nuisances and interval, with all cores."""
    problem = Problem(
        units.outcome,
        units.treated,
        units.x,
        tuple(f"x{place}" for place in range(COLUMNS)),
        computing=Computing(n_jobs=os.cpu_count() or 1),
    )
    found = METHODS["aipw"](problem, problem.nuisances())
    inference = infer(found.estimate, problem.treated, scale=problem.scale)
    assert inference.std_error is not None, inference
    return found.estimate.effect, inference.std_error


def linear_dml(units: Units, *, boosted: bool) -> Estimate:
    """The effect linear in all covariates, averaged over the units."""
    from econml.dml import LinearDML

    model = LinearDML(**(boosted_nuisances() if boosted else {}), discrete_treatment=True, random_state=1)
    model.fit(units.outcome, units.treated.astype(int), X=units.x)
    found = model.ate_inference(units.x)
    return float(found.mean_point), float(found.stderr_mean)


def linear_dml_boosted(units: Units) -> Estimate:
    return linear_dml(units, boosted=True)


def linear_dml_defaults(units: Units) -> Estimate:
    return linear_dml(units, boosted=False)


def causal_forest_boosted(units: Units) -> Estimate:
    """The forest's doubly robust average."""
    from econml.dml import CausalForestDML

    forest = CausalForestDML(**boosted_nuisances(), discrete_treatment=True, random_state=1)
    forest.fit(units.outcome, units.treated.astype(int), X=units.x)
    return float(forest.ate_[0]), float(forest.ate_stderr_[0])


THEIRS: Mapping[str, tuple[Callable[[Units], Estimate], int]] = {
    "LinearDML, LightGBM nuisances": (linear_dml_boosted, 1_000_000),
    "LinearDML, all defaults": (linear_dml_defaults, 10_000),
    "CausalForestDML, LightGBM nuisances": (causal_forest_boosted, 10_000),
}
"""By name the way, and the most rows that it is given: beyond, it takes longer than all else together."""


def average_effects(report: Callable[[str], object], seconds: Mapping[int, float] = SECONDS) -> list[Figure]:
    """Each side in a fresh process, from the data to an effect with its standard error."""
    figures = []
    for n, most in seconds.items():
        ours = alone(measure, aipw, n)
        report(f"AIPW, {n:,} rows: {ours.spent.seconds:.1f} s, {ours.told}")
        for name, (way, largest) in THEIRS.items():
            if n > largest:
                continue
            theirs = alone(measure, way, n)
            report(f"  {name}: {theirs.spent.seconds:.1f} s, {theirs.told}")
            figures.append(
                Figure(
                    f"AIPW ATE of {n:,} rows, {ours.told}", ours.spent.seconds, "seconds", f"{name}, {theirs.told}",
                    theirs.spent.seconds, f"within {most:.0f} s", ours.spent.seconds <= most,
                )
            )  # fmt: skip
    return figures


def measure(way: Callable[[Units], Estimate], n: int, seed: int = 1) -> Measured:
    """What a way costs and finds, on the same rows for all."""
    # Of what libraries below EconML will do in their next versions.
    warnings.simplefilter("ignore", FutureWarning)
    units = draw(n, seed)
    way(draw(min(n, WARM_UP), seed + 1))
    spent, (effect, std_error) = spend(lambda: way(units))
    return Measured(spent, effect, std_error, float(units.effect.mean()))


def estimates(report: Callable[[str], object]) -> list[Figure]:
    """Average effects, effects of units and what drives them, and placebo refits."""
    from benchmarks.cate import cate
    from benchmarks.refutations import refutations

    return [*average_effects(report), *refutations(report), *cate(report)]
