"""The history of one metric, unit by unit, and what a design needs to know of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causeway.design.baseline import Baseline, variance_left
from causeway.design.comparison import Clusters
from causeway.design.replay import Estimate
from causeway.statistics.clusters import ClusteredArm, cluster_effect
from causeway.statistics.cuped import cuped
from causeway.statistics.difference_in_means import difference_in_means
from causeway.statistics.effect import Effect
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.life_table import LifeTable
from causeway.statistics.moments import Moments
from causeway.statistics.quantile import ArmQuantile, quantile_effect
from causeway.statistics.ratio import difference_in_ratios
from causeway.statistics.regression_adjustment import adjusted_effect
from causeway.statistics.time_to_event import restricted_mean_effect

Array = NDArray[np.float64]
Kind = Literal["mean", "ratio", "quantile", "time_to_event"]
Covariate = Literal["none", "own_past", "twin"]

OUTCOME, DENOMINATOR, SEEN, CLUSTER = "outcome", "denominator", "seen", "cluster"
BEFORE, DENOMINATOR_BEFORE, SCORE = "before", "denominator_before", "score"
COVARIATES: dict[Covariate, tuple[str, ...]] = {
    "none": (),
    "own_past": (BEFORE, DENOMINATOR_BEFORE),
    "twin": (SCORE,),
}


@dataclass(frozen=True, eq=False)
class MetricHistory:
    """Values of the units of a history, as the experiment would have measured them.

    kind: how arms are compared. columns: by name, shape (n,) each and finite: "outcome"; the "denominator" of a
    ratio; of a time to an event whether it was "seen" (1 or 0), the outcome being the time; "before" (and
    "denominator_before"), the same over the days before; "score", the twin's; "cluster", a number for each.
    day: on which day of the history a unit would have entered, shape (n,); None: that is not known.
    quantile: of a quantile; horizon: of a time to an event, up to which it is counted.

    >>> MetricHistory("mean", {"outcome": np.array([0.0, 1.0])}).baseline
    Baseline(mean=0.5, variance=0.25, proportion=True)
    """

    kind: Kind
    columns: dict[str, Array]
    day: NDArray[np.int64] | None = None
    quantile: float | None = None
    horizon: float | None = None

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if OUTCOME not in lengths or len(set(lengths.values())) != 1:
            raise ValueError(f"an outcome, and columns of one length, are wanted: {lengths}")

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.columns[OUTCOME])

    @property
    def has_formula(self) -> bool:
        """Whether power follows from means and variances; of quantiles and times to an event it is simulated."""
        return self.kind in ("mean", "ratio")

    @property
    def is_measured(self) -> bool:
        """Whether there is anything to plan from: two units, and a ratio's denominator is not zero throughout."""
        return self.n >= 2 and (not self.has_formula or self.baseline.variance is not None)

    @cached_property
    def joint(self) -> JointMoments:
        """Moments of everything that a mean or a ratio is made of."""
        return JointMoments.from_arrays({name: each for name, each in self.columns.items() if name != CLUSTER})

    @cached_property
    def baseline(self) -> Baseline:
        """Mean and variance of a unit's value; of a quantile or a time the mean is that quantity, without a variance.

        Without a variance, too, where there are fewer than two units or a ratio's denominator is zero.
        """
        outcome = self.columns[OUTCOME]
        if self.kind == "quantile" and self.n and self.quantile is not None:
            return Baseline(float(np.quantile(outcome, self.quantile)), None)
        if self.n < 2:
            return Baseline(float(outcome[0]) if self.n else 0.0, None)
        if self.kind == "ratio":
            return Baseline.of_ratio(self.joint) if self.joint.mean(DENOMINATOR) else Baseline(0.0, None)
        if self.kind == "mean" and np.isin(outcome, (0.0, 1.0)).all():
            return Baseline.of_proportion(float(outcome.mean()))
        return Baseline.of_moments(Moments.from_arrays(outcome))

    def covariates(self, kind: Covariate) -> tuple[str, ...]:
        """The columns that an adjustment of this kind has at hand; none for quantiles and times."""
        if not self.has_formula:
            return ()
        return tuple(name for name in COVARIATES[kind] if name in self.columns)

    def variance_factor(self, kind: Covariate) -> float | None:
        """What the covariate leaves of the variance of an arm's mean; None where there is none that can be used.

        With clusters that is not what it leaves of a unit's: what clusters have in common may be what it cannot tell.
        """
        names = self.covariates(kind)
        if not names or self.n < len(names) + 2 or self.baseline.variance is None:
            return None
        left = variance_left(self.joint, names, denominator=DENOMINATOR if self.kind == "ratio" else None)
        before, after = self.clusters, self._clusters_of(self.residuals(kind))
        if left is None or before is None or after is None:
            return left
        return min(left * after.design_effect / before.design_effect, 1.0)

    @cached_property
    def values(self) -> Array:
        """One value a unit whose mean over an arm moves as the metric does: a ratio's is linearised.

        Of a history that `is_measured`.
        """
        outcome = self.columns[OUTCOME]
        if self.kind != "ratio":
            return outcome
        ratio = self.baseline.mean
        return ratio + (outcome - ratio * self.columns[DENOMINATOR]) / self.joint.mean(DENOMINATOR)

    def residuals(self, kind: Covariate) -> Array:
        """The values less what the covariate tells of them, by least squares over the whole history."""
        names = self.covariates(kind)
        if not names:
            return self.values
        x = np.column_stack([self.columns[name] for name in names])
        centred = x - x.mean(axis=0)
        slopes = np.linalg.lstsq(centred, self.values - self.values.mean(), rcond=None)[0]
        left: Array = self.values - centred @ slopes
        return left

    @cached_property
    def clusters(self) -> Clusters | None:
        """Size and intraclass correlation of the clusters; None where units are randomised.

        The correlation is that of the analysis of variance (Donner & Koval 1980): (MSB - MSW) / (MSB + (m0 - 1) MSW)
        with m0 = (n - sum m**2 / n) / (k - 1), and 0 where it would be negative. 0 too if no cluster has two units.
        """
        return self._clusters_of(self.values) if self.is_measured else None

    def _clusters_of(self, values: Array) -> Clusters | None:
        if CLUSTER not in self.columns:
            return None
        index = np.unique(self.columns[CLUSTER], return_inverse=True)[1]
        sizes = np.bincount(index).astype(np.float64)
        k, n = len(sizes), self.n
        mean, cv = float(sizes.mean()), float(sizes.std() / sizes.mean())
        if k < 2 or k == n or not self.has_formula:
            return Clusters(mean, 0.0, cv)
        means = np.bincount(index, weights=values) / sizes
        between = float(sizes @ (means - values.mean()) ** 2) / (k - 1)
        within = float(((values - means[index]) ** 2).sum()) / (n - k)
        common = (n - float(sizes @ sizes) / n) / (k - 1)
        spread = between + (common - 1) * within
        correlation = 0.0 if spread <= 0 else min(max((between - within) / spread, 0.0), 1.0)
        return Clusters(mean, correlation, cv)

    @property
    def rows(self) -> Array:
        """The columns side by side, shape (n, columns), the outcome first: what `estimate` takes."""
        return np.column_stack([self.columns[name] for name in self._names])

    @property
    def _names(self) -> tuple[str, ...]:
        return (OUTCOME, *(name for name in self.columns if name != OUTCOME))

    def estimate(self, covariate: Covariate, alpha: float) -> Estimate:
        """The very method that will analyse the metric, as a function of the rows of two arms."""
        names = self._names
        compare = self._comparison(covariate, alpha)

        def answer(treated: Array, control: Array) -> Effect:
            if not len(treated) or not len(control):
                return Effect("no_units", len(treated), len(control))
            return compare(*({name: arm[:, at] for at, name in enumerate(names)} for arm in (treated, control)))

        return answer

    def _comparison(self, covariate: Covariate, alpha: float) -> Callable[[dict[str, Array], dict[str, Array]], Effect]:
        adjusting = self.covariates(covariate)
        if not self.has_formula:
            return self._distributions(alpha)
        if CLUSTER in self.columns:
            return self._cluster_comparison(adjusting, alpha)
        if covariate == "twin" and self.kind == "mean":
            return lambda *arms: adjusted_effect(
                *(Moments.from_arrays(arm[OUTCOME], arm[SCORE]) for arm in arms), alpha=alpha
            )
        if adjusting:
            denominator = DENOMINATOR if self.kind == "ratio" else None
            return lambda treated, control: cuped(
                JointMoments.from_arrays(treated),
                JointMoments.from_arrays(control),
                adjusting,
                denominator=denominator,
                alpha=alpha,
            )
        if self.kind == "ratio":
            return lambda *arms: difference_in_ratios(*(JointMoments.from_arrays(arm) for arm in arms), alpha=alpha)
        return lambda *arms: difference_in_means(*(Moments.from_arrays(arm[OUTCOME]) for arm in arms), alpha=alpha)

    def _cluster_comparison(
        self, adjusting: tuple[str, ...], alpha: float
    ) -> Callable[[dict[str, Array], dict[str, Array]], Effect]:
        denominator = DENOMINATOR if self.kind == "ratio" else None

        def compare(treated: dict[str, Array], control: dict[str, Array]) -> Effect:
            if denominator and not min(treated[denominator].sum(), control[denominator].sum()) > 0:
                reason = "the denominators of an arm do not sum to more than zero"
                settings = {"alpha": alpha, "reason": reason}
                return Effect("not_estimable", len(treated[OUTCOME]), len(control[OUTCOME]), settings=settings)
            arms = (_clustered(arm, adjusting, denominator) for arm in (treated, control))
            return cluster_effect(*arms, covariates=adjusting, alpha=alpha)

        return compare

    def _distributions(self, alpha: float) -> Callable[[dict[str, Array], dict[str, Array]], Effect]:
        if self.kind == "quantile":
            q = self.quantile if self.quantile is not None else math.nan
            return lambda *arms: quantile_effect(
                *(ArmQuantile.from_arrays(arm[OUTCOME], q, alpha=alpha) for arm in arms), alpha=alpha
            )
        horizon = self.horizon if self.horizon is not None else math.nan
        return lambda *arms: restricted_mean_effect(
            *(LifeTable.from_arrays(arm[OUTCOME], arm[SEEN] == 1) for arm in arms), horizon=horizon, alpha=alpha
        )


def _clustered(arm: dict[str, Array], covariates: tuple[str, ...], denominator: str | None) -> ClusteredArm:
    if denominator is None:
        return ClusteredArm.from_arrays(arm[CLUSTER], arm[OUTCOME], {name: arm[name] for name in covariates})
    index = np.unique(arm[CLUSTER], return_inverse=True)[1]
    sums = {name: np.bincount(index, weights=arm[name]) for name in (OUTCOME, denominator, *covariates)}
    return ClusteredArm(len(index), JointMoments.from_arrays(sums))
