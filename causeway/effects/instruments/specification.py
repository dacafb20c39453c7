"""Two questions to ask of instruments: do they agree with each other, and were they needed?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from causeway.effects.estimators.slope_clusters import cluster_sums, conventional_factor
from causeway.effects.influence import Array, Labels
from causeway.effects.instruments.first_stage import quadratic_form


@dataclass(frozen=True, slots=True)
class SpecificationTest:
    """A test with its statistic and p-value, None unless `status` is "ok": low means that a problem was found.

    df: of chi-squared for the overidentification test, of Student's t for the endogeneity test.
    """

    status: Literal["ok", "exactly_identified", "not_estimable"]
    statistic: float | None = None
    df: float | None = None
    p_value: float | None = None


def overidentification(
    outcome: Array, treatment: Array, instruments: Array, effect: float, clusters: Labels | None
) -> SpecificationTest:
    """Hansen's J: low p-value, the instruments tell different effects, by a wrong one or because effects differ.

    outcome, treatment: (n,), given the covariates. instruments: (n, q) orthonormal. effect: 2SLS, whose residuals give
    the weights of the second step; J is the objective at its minimum, chi-squared with q - 1 degrees of freedom (Hansen
    1982, Econometrica 50, 1029-1054, lemma 4.2). Taking the covariates out leaves J as it is.
    """
    q = instruments.shape[1]
    if q == 1:
        return SpecificationTest("exactly_identified")
    moments = cluster_sums(instruments * (outcome - effect * treatment)[:, None], clusters)
    covariance = moments.T @ moments
    h, g = instruments.T @ outcome, instruments.T @ treatment
    curvature = quadratic_form(g, covariance)
    if curvature is None or curvature <= 0:
        return SpecificationTest("not_estimable")
    efficient = float(g @ np.linalg.solve(covariance, h)) / curvature
    statistic = quadratic_form(h - efficient * g, covariance)
    assert statistic is not None
    return SpecificationTest("ok", statistic, q - 1, float(stats.chi2.sf(statistic, q - 1)))


def endogeneity(
    outcome: Array, treatment: Array, fitted: Array, *, units: int, regressors: int, clusters: Labels | None
) -> SpecificationTest:
    """Durbin-Wu-Hausman by a control function, robust: low p-value, least squares would answer otherwise.

    The t statistic of the first stage's residuals, added to the outcome's regression on treatment and covariates
    (Hausman 1978, Econometrica 46, sec. 2; Wooldridge 1995), HC1's or CR1's covariance; `fitted`: (n,) the first
    stage's prediction of `treatment`, both given the covariates. regressors: of that regression, k; Student's t with n
    - k degrees of freedom, clusters less one with clusters. Says little where instruments are weak.
    """
    left = treatment - fitted
    own, of_fit = float(left @ left), float(fitted @ fitted)
    if own <= 1e-12 * float(treatment @ treatment) or of_fit == 0:
        return SpecificationTest("not_estimable")
    by_fit = float(fitted @ outcome) / of_fit
    difference = float(left @ outcome) / own - by_fit
    residuals = outcome - by_fit * treatment - difference * left
    contributions = (left / own - fitted / of_fit) * residuals
    sums = cluster_sums(contributions[:, None], clusters)
    df = units - regressors if clusters is None else len(sums) - 1
    factor = conventional_factor(units, regressors, clusters)
    variance = factor * float(np.sum(sums**2))
    if df < 1 or not 0 < variance < math.inf:
        return SpecificationTest("not_estimable")
    statistic = difference / math.sqrt(variance)
    return SpecificationTest("ok", statistic, df, float(2 * stats.t.sf(abs(statistic), df)))
