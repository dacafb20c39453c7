"""Checks that try to break an observational estimate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from causeway.effects.least_squares import TreatmentCoefficient, treatment_coefficient
from causeway.effects.study_frame import Encoded, StudyFrame

PROBLEM_ALPHA = 0.05
FUNCTIONAL_FORM = "functional_form"
MIN_RESIDUAL_DF = 10


@dataclass(frozen=True, slots=True)
class Refutation:
    """A check that tries to break an estimate. `problem_found` is None when it could not be carried out;
    `detail` is for reading.
    """

    name: str
    method: str
    new_effect: float | None
    p_value: float | None
    problem_found: bool | None
    detail: str

    def without_numbers(self) -> Refutation:
        """For an estimate that is withheld: whether a problem was found, and nothing that gives the effect away."""
        found = (
            "not carried out"
            if self.problem_found is None
            else "problem found"
            if self.problem_found
            else "no problem found"
        )
        return Refutation(self.name, self.method, None, None, self.problem_found, found)


def functional_form(
    data: StudyFrame, confounders: Encoded, linear: TreatmentCoefficient, *, method: str
) -> Refutation | None:
    """Does the effect survive letting the confounders act in curves? None where there is nothing to bend.

    Squares of the standardised numeric confounders are added. The two estimates come from the same units, so
    the variance of their difference is the sum of the squared differences of each unit's contribution
    (Hausman 1978, Econometrica 46, 1251-1271, without his assumption that one of them is efficient). A
    problem is a difference that is both unlikely (p < 0.05) and larger than one standard error: in large
    data every curve is significant, and one that does not move the answer does not matter.
    """
    x, n = confounders.values, len(data.outcome)
    # An indicator has no square of its own.
    bent = [position for position in range(x.shape[1]) if len(np.unique(x[:, position])) > 2]
    if not bent or n - x.shape[1] - len(bent) - 2 < MIN_RESIDUAL_DF:
        return None
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    curved = treatment_coefficient(
        np.column_stack([np.ones(n), data.treated, scaled, scaled[:, bent] ** 2]), data.outcome
    )
    difference = curved.value - linear.value
    change = curved.influence - linear.influence
    std_error = math.sqrt(float(change @ change))
    p_value = float(2 * stats.norm.sf(abs(difference) / std_error)) if std_error > 0 else 1.0
    return Refutation(
        name=FUNCTIONAL_FORM,
        method=method,
        new_effect=curved.value,
        p_value=p_value,
        problem_found=p_value < PROBLEM_ALPHA and abs(difference) > linear.std_error,
        detail=f"with squares of the numeric confounders the effect is {curved.value:.4g} instead of "
        f"{linear.value:.4g}, {abs(difference) / linear.std_error:.1f} standard errors away "
        f"(p = {p_value:.3f})",
    )
