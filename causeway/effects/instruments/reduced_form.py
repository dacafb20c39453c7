"""Outcome and treatment on the instruments: all that tests with weak instruments need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causeway.effects.estimators.least_squares import EXACT_FIT
from causeway.effects.estimators.partialling_out import Covariates
from causeway.effects.estimators.slope_clusters import cluster_sums, conventional_factor
from causeway.effects.influence import Array, Labels


@dataclass(frozen=True, slots=True, eq=False)
class ReducedForm:
    """Coefficients of orthonormal instruments, covariates taken out.

    on_outcome, on_treatment: (q,). covariance: (2 q, 2 q), of the coefficients on the outcome and then on the
    treatment, robust, or of cluster sums; without any small-sample factor. `factor`: HC1's, or CR1's. df: n less all
    coefficients; clusters less one with clusters.
    """

    on_outcome: Array
    on_treatment: Array
    covariance: Array
    careful: Array
    factor: float
    df: int

    @property
    def instruments(self) -> int:
        """How many count."""
        return len(self.on_treatment)

    def covariances(self) -> tuple[Array, Array, Array]:
        """Blocks, (q, q), with the conventional factor: outcome, outcome with treatment, treatment."""
        q, whole = self.instruments, self.factor * self.covariance
        return whole[:q, :q], whole[:q, q:], whole[q:, q:]


def reduced_form(
    outcome: Array, treatment: Array, instruments: Array, covariates: Covariates, clusters: Labels | None
) -> ReducedForm:
    """From residuals given the covariates, (n,) and (n,), and orthonormal instruments, (n, q), the same.

    Residuals are those of the unrestricted fit.
    """
    regressors, units = covariates.rank + instruments.shape[1], covariates.units
    on_outcome, on_treatment = instruments.T @ outcome, instruments.T @ treatment
    scores = np.hstack(
        [
            instruments * (outcome - instruments @ on_outcome)[:, None],
            instruments * (treatment - instruments @ on_treatment)[:, None],
        ]
    )
    sums = cluster_sums(scores, clusters)
    covariance = careful = sums.T @ sums
    factor = conventional_factor(units, regressors, clusters)
    df = units - regressors if clusters is None else len(sums) - 1
    if clusters is None:
        leverage = np.sum(covariates.basis**2, axis=1) + np.sum(instruments**2, axis=1)
        if leverage.max() < EXACT_FIT:
            scores = scores / (1 - leverage)[:, None]
            careful = scores.T @ scores
        else:
            careful = factor * covariance
    return ReducedForm(on_outcome, on_treatment, covariance, careful, factor, df)
