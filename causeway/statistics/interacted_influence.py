"""What each unit adds to the error of an adjusted mean, as linear forms of its own variables.

With the forms in hand, sums by cluster follow from one pass over the units, in SQL as well as over arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causeway.statistics.clusters import ClusteredArm
from causeway.statistics.joint_moments import JointMoments


@dataclass(frozen=True, slots=True)
class LinearForm:
    """constant + sum of weight * variable."""

    constant: float
    weights: Mapping[str, float]

    def of(self, variables: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
        """Its value for each unit, variables being of shape (n,)."""
        columns = {name: np.asarray(variables[name], dtype=np.float64) for name in self.weights}
        value = np.full(next(iter(columns.values())).shape, self.constant) if columns else np.array(self.constant)
        return np.asarray(sum((self.weights[name] * column for name, column in columns.items()), value))


@dataclass(frozen=True, slots=True)
class ArmInfluence:
    """Influence of a unit on one arm's adjusted mean: residual * leverage if it is of the arm, and shift in any case.

    residual: of the unit from the arm's plane. leverage: the row of the least-squares inverse that belongs to the mean
    at X. shift: the covariates' mean X is an estimate, too.
    """

    residual: LinearForm
    leverage: LinearForm
    shift: LinearForm

    def of(self, in_arm: ArrayLike, variables: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
        """For units, `in_arm` (n,) telling which are of the arm."""
        own = self.residual.of(variables) * self.leverage.of(variables)
        return np.where(np.asarray(in_arm, dtype=bool), own, 0.0) + self.shift.of(variables)


def arm_influence(
    arm: JointMoments,
    both: JointMoments,
    slopes: Mapping[str, float],
    *,
    outcome: str = "outcome",
    denominator: str | None = None,
) -> ArmInfluence:
    """The forms of one arm in the interacted regression of Lin (2013), with these slopes of its covariates.

    The mean of the arm at X, the mean of both arms, is mean_y + b' (X - mean_x); unit i of the arm contributes
    e_i (1 / n + (X - mean_x)' Sxx**-1 (x_i - mean_x)) with its residual e_i, and any unit b' (x_i - X) / N. The first
    are the rows of the sandwich of least squares, the second is what Negi & Wooldridge (2021) add because X comes from
    the sample.

    arm, both: moments of the outcome, the denominator of a ratio, and the covariates. Of a ratio, residuals are those
    of the linearised outcome of `causeway.statistics.ratio.linearised`.
    """
    names = list(slopes)
    means = np.array([arm.mean(name) for name in names])
    at = np.array([both.mean(name) for name in names])
    b = np.array([slopes[name] for name in names])
    h = _inverse(arm, names) @ (at - means) if names else np.zeros(0)
    scale = 1.0 if denominator is None else arm.mean(denominator)
    own = {outcome: 1 / scale}
    constant = float(b @ means)
    if denominator is None:
        constant -= arm.mean(outcome)
    else:
        own |= {denominator: -arm.mean(outcome) / scale / scale}
    return ArmInfluence(
        residual=LinearForm(constant, own | _named(names, -b)),
        leverage=LinearForm(1 / arm.n - float(h @ means), _named(names, h)),
        shift=LinearForm(-float(b @ at) / both.n, _named(names, b / both.n)),
    )


def slopes_spent(arm: JointMoments, clusters: ClusteredArm, covariates: Sequence[str]) -> float:
    """What estimating the slopes takes from the sum of squared influences of an arm, as a share of its variance.

    Under independent units the residuals of cluster g lose 1' H_g 1 of their n_g, with the leverage H_g (Bell &
    McCaffrey 2002). Of the slopes that is tr(Sxx**-1 sum_g u_g u_g') / n with u_g = sum over the cluster of
    x - mean_x: k / n for k covariates that do not follow the clusters, and k / G if they are constant within G equal
    ones, a degree of freedom each.

    arm: moments over units. clusters: sums of the arm's clusters, whose denominator is the number of units. Covariates
    should be measured from about their mean there, or a large one costs digits.
    """
    if not covariates:
        return 0.0
    products = clusters.residual_products(covariates) * clusters.total**2
    return float(np.trace(_inverse(arm, covariates) @ products)) / arm.n


def _inverse(arm: JointMoments, names: Sequence[str]) -> NDArray[np.float64]:
    """Sxx**-1, made in standard deviations."""
    gram = arm.comoment_matrix(names, names)
    spread = np.sqrt(np.diag(gram))
    return np.asarray(np.linalg.inv(gram / spread / spread[:, None]) / spread / spread[:, None])


def _named(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(names, values.tolist(), strict=True))
