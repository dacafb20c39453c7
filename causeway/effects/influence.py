"""An estimate by what each unit contributes to its error: one way to an interval for every estimator.

An asymptotically linear estimator differs from the truth by a sum over units, so its variance is a sum of squares, of
units or of whole clusters (Newey & McFadden 1994, Handbook of Econometrics 4, ch. 36; Liang & Zeger 1986).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from causeway.statistics.clusters import FEWEST_DF
from causeway.statistics.clusters_across_arms import small_sample_of_clusters
from causeway.statistics.comparison import check_alpha
from causeway.statistics.effect import Status
from causeway.statistics.joint_moments import JointMoments

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int64]

# Below this share of the outcome's own spread a standard error is rounding.
ROUNDING = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Linearised:
    """`effect`, in units of the outcome, and what each unit adds to its error, (n,): the variance is their sum of
    squares. `df`: residual degrees of freedom, None where only the normal limit is known. `of_clusters`: the factor of
    the variance and the degrees of freedom for the clusters that the estimator was given, where it has no arms to
    count them in (`small_sample_of_slope`).
    """

    effect: float
    contributions: Array
    df: float | None = None
    of_clusters: tuple[float, float] | None = None

    @property
    def std_error(self) -> float:
        """For independent units."""
        return math.sqrt(float(self.contributions @ self.contributions))


@dataclass(frozen=True, slots=True)
class Inference:
    """Standard error, interval and two-sided p-value of no effect; all None unless `status` is "ok"."""

    status: Status
    std_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    df: float | None = None
    clusters: int | None = None


def infer(
    found: Linearised,
    treated: Flags | None,
    *,
    clusters: Labels | None = None,
    scale: float = 1.0,
    alpha: float = 0.05,
) -> Inference:
    """The interval of an estimate, of independent units or of clusters.

    treated: (n,), the arms that clusters are counted in; None for a treatment on a scale, which has none. clusters:
    (n,) labels; contributions are then summed within each, with the small-sample factor and degrees of freedom of
    `effect_across_clusters`, which count clusters by what they weigh, or those that `found` brings. scale: the
    outcome's standard deviation, by which rounding is told from spread.

    Statuses: too_few_units (fewer than two clusters, in an arm where there are arms), not_estimable (clusters that
    leave less than one degree of freedom, or numbers that are not finite), zero_variance. Raises ValueError for
    clusters with neither arms nor `of_clusters`.
    """
    check_alpha(alpha)
    if not (math.isfinite(found.effect) and bool(np.isfinite(found.contributions).all())):
        return Inference("not_estimable")
    df, n_clusters = found.df, None
    if clusters is None:
        variance = float(found.contributions @ found.contributions)
    else:
        _, index = np.unique(clusters, return_inverse=True)
        influence = np.asarray(np.bincount(index, weights=found.contributions), dtype=np.float64)
        n_clusters = len(influence)
        small_sample = found.of_clusters or _of_arms(influence, index, treated)
        if small_sample is None or n_clusters < 2:
            return Inference("too_few_units", clusters=n_clusters)
        factor, df = small_sample
        if df < FEWEST_DF:
            return Inference("not_estimable", clusters=n_clusters)
        variance = factor * float(influence @ influence)
    std_error = math.sqrt(variance)
    if std_error <= ROUNDING * scale:
        return Inference("zero_variance", clusters=n_clusters)
    distribution = stats.norm if df is None else stats.t(df)
    half_width = float(distribution.isf(alpha / 2)) * std_error
    return Inference(
        status="ok",
        std_error=std_error,
        ci_low=found.effect - half_width,
        ci_high=found.effect + half_width,
        p_value=float(2 * distribution.sf(abs(found.effect) / std_error)),
        df=df,
        clusters=n_clusters,
    )


def _of_arms(influence: Array, index: Labels, treated: Flags | None) -> tuple[float, float] | None:
    """Factor and degrees of freedom from the clusters' units in each arm; None with fewer than two in one."""
    if treated is None:
        raise ValueError("clusters are counted in arms: give treated, or an estimate that brings of_clusters")
    sums = {
        "influence": influence,
        "denominator": np.bincount(index, weights=treated),
        "denominator_control": np.bincount(index, weights=~treated),
    }
    if min(int(np.sum(sums[name] > 0)) for name in ("denominator", "denominator_control")) < 2:
        return None
    totals = (float(treated.sum()), float((~treated).sum()))
    return small_sample_of_clusters(JointMoments.from_arrays(sums), totals, len(treated), "effective_clusters")
