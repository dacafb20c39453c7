"""The line through the effects: how they change, on average, with each modifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causeway.effects.estimators.least_squares import EXACT_FIT
from causeway.effects.heterogeneity.means_of_scores import Estimate, estimate, joint_p_value
from causeway.effects.influence import Array, Flags, Labels, Linearised
from causeway.statistics.effect import Status
from causeway.statistics.multiple_testing import holm

# Fewer units a coefficient than this leave nothing to estimate an error from.
UNITS_A_COLUMN = 5


@dataclass(frozen=True, slots=True)
class Slope:
    """Change of the effect with one standard deviation of `column`, `spread`, the others as they are; per unit of the
    column, divide by `spread`. p_value_adjusted: Holm over the columns.
    """

    column: str
    slope: Estimate
    spread: float
    p_value_adjusted: float | None


@dataclass(frozen=True, slots=True)
class BestLinearProjection:
    """status: "ok", too_few_units, or no_covariates where no column varies. intercept: the effect at the columns'
    means, the average effect. p_value: of "all slopes are zero". left_out: columns that do not vary or that others
    determine.
    """

    status: Status
    intercept: Estimate | None = None
    slopes: tuple[Slope, ...] = ()
    p_value: float | None = None
    left_out: tuple[str, ...] = ()


def best_linear_projection(
    scores: Array,
    x: Array,
    columns: Sequence[str],
    treated: Flags,
    *,
    weights: Array | None = None,
    clusters: Labels | None = None,
    alpha: float = 0.05,
) -> BestLinearProjection:
    """Least squares of doubly robust scores (n,) on a constant and x (n, p): Semenova & Chernozhukov 2021, Econometrics
    Journal 24, eq. 2.3 and theorem 3.1, by which the nuisances add nothing to the error in large samples.

    A unit contributes a_i e_i / (1 - h_i), HC3, or without the denominator where a unit is fitted exactly; clusters
    are summed. Intervals are pointwise, p-values also adjusted.
    """
    n = len(scores)
    w = np.ones(n) if weights is None else weights / weights.mean()
    middle = np.average(x, axis=0, weights=w)
    spread = np.sqrt(np.average((x - middle) ** 2, axis=0, weights=w))
    kept = _independent((x - middle) / np.where(spread > 0, spread, 1.0), w, spread > 0)
    left_out = tuple(name for position, name in enumerate(columns) if position not in kept)
    if not kept:
        return BestLinearProjection("no_covariates", left_out=left_out)
    if n < UNITS_A_COLUMN * (len(kept) + 1):
        return BestLinearProjection("too_few_units", left_out=left_out)
    design = np.column_stack([np.ones(n), (x[:, kept] - middle[kept]) / spread[kept]])
    weighted = design * w[:, None]
    inverse = np.linalg.inv(design.T @ weighted)
    values = inverse @ (weighted.T @ scores)
    rows = weighted @ inverse
    residuals = scores - design @ values
    leverage = np.einsum("ij,ij->i", rows, design)
    contributions = rows * (residuals / (1 - leverage) if leverage.max() < EXACT_FIT else residuals)[:, None]
    scale = float(scores.std())
    found = [Linearised(float(values[j]), contributions[:, j], float(n - len(values))) for j in range(len(values))]
    estimates = [estimate(each, treated, clusters=clusters, scale=scale, alpha=alpha) for each in found]
    names = [columns[position] for position in kept]
    adjusted = holm({name: each.p_value for name, each in zip(names, estimates[1:], strict=True)})
    return BestLinearProjection(
        "ok",
        estimates[0],
        tuple(
            Slope(name, each, float(spread[position]), adjusted[name])
            for name, each, position in zip(names, estimates[1:], kept, strict=True)
        ),
        joint_p_value(found[1:], clusters),
        left_out,
    )


def _independent(z: Array, w: Array, varies: Flags) -> list[int]:
    """Positions of the columns that those before them do not determine, by pivots of the correlation matrix."""
    gram = (z * w[:, None]).T @ z / len(z)
    kept: list[int] = []
    for position in np.flatnonzero(varies):
        if kept:
            among = gram[np.ix_(kept, kept)]
            explained = gram[position, kept] @ np.linalg.solve(among, gram[kept, position])
            if gram[position, position] - explained < 1e-8:
                continue
        kept.append(int(position))
    return kept
