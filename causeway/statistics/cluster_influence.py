"""An effect whose units are alike within clusters: its interval from what whole clusters contribute to its error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from causeway.statistics.clusters import FEWEST_DF, ClusteredArm, SmallSample
from causeway.statistics.clusters_across_arms import (
    cluster_settings,
    product_over_clusters,
    small_sample_of_clusters,
)
from causeway.statistics.comparison import EstimatedMean, check_alpha, compare_means
from causeway.statistics.effect import Effect, Status
from causeway.statistics.interacted_influence import arm_influence, slopes_spent
from causeway.statistics.joint_moments import JointMoments

INFLUENCES = ("influence", "influence_control", "denominator", "denominator_control")
LEVERAGES = ("leverage", "leverage_control")
# Below this share of the standard error of independent units, that of clusters is rounding.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class ClusterInfluence:
    """Sums of clusters of what their units contribute to the errors of two means.

    clusters, clusters_control: clusters with a unit in the arm. sums: moments over all clusters of "influence" and
    "influence_control", the contributions to the treated and to the control mean, which add up to zero, and of
    "denominator" and "denominator_control", the cluster's units in the arms. slopes: how many were estimated in both
    arms. spent: what they take from each arm (`slopes_spent`).
    """

    clusters: int
    clusters_control: int
    sums: JointMoments
    slopes: int = 0
    spent: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if set(INFLUENCES) - set(self.sums.names):
            raise ValueError(f"moments of clusters want {INFLUENCES}: {self.sums.names}")

    @classmethod
    def of_sums(cls, clusters: int, clusters_control: int, sums: JointMoments, *, slopes: int = 0) -> ClusterInfluence:
        """Where several means are estimated in an arm, and the sums have what each cluster loses to them.

        sums: with "leverage" and "leverage_control" as well, 1' H_g 1 of cluster g as a share of the arm's variance,
        H being the hat matrix of all means of the arm (Bell & McCaffrey 2002): sum_k n_gk**2 / n_k / n for strata. What
        is above the share that one mean alone would take is `spent`.
        """
        spent = []
        for name, denominator in zip(LEVERAGES, INFLUENCES[2:], strict=True):
            total = sums.n * sums.mean(denominator)
            squares = sums.comoment(denominator, denominator) + total * sums.mean(denominator)
            spent.append(sums.n * sums.mean(name) - squares / total**2 if total > 0 else 0.0)
        return cls(clusters, clusters_control, sums, slopes, (spent[0], spent[1]))

    @classmethod
    def from_arrays(
        cls,
        cluster: ArrayLike,
        treated: ArrayLike,
        influence: ArrayLike,
        influence_control: ArrayLike,
        *,
        slopes: int = 0,
        spent: tuple[float, float] = (0.0, 0.0),
    ) -> ClusterInfluence:
        """From units: labels, treated or not, and contributions to both means, each (n,)."""
        _, index = np.unique(np.asarray(cluster), return_inverse=True)
        t = np.asarray(treated, dtype=bool)
        columns = (np.asarray(influence, dtype=np.float64), np.asarray(influence_control, dtype=np.float64), t, ~t)
        sums = {name: np.bincount(index, weights=column) for name, column in zip(INFLUENCES, columns, strict=True)}
        reached, reached_control = (int(np.sum(sums[name] > 0)) for name in ("denominator", "denominator_control"))
        return cls(reached, reached_control, JointMoments.from_arrays(sums), slopes, spent)


def with_clusters(
    effect: Effect,
    found: ClusterInfluence,
    *,
    small_sample: SmallSample = "effective_clusters",
    alpha: float = 0.05,
) -> Effect:
    """The same effect with the interval that holds if units of a cluster are alike.

    The variance is f sum over clusters of (influence - influence_control)**2 (Liang & Zeger 1986). f and the degrees of
    freedom are those of `effect_across_clusters` for the clusters' shares in the arms, less what the slopes took (see
    `slopes_spent`). small_sample "cr1" is f = G / (G - 1) (N - 1) / (N - k), k being two more than the slopes, and
    G - 1 degrees of freedom; "none" is f = 1.

    effect: as for independent units; one that is not "ok" is returned with the clusters' settings.
    Statuses: too_few_units (an arm of fewer than two clusters), zero_variance, not_estimable (less than one degree of
    freedom is left).
    settings: those of the effect, and clusters, clusters_control, clusters_in_both, few_clusters (below 20 in all),
    effective_clusters and effective_clusters_control (of equal size, that would say as much of a mean), small_sample,
    design_effect (variance over that of independent units), df.
    """
    check_alpha(alpha)
    settings: dict[str, Any] = {
        **{name: value for name, value in effect.settings.items() if name not in ("variance_of_means", "df")},
        **cluster_settings(found.sums, found.clusters, found.clusters_control),
        "variance": "cluster_robust",
        "small_sample": small_sample,
    }
    if effect.status != "ok":
        return replace(effect, settings=settings | {"variance": None})

    def without(status: Status, reason: str) -> Effect:
        why = {**settings, "alpha": alpha, "reason": reason}
        return Effect(status, effect.n, effect.n_control, effect.mean, effect.mean_control, settings=why)

    if min(found.clusters, found.clusters_control) < 2:
        return without("too_few_units", "an arm has fewer than two clusters")
    sums = found.sums
    totals = (sums.n * sums.mean("denominator"), sums.n * sums.mean("denominator_control"))
    factor, df = small_sample_of_clusters(
        sums, totals, round(sum(totals)), small_sample, slopes=found.slopes, spent=found.spent
    )
    if df < FEWEST_DF:
        return without("not_estimable", "too few clusters are left for the slopes, or one holds nearly all units")
    comoments = sums.comoment_matrix(INFLUENCES[:2], INFLUENCES[:2])
    of_treated, of_control = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    v, v_control, covariance, variance = (
        factor * product_over_clusters(comoments, left, right)
        for left, right in (
            (of_treated, of_treated),
            (of_control, of_control),
            (of_treated, of_control),
            (of_treated - of_control, of_treated - of_control),
        )
    )
    assert effect.mean is not None and effect.mean_control is not None and effect.std_error is not None
    if variance <= (ROUNDING * effect.std_error) ** 2:
        return without("zero_variance", "the clusters' effects have no spread of their own")
    return compare_means(
        EstimatedMean(effect.n, effect.mean, v),
        EstimatedMean(effect.n_control, effect.mean_control, v_control),
        std_error=math.sqrt(variance),
        covariance=covariance,
        df=df,
        alpha=alpha,
        settings={**settings, "design_effect": variance / effect.std_error**2},
    )


def effect_across_clusters_adjusted(
    effect: Effect,
    cluster: ArrayLike,
    treated: ArrayLike,
    variables: Mapping[str, ArrayLike],
    slopes: tuple[Mapping[str, float], Mapping[str, float]],
    *,
    denominator: str | None = None,
    small_sample: SmallSample = "effective_clusters",
    alpha: float = 0.05,
) -> Effect:
    """`with_clusters` for an effect adjusted by regression, from units: the arrays' form of what SQL sums.

    effect: by `cuped` with slopes by arm, or `adjusted_effect`, on these units. variables: "outcome", the denominator
    of a ratio, and the covariates, each (n,). slopes: of the treated and of the control, by covariate.

    >>> from causeway.statistics.cuped import cuped
    >>> cluster, treated = np.repeat(np.arange(6), 4), np.tile([True, False], 12)
    >>> units = {"outcome": np.arange(24.0) % 7 + treated, "before": np.arange(24.0) % 5}
    >>> arms = [JointMoments.from_arrays({name: y[arm] for name, y in units.items()}) for arm in (treated, ~treated)]
    >>> plain = cuped(*arms, ["before"])
    >>> slopes = plain.settings["slopes"], plain.settings["slopes_control"]
    >>> found = effect_across_clusters_adjusted(plain, cluster, treated, units, slopes)
    >>> found.effect == plain.effect, round(found.std_error, 3), found.settings["clusters_in_both"]
    (True, 0.725, 6)
    """
    t, labels = np.asarray(treated, dtype=bool), np.asarray(cluster)
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in variables.items()}
    arms = [JointMoments.from_arrays({name: column[arm] for name, column in columns.items()}) for arm in (t, ~t)]
    both = arms[0] + arms[1]
    influences = [
        arm_influence(arm, both, own, denominator=denominator).of(rows, columns)
        for arm, own, rows in zip(arms, slopes, (t, ~t), strict=True)
    ]
    names = list(slopes[0])
    centred = {name: columns[name] - both.mean(name) for name in names}
    of_clusters = [
        ClusteredArm.from_arrays(labels[rows], columns["outcome"][rows], {name: centred[name][rows] for name in names})
        for rows in (t, ~t)
    ]
    spent = [slopes_spent(arm, clusters, names) for arm, clusters in zip(arms, of_clusters, strict=True)]
    found = ClusterInfluence.from_arrays(
        labels, t, influences[0], influences[1], slopes=2 * len(names), spent=(spent[0], spent[1])
    )
    return with_clusters(effect, found, small_sample=small_sample, alpha=alpha)
