"""How much the instruments move the treatment, and whether that is enough."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, stats

from causeway.effects.influence import Array
from causeway.effects.instruments.reduced_form import ReducedForm

# From here on the usual interval of one instrument covers 95 % whatever the endogeneity (Lee, McCrary, Moreira & Porter
# 2022, Am. Econ. Rev. 112, 3260-3290).
USUAL_INTERVAL_HOLDS = 104.7
# What `critical_effective_f` is with one instrument.
STRONG_ALONE = 23.1
# The worst-case bias that the effective F is judged by, as a share of that of no instrument at all.
TOLERATED_BIAS = 0.10

Strength = Literal["strong", "weak", "perfect"]


@dataclass(frozen=True, slots=True)
class FirstStage:
    """F statistics of the instruments in the regression of treatment on them and the covariates.

    f_classical: for equal variances; None with weights or clusters. f_robust: with HC1's covariance, or CR1's of
    clusters. f_effective: of Montiel Olea & Pflueger, with the same covariance, and its critical value. partial_r2:
    share of what the covariates leave of the treatment.
    strength: "weak" where f_effective is below critical; "perfect" where the instruments determine the treatment, all
    F then None.
    """

    strength: Strength
    instruments: int
    partial_r2: float
    f_classical: float | None = None
    f_robust: float | None = None
    f_effective: float | None = None
    critical: float | None = None
    critical_conservative: float | None = None

    @property
    def in_words(self) -> str:
        if self.f_effective is None or self.critical_conservative is None:
            return "the instruments determine the treatment: this is ordinary least squares"
        said = f"effective first-stage F {self.f_effective:.1f}"
        if self.strength == "weak":
            tolerated = f"{TOLERATED_BIAS:.0%} of the worst case"
            return f"{said}, below {self.critical_conservative:.1f}: the bias may exceed {tolerated}"
        if self.instruments == 1 and self.f_effective < USUAL_INTERVAL_HOLDS:
            return f"{said}, enough against bias, yet below {USUAL_INTERVAL_HOLDS}: prefer the robust interval"
        return f"{said}, above {self.critical_conservative:.1f}"


def first_stage(found: ReducedForm, *, total: float, left: int, classical: bool) -> FirstStage:
    """total: the treatment's sum of squares given the covariates. left: n less the first stage's coefficients.

    With orthonormal instruments the effective F is g'g / tr S for coefficients g with covariance S (Montiel Olea &
    Pflueger 2013, J. Bus. Econ. Stat. 31, 358-369, eq. 5); with one instrument it is the robust F.
    """
    g, q = found.on_treatment, found.instruments
    explained = float(g @ g)
    partial_r2 = min(1.0, explained / total)
    _, _, covariance = found.covariances()
    # What is left is rounding beside what was explained.
    if 1 - partial_r2 < 1e-12 or not float(np.trace(covariance)) > 0:
        return FirstStage("perfect", q, partial_r2)
    effective = explained / float(np.trace(covariance))
    conservative = critical_effective_f(found, conservative=True)
    f_classical = (explained / q) / ((total - explained) / left)
    f_robust = quadratic_form(g, covariance)
    return FirstStage(
        "strong" if effective >= conservative else "weak",
        q,
        partial_r2,
        f_classical if classical else None,
        None if f_robust is None else f_robust / q,
        effective,
        critical_effective_f(found),
        conservative,
    )


def quadratic_form(vector: Array, covariance: Array) -> float | None:
    """v' S**-1 v; None where S is singular: fewer clusters than instruments."""
    if not np.linalg.cond(covariance) < 1e12:
        return None
    return float(vector @ np.linalg.solve(covariance, vector))


def critical_effective_f(
    found: ReducedForm, *, conservative: bool = False, bias: float = TOLERATED_BIAS, alpha: float = 0.05
) -> float:
    """Below this, instruments whose Nagar bias exceeds `bias` of the worst case are not rejected at `alpha`.

    Patnaik's approximation to the tail: with x = B / bias and W2 the covariance of the first stage, K = (tr W2)**2 (1 +
    2 x) / (tr W2'W2 + 2 x tr W2 maxeval W2), and the value is that of chi2(K, noncentrality x K) / K (Montiel Olea &
    Pflueger 2013, sec. 3 and theorem 1). B is the supremum over the effect b and directions c of |tr S12 - 2 c'S12 c| /
    tr W2 / sqrt(tr S1 / tr W2), S12 = W12 - b W2 and S1 = W1 - 2 b W12 + b**2 W2; over c it is an eigenvalue, over b a
    search on one line, ends at infinity included.

    conservative: take the bound B = 1, the paper's simplified procedure. With one instrument B is 1 and the value 23.1;
    two instruments whose errors are alike have hardly a Nagar bias, yet their intervals fail all the same.
    """
    w2 = found.covariances()[2]
    trace = float(np.trace(w2))
    x = (1.0 if conservative else _worst_bias(found)) / bias
    largest = float(np.linalg.eigvalsh(w2)[-1])
    k = trace**2 * (1 + 2 * x) / (float(np.sum(w2 * w2)) + 2 * x * trace * largest)
    return float(stats.ncx2.isf(alpha, k, x * k)) / k


def _worst_bias(found: ReducedForm) -> float:
    """B of `critical_effective_f`."""
    w1, w12, w2 = found.covariances()
    cross = (w12 + w12.T) / 2
    trace = float(np.trace(w2))
    # b = scale tan(angle) reaches infinity at a right angle; both sides times the cosine stay finite there.
    scale = math.sqrt(float(np.trace(w1)) / trace)
    if found.instruments == 1 or scale == 0:
        return 1.0

    def benchmarked(angles: Array) -> Array:
        one, b = np.cos(angles), scale * np.sin(angles)
        values = np.linalg.eigvalsh(one[:, None, None] * cross - b[:, None, None] * w2)
        s1 = one**2 * np.trace(w1) - 2 * one * b * np.trace(cross) + b**2 * trace
        worst = np.abs(values.sum(axis=1, keepdims=True) - 2 * values[:, [0, -1]]).max(axis=1)
        positive = s1 > 0
        return np.asarray(np.where(positive, worst / np.sqrt(trace * np.where(positive, s1, 1.0)), 0.0))

    angles = np.linspace(-math.pi / 2, math.pi / 2, 361)
    on_grid = benchmarked(angles)
    best, step = float(angles[int(np.argmax(on_grid))]), float(angles[1] - angles[0])
    refined = optimize.minimize_scalar(
        lambda angle: -float(benchmarked(np.array([angle]))[0]), bounds=(best - step, best + step), method="bounded"
    )
    return min(1.0, max(float(on_grid.max()), -float(refined.fun)))
