"""Attempts to break estimates that are not of two arms alone: of a treatment on a scale, and with instruments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from causeway.declarations.study import StudyDeclaration
from causeway.effects.influence import Array, Linearised
from causeway.effects.problem import Computing
from causeway.effects.refutations import Refutation
from causeway.effects.refutations.estimators import Estimator
from causeway.effects.refutations.instrumented import InstrumentProblem, LocalAverage, Slope, TwoStage
from causeway.effects.refutations.suite import refute
from causeway.effects.sensitivity.e_value import e_value
from causeway.effects.sensitivity.linear_bias import LinearSensitivity
from causeway.effects.studies.answer import MethodEstimate
from causeway.effects.studies.negative_controls import negative_controls
from causeway.effects.studies.on_a_scale import Slopes
from causeway.effects.studies.units import StudyUnits

ESTIMATORS: dict[str, Estimator] = {
    "2sls": TwoStage(),
    "late": LocalAverage(),
    "partially_linear": Slope(),
    # Least squares is two-stage least squares of a treatment that is its own instrument.
    "linear_regression": TwoStage(),
}


def problem_on_a_scale(
    units: StudyUnits, x: Array, columns: Sequence[str], *, instruments: Array | None, seed: int, computing: Computing
) -> InstrumentProblem:
    """The arrays of a study with instruments, or of a treatment on a scale, which then is its own instrument."""
    dose = units.treatment
    return InstrumentProblem(
        units.outcome,
        dose > np.median(dose) if units.treated is None else units.treated,
        x,
        tuple(columns),
        weights=units.weights,
        clusters=units.clusters,
        seed=seed,
        splits=1,
        computing=computing,
        instruments=dose[:, np.newaxis] if instruments is None else instruments,
        treatment=dose if units.treated is None else None,
    )


def tested(
    study: StudyDeclaration,
    units: StudyUnits,
    problem: InstrumentProblem,
    *,
    method: str,
    found: Linearised | None,
    seed: int,
    in_full: bool,
) -> tuple[tuple[Refutation, ...], list[dict[str, Any]]]:
    """Refutations of the headline, and its negative controls."""
    if found is None:
        return (), []
    estimator = ESTIMATORS[method]
    refutations: tuple[Refutation, ...] = ()
    if in_full:
        refutations = refute(problem, (), method=method, found=found, seed=seed, estimator=estimator)
    declared = study.negative_controls
    controls = negative_controls(
        problem, units.others, outcomes=declared.outcomes, exposures=declared.exposures, estimator=estimator
    )
    return refutations, controls


def sensitivity_of_slope(units: StudyUnits, slopes: Slopes, headline: MethodEstimate) -> dict[str, Any]:
    """E-value of one standard deviation of treatment, robustness value of least squares; None where undefined."""
    names = (
        "e_value",
        "e_value_ci",
        "e_value_scale",
        "robustness_value",
        "robustness_value_ci",
        "contour",
        "rosenbaum",
    )
    result: dict[str, Any] = {**dict.fromkeys(names), "benchmarks": []}
    if headline.effect is None or headline.ci_low is None or headline.ci_high is None:
        return result
    step, sd = float(np.std(units.treatment)), float(np.std(units.outcome))
    e = e_value(
        effect=headline.effect * step,
        ci_low=headline.ci_low * step,
        ci_high=headline.ci_high * step,
        mean_control=math.nan,
        sd=sd,
        is_conversion=False,
    )
    scale = "standardised_difference of one standard deviation of treatment"
    result |= {"e_value": e.point, "e_value_ci": e.limit, "e_value_scale": scale}
    linear = slopes.linear
    if linear.effect is not None and linear.std_error_classical:
        degrees = linear.inference.df if linear.inference is not None else None
        if degrees is not None and degrees > 1:
            of_line = LinearSensitivity(linear.effect.effect, linear.std_error_classical, degrees)
            result["robustness_value"] = of_line.robustness_value()
            result["robustness_value_ci"] = of_line.robustness_value_interval()
    return result
