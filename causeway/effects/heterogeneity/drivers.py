"""Which modifiers make the predicted effect large or small: contributions that add up to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from causeway.effects.heterogeneity.cate import Cate
from causeway.effects.heterogeneity.scores import Scores
from causeway.effects.influence import Array
from causeway.statistics.effect import Status

Direction = Literal["rises", "falls", "mixed", "none"]
MOST_UNITS = 10_000
# Of the spread of the effects: how far a sum of contributions may be from its effect.
TOLERANCE = 1e-3
# A rank correlation below this is no direction.
CLEAR = 0.3


@dataclass(frozen=True, slots=True)
class Driver:
    """importance: mean absolute contribution, in units of the outcome. share: of all columns' importance. direction:
    whether the contribution rises or falls with the column.
    """

    column: str
    importance: float
    share: float
    direction: Direction


@dataclass(frozen=True, slots=True, eq=False)
class Drivers:
    """Columns from the most to the least important. status "ok" without drivers: the effect is one number.

    units: positions (m,) of the units explained. contributions: (m, p), a unit's own by column, which with `base`
    (m,) add up to its effect. largest_gap: between such a sum and the effect, over the effects' standard deviation.
    """

    status: Status
    reason: str
    drivers: tuple[Driver, ...] = ()
    units: npt.NDArray[np.int64] | None = None
    contributions: Array | None = None
    base: Array | None = None
    largest_gap: float | None = None


def drivers(
    cate: Cate, x: Array, columns: Sequence[str], splits: Sequence[Scores], *, seed: int = 0, units: int = MOST_UNITS
) -> Drivers:
    """Explain the effects of at most `units` units, drawn at random, each by the models that have not seen it.

    TreeSHAP for boosted trees, the exact terms for a line. Contributions describe the model of the effect, not what
    would happen if a column were changed. Status not_estimable: a model without contributions, or a sum that is off
    by more than 0.001 standard deviations of the effect.
    """
    if not cate.model.stages:
        return Drivers("ok", "no drivers: one effect for everybody")
    n = len(cate.effect)
    chosen = np.arange(n)
    if n > units:
        chosen = np.sort(np.random.default_rng([seed, 4]).choice(n, units, replace=False))
    z = cate.model.scale.apply(x[chosen])
    total = np.zeros((len(chosen), x.shape[1] + 1))
    for split, stages in zip(splits, cate.model.stages, strict=True):
        for fold, stage in enumerate(stages):
            unit = split.folds[chosen] == fold
            found = stage.contributions(z[unit])
            if found is None:
                return Drivers("not_estimable", f"{cate.learner} has no contributions that add up to its effects")
            total[unit] += found / len(splits)
    spread = float(cate.effect.std())
    gap = float(np.abs(total.sum(axis=1) - cate.effect[chosen]).max())
    if spread == 0 or gap > TOLERANCE * spread:
        return Drivers("not_estimable", "contributions do not add up to the effects")
    by_column = total[:, :-1]
    importance = np.abs(by_column - by_column.mean(axis=0)).mean(axis=0)
    everything = float(importance.sum())
    ranked = sorted(range(x.shape[1]), key=lambda j: (-importance[j], j))
    return Drivers(
        "ok",
        "",
        tuple(
            Driver(
                columns[j],
                float(importance[j]),
                float(importance[j]) / everything if everything > 0 else 0.0,
                _direction(x[chosen, j], by_column[:, j]),
            )
            for j in ranked
        ),
        chosen,
        by_column,
        total[:, -1],
        gap / spread,
    )


def _direction(column: Array, contribution: Array) -> Direction:
    from scipy import stats

    # Rounding of float32 trees is no contribution.
    if np.ptp(column) == 0 or np.ptp(contribution) <= 1e-6 * max(1e-300, float(np.abs(contribution).max())):
        return "none"
    rank_correlation = float(stats.spearmanr(column, contribution).statistic)
    if abs(rank_correlation) < CLEAR:
        return "mixed"
    return "rises" if rank_correlation > 0 else "falls"
