"""Averages of doubly robust scores with their contributions, and a joint test of several estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from causeway.effects.influence import Array, Flags, Inference, Labels, Linearised, infer
from causeway.statistics.effect import Status


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; all None unless `status` is "ok"."""

    status: Status
    effect: float | None = None
    std_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None

    @classmethod
    def of(cls, found: Linearised, inference: Inference) -> Estimate:
        if inference.status != "ok":
            return cls(inference.status)
        return cls(
            "ok", found.effect, inference.std_error, inference.ci_low, inference.ci_high, inference.p_value
        )  # fmt: skip


def estimate(
    found: Linearised, treated: Flags, *, clusters: Labels | None = None, scale: float = 1.0, alpha: float = 0.05
) -> Estimate:
    """`infer`, and the effect only where there is an interval. `scale`: the outcome's standard deviation."""
    return Estimate.of(found, infer(found, treated, clusters=clusters, scale=scale, alpha=alpha))


def mean_of(values: Array, weights: Array, chosen: Array | None = None) -> Linearised:
    """Weighted mean of values (n,), over the units in which `chosen` (n,) is one if given. n - 1 degrees of freedom.

    A unit adds w (value - mean) / sum(w), times root n / (n - 1): the usual standard error where weights are equal.
    """
    weights = weights if chosen is None else weights * chosen
    total = float(weights.sum())
    n = int(np.count_nonzero(weights))
    if total <= 0 or n < 2:
        return Linearised(float("nan"), np.zeros(len(values)))
    mean = float(weights @ values) / total
    return Linearised(mean, weights * (values - mean) / total * np.sqrt(n / (n - 1)), n - 1.0)


def joint_p_value(found: Sequence[Linearised], clusters: Labels | None = None) -> float | None:
    """p-value of "all of these are zero": Wald's statistic, against F with as many denominator degrees of freedom as
    there are units or clusters less the estimates; None where their covariance is singular or units are too few.
    """
    if not found:
        return None
    effects = np.array([each.effect for each in found])
    pieces = np.column_stack([each.contributions for each in found])
    if clusters is not None:
        index = np.unique(clusters, return_inverse=True)[1]
        pieces = np.column_stack([np.bincount(index, weights=column) for column in pieces.T])
    k = len(found)
    df = len(pieces) - k
    spread = np.sqrt((pieces**2).sum(axis=0))
    if df < 1 or not np.isfinite(effects).all() or (spread <= 0).any():
        return None
    # By their own standard errors, so that columns of any unit can be told from dependent ones.
    pieces = pieces / spread
    covariance = pieces.T @ pieces
    if np.linalg.eigvalsh(covariance)[0] < 1e-10:
        return None
    standardised = effects / spread
    wald = float(standardised @ np.linalg.solve(covariance, standardised))
    return float(stats.f.sf(wald / k * df / len(pieces), k, df))
