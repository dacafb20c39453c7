"""Clusters with units in both arms: units were randomised one by one, yet those of one cluster are alike."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causeway.statistics.clusters import FEW_CLUSTERS, FEWEST_DF, PERFECT_FIT, SmallSample
from causeway.statistics.comparison import EstimatedMean, check_alpha, compare_means
from causeway.statistics.effect import Effect, Status
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.ratio import WEAK

Array = NDArray[np.float64]

COLUMNS = ("outcome", "denominator", "outcome_control", "denominator_control")


@dataclass(frozen=True, slots=True)
class ClustersAcrossArms:
    """Sums of clusters by arm.

    units, units_control: units in the arms. clusters, clusters_control: clusters with a unit in the arm.
    sums: moments over all clusters of "outcome" and "denominator" of the treated units and "outcome_control" and
    "denominator_control" of the control units, 0 where the cluster has none.
    """

    units: int
    units_control: int
    clusters: int
    clusters_control: int
    sums: JointMoments

    def __post_init__(self) -> None:
        if set(COLUMNS) - set(self.sums.names):
            raise ValueError(f"moments of clusters want {COLUMNS}: {self.sums.names}")

    @classmethod
    def from_arrays(cls, cluster: ArrayLike, treated: ArrayLike, outcome: ArrayLike) -> ClustersAcrossArms:
        """From units: labels, treated or not, and outcome, each (n,); the denominator is the count."""
        _, index = np.unique(np.asarray(cluster), return_inverse=True)
        y, t = np.asarray(outcome, dtype=np.float64), np.asarray(treated, dtype=bool)
        columns = dict(zip(COLUMNS, (y * t, t, y * ~t, ~t), strict=True))
        sums = {name: np.bincount(index, weights=values) for name, values in columns.items()}
        reached, reached_control = (int(np.sum(sums[name] > 0)) for name in ("denominator", "denominator_control"))
        return cls(int(t.sum()), int((~t).sum()), reached, reached_control, JointMoments.from_arrays(sums))


def effect_across_clusters(
    found: ClustersAcrossArms, *, small_sample: SmallSample = "effective_clusters", alpha: float = 0.05
) -> Effect:
    """Mean (or ratio) of the treated units minus that of the control units, clusters holding both.

    Cluster g contributes z_g = u_t / N_t - u_c / N_c with the residuals u = outcome_g - R denominator_g of each arm
    and N the arm's denominator; the variance is f sum z_g**2 (Liang & Zeger 1986; Cameron & Miller 2015). What a
    cluster's units share cancels where it has both arms. With one arm in each cluster this is `cluster_effect`.

    small_sample: "effective_clusters" takes f and the degrees of freedom from the shares of the clusters p in each
    arm, as Bell & McCaffrey (2002) do, if units are independent: with V = 1 / N_t + 1 / N_c and the loss B =
    sum p_t**2 / N_t + sum p_c**2 / N_c, f = V / (V - B), and df = (V - B)**2 / sum cov(z_g, z_h)**2, in which third
    moments of p are replaced by what they are for equal clusters. G pairs of equal size have G - 1 degrees of
    freedom, G clusters of one arm each G - 2. "cr1": f = G / (G - 1) (N - 1) / (N - 2) and G - 1, as statsmodels;
    "none": f = 1.
    Statuses: no_units, too_few_units (an arm of fewer than two clusters), zero_variance, not_estimable
    (less than one degree of freedom: one cluster holds nearly all units of an arm).
    settings: clusters, clusters_control, clusters_in_both, few_clusters (below 20 in all), effective_clusters and
    effective_clusters_control, small_sample, df.

    >>> cluster, treated = [1, 1, 2, 2, 3, 3], [1, 0, 1, 0, 1, 0]
    >>> found = ClustersAcrossArms.from_arrays(cluster, treated, [3.0, 1.0, 9.0, 8.0, 6.0, 3.0])
    >>> effect = effect_across_clusters(found)
    >>> effect.effect, round(effect.std_error, 4), round(effect.settings["df"], 6)
    (2.0, 0.5774, 2.0)
    """
    check_alpha(alpha)
    sums = found.sums
    settings: dict[str, Any] = {
        "variance": "cluster_robust_across_arms",
        "small_sample": small_sample,
        **cluster_settings(sums, found.clusters, found.clusters_control),
    }
    totals = (sums.n * sums.mean("denominator"), sums.n * sums.mean("denominator_control"))
    outcomes = (sums.mean("outcome"), sums.mean("outcome_control"))
    mean, mean_control = (
        sums.n * outcome / total if total > 0 else None for outcome, total in zip(outcomes, totals, strict=True)
    )

    def without(status: Status, reason: str) -> Effect:
        why = {**settings, "alpha": alpha, "reason": reason}
        return Effect(status, found.units, found.units_control, mean, mean_control, settings=why)

    if mean is None or mean_control is None:
        return without("no_units", "an arm is empty")
    if min(found.clusters, found.clusters_control) < 2:
        return without("too_few_units", "an arm has fewer than two clusters")
    factor, df = small_sample_of_clusters(sums, totals, found.units + found.units_control, small_sample)
    comoments = sums.comoment_matrix(COLUMNS, COLUMNS)
    of_treated = np.array([1, -mean, 0, 0]) / totals[0]
    of_control = np.array([0, 0, 1, -mean_control]) / totals[1]
    products = [
        factor * product_over_clusters(comoments, left, right)
        for left, right in (
            (of_treated, of_treated),
            (of_control, of_control),
            (of_treated, of_control),
            (of_treated - of_control, of_treated - of_control),
        )
    ]
    v, v_control, covariance, variance = products
    if variance <= 0:
        return without("zero_variance", "the clusters' effects have no spread of their own")
    if df < FEWEST_DF:
        return without("not_estimable", "one cluster holds nearly all units of an arm")
    return compare_means(
        EstimatedMean(found.units, mean, v),
        EstimatedMean(found.units_control, mean_control, v_control),
        std_error=math.sqrt(variance),
        covariance=covariance,
        df=df,
        alpha=alpha,
        settings=settings,
    )


def ratio_across_clusters(
    found: ClustersAcrossArms, *, small_sample: SmallSample = "effective_clusters", alpha: float = 0.05
) -> Effect:
    """`effect_across_clusters` of a ratio metric, unless a mean denominator is too uncertain for the delta method.

    The sums must hold "units" and "units_control", too: the mean denominator of an arm is itself a ratio of cluster
    sums, and above a coefficient of variation of 0.1 the status is not_estimable. settings: denominator_cv and
    denominator_cv_control.
    """
    effect = effect_across_clusters(found, small_sample=small_sample, alpha=alpha)
    cv, cv_control = (_denominator_cv(found.sums, arm) for arm in ("", "_control"))
    settings = effect.settings | {"denominator_cv": cv, "denominator_cv_control": cv_control}
    if effect.status == "ok" and max(cv or 0.0, cv_control or 0.0) > WEAK:
        settings["reason"] = "the mean denominator of an arm is too uncertain for the delta method"
        return Effect("not_estimable", effect.n, effect.n_control, settings=settings)
    return replace(effect, settings=settings)


def _denominator_cv(sums: JointMoments, arm: str) -> float | None:
    """Coefficient of variation of the mean denominator over units, as a ratio of cluster sums; None without units."""
    names = [f"denominator{arm}", f"units{arm}"]
    total, units = (sums.n * sums.mean(name) for name in names)
    if not total > 0 or sums.n < 2:
        return None
    weights = np.array([1 / total, -1 / units])
    return math.sqrt(
        sums.n / (sums.n - 1) * max(0.0, product_over_clusters(sums.comoment_matrix(names, names), weights, weights))
    )


def cluster_settings(sums: JointMoments, clusters: int, clusters_control: int) -> dict[str, Any]:
    """What every clustered method says of its clusters, from moments over them of the denominators of both arms."""
    return {
        "clusters": clusters,
        "clusters_control": clusters_control,
        "clusters_in_both": clusters + clusters_control - sums.n,
        "few_clusters": sums.n < FEW_CLUSTERS,
        "effective_clusters": _effective(sums, "denominator"),
        "effective_clusters_control": _effective(sums, "denominator_control"),
    }


def _effective(sums: JointMoments, name: str) -> float | None:
    """(sum d)**2 / sum d**2 over clusters (Carter, Schnepel & Steigerwald 2017); None for an empty arm."""
    total = sums.n * sums.mean(name)
    return None if not total > 0 else total**2 / (sums.comoment(name, name) + total**2 / sums.n)


def product_over_clusters(
    comoments: NDArray[np.float64], left: NDArray[np.float64], right: NDArray[np.float64]
) -> float:
    """left' M right, and exactly 0.0 where it is rounding beside its own terms."""
    value = float(left @ comoments @ right)
    spread = np.sqrt(np.diag(comoments))
    size = float((np.abs(left) @ spread) * (np.abs(right) @ spread))
    return value if abs(value) > PERFECT_FIT * size else 0.0


def small_sample_of_clusters(
    sums: JointMoments,
    totals: tuple[float, float],
    units: int,
    kind: SmallSample,
    *,
    slopes: int = 0,
    spent: tuple[float, float] = (0.0, 0.0),
) -> tuple[float, float]:
    """Factor of the variance and degrees of freedom.

    sums: moments over clusters of "denominator" and "denominator_control", which add up to `totals`; units: of both
    arms. slopes: how many were estimated over both arms, which "cr1" wants. spent: what they take from each arm, as a
    share of its variance (`slopes_spent`), which "effective_clusters" adds to B; the degrees of freedom shrink with
    V - B.
    """
    clusters = sums.n
    if kind == "none":
        return 1.0, clusters - 1
    if kind == "cr1":
        return clusters / (clusters - 1) * (units - 1) / (units - 2 - slopes), clusters - 1
    names = ("denominator", "denominator_control")
    means = np.array([sums.mean(name) for name in names])
    squares = sums.comoment_matrix(names, names) + clusters * np.outer(means, means)
    # Shares of the clusters in the arms, squared and multiplied, and summed over clusters.
    (treated, both), (_, control) = squares / np.outer(totals, totals)
    # In units of the smaller arm: only the proportion of the two matters.
    a, b = (min(totals) / total for total in totals)
    left = a * (1 - treated) + b * (1 - control)
    of_squares = a * a * treated + b * b * control + 2 * a * b * both
    of_loss = (a * treated) ** 2 + (b * control) ** 2 + a * b * both * (treated + control)
    of_pairs = (a * treated) ** 2 + (b * control) ** 2 + 2 * a * b * both**2
    df = float(left**2 / (of_squares - 2 * of_loss + of_pairs))
    rest = float(left - a * spent[0] - b * spent[1])
    return (float(a + b) / rest, df * rest / float(left)) if rest > 0 else (math.nan, 0.0)
