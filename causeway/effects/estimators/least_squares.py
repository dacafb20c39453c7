"""The treatment's coefficient in a least-squares fit, by what each unit contributes to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causeway.twins.learners import Array

# A unit with a leverage above this is fitted exactly: its residual says nothing.
EXACT_FIT = 1 - 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class TreatmentCoefficient:
    """The coefficient of the second column, and each unit's contribution (n,) to its error; `variance` names
    their kind.
    """

    value: float
    influence: Array
    variance: Literal["hc3", "hc1"]

    @property
    def std_error(self) -> float:
        """Root of the sum of squared contributions."""
        return math.sqrt(float(self.influence @ self.influence))


def treatment_coefficient(exog: Array, y: Array, weights: Array | None = None) -> TreatmentCoefficient:
    """Regress y (n,) on the columns of exog (n, k): a constant, the treatment, then anything; linearly
    dependent ones are fine.

    Unit i contributes a_i e_i / (1 - h_i), with a the treatment's row of the pseudo-inverse, e the residuals
    and h the leverages: HC3 of MacKinnon & White 1985 (J. Econometrics 29, 305-325, eq. 12), which Long &
    Ervin 2000 recommend up to 250 units and which nobody regrets above. A unit of leverage one has no such
    residual: then HC1 for all, a_i e_i sqrt(n / (n - k)). Sampling weights, (n,), not negative, make it weighted least
    squares; units of weight zero do not count.
    """
    if weights is not None:
        roots = np.sqrt(weights)
        exog, y = exog * roots[:, None], y * roots
    inverse = np.linalg.pinv(exog)
    residuals = y - exog @ (inverse @ y)
    leverage = np.einsum("ij,ji->i", exog, inverse)
    contribution = inverse[1] * residuals
    value = float(inverse[1] @ y)
    if leverage.max() < EXACT_FIT:
        return TreatmentCoefficient(value, contribution / (1 - leverage), "hc3")
    n, rank = len(y) if weights is None else int(np.count_nonzero(weights)), float(leverage.sum())
    return TreatmentCoefficient(value, contribution * math.sqrt(n / max(1.0, n - rank)), "hc1")
