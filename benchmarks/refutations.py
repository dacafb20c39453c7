"""Seconds of placebo refits beside DoWhy's, and what both say of an estimate that is right."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from benchmarks.figure import Figure
from causeway.effects.estimators.average import METHODS
from causeway.effects.influence import Array, Flags
from causeway.effects.problem import Computing, Problem
from causeway.effects.refutations.suite import refute

_T = TypeVar("_T")

ROWS, COLUMNS, PLACEBOS = 5_000, 10, 20
SECONDS = 5.0
EFFECT = 1.0
THEIRS = {
    "linear regression": "backdoor.linear_regression",
    "propensity weighting": "backdoor.propensity_score_weighting",
}


@dataclass(frozen=True)
class Units:
    """`effect` is the same for all."""

    x: Array
    treated: Flags
    outcome: Array
    effect: float


def draw(n: int, seed: int) -> Units:
    """Ten normal covariates, of which three confound; curves and an interaction, so that trees have something to do."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, COLUMNS))
    propensity = 1 / (1 + np.exp(-(0.6 * x[:, 0] + 0.4 * x[:, 1] - 0.4 * x[:, 2])))
    treated = generator.random(n) < propensity
    outcome = x[:, 0] + np.abs(x[:, 1]) + x[:, 2] * x[:, 3] + EFFECT * treated + generator.normal(size=n)
    return Units(x, treated, outcome, EFFECT)


def refutations(report: Callable[[str], object]) -> list[Figure]:
    """Ours are refits of aipw, nuisances included, with all cores; DoWhy's of its own estimators on the same rows.

    The full estimate that is refuted is in neither time.
    """
    units = draw(ROWS, 1)
    problem = problem_of(units)
    nuisances = problem.nuisances()
    found = METHODS["aipw"](problem, nuisances)

    def ours(simulations: int) -> float:
        placebo = refute(
            problem, nuisances, method="aipw", found=found, seed=1, simulations=simulations, only=["placebo_treatment"]
        )[0]
        return float("nan") if placebo.new_effect is None else placebo.new_effect

    # The first fit of a process pays for imports and threads.
    ours(4)
    seconds, effect = _timed(lambda: ours(PLACEBOS))
    report(f"{PLACEBOS} placebo refits of aipw, {ROWS:,} rows: {seconds:.2f} s, mean effect {effect:.4f}")
    figures = []
    for name, method in THEIRS.items():
        refuter = dowhy_placebo(units, method)
        their_seconds, their_effect = _timed(lambda refuter=refuter: refuter(PLACEBOS))
        report(f"DoWhy's placebo refuter, {name}: {their_seconds:.2f} s, new effect {their_effect:.4f}")
        anchor = f"DoWhy's placebo refuter, {name}"
        figures += [
            Figure(
                f"{PLACEBOS} placebo refits of aipw, {ROWS:,} rows", seconds, "seconds", anchor, their_seconds,
                f"within {SECONDS:.0f} s", seconds <= SECONDS,
            ),
            Figure(
                f"placebo effect of a right estimate of {EFFECT:g}", abs(effect), "absolute effect", anchor,
                abs(their_effect), "at most 0.05", abs(effect) <= 0.05,
            ),
        ]  # fmt: skip
    return figures


def problem_of(units: Units) -> Problem:
    return Problem(
        units.outcome,
        units.treated,
        units.x,
        tuple(f"x{place}" for place in range(units.x.shape[1])),
        computing=Computing(n_jobs=os.cpu_count() or 1),
    )


def dowhy_placebo(units: Units, method: str) -> Callable[[int], float]:
    """DoWhy's own way from data to estimate; the placebo refuter that is left to call, by its number of simulations."""
    import pandas as pd
    from dowhy import CausalModel

    frame = pd.DataFrame(units.x, columns=[f"x{place}" for place in range(units.x.shape[1])])
    causes = list(frame.columns)
    frame["treated"], frame["outcome"] = units.treated, units.outcome
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CausalModel(frame, treatment="treated", outcome="outcome", common_causes=causes)
        estimand = model.identify_effect(proceed_when_unidentifiable=True)
        estimate = model.estimate_effect(estimand, method_name=method, target_units="ate")

    def placebo(simulations: int) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # DoWhy draws from numpy's global state.
            np.random.seed(1)
            refuted = model.refute_estimate(
                estimand, estimate, method_name="placebo_treatment_refuter", placebo_type="permute",
                num_simulations=simulations,
            )  # fmt: skip
        return float(refuted.new_effect)

    return placebo


def _timed(work: Callable[[], _T]) -> tuple[float, _T]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found
