"""Switchbacks: a unit (a city, a warehouse) changes between the arms from one time window to the next.

What is randomised is the cell, a unit in a window. Two things make cells unlike independent units: the treatment of
one window is still felt in the next (carry-over), and what goes on outside lasts longer than a window (serial
correlation).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causeway.statistics.clusters import FEWEST_DF, PERFECT_FIT, ClusteredArm, cluster_effect
from causeway.statistics.clusters_across_arms import COLUMNS, ClustersAcrossArms, effect_across_clusters
from causeway.statistics.comparison import EstimatedMean, check_alpha, compare_means
from causeway.statistics.effect import Effect, Status
from causeway.statistics.joint_moments import JointMoments

Cluster = Literal["cell", "window"]
Array = NDArray[np.float64]
# One number a unit and window between the first and the last: more is a mistaken window index.
LARGEST_GRID = 50_000_000


@dataclass(frozen=True, slots=True, eq=False)
class SwitchbackCells:
    """One row a unit and window, all of shape (cells,).

    unit: labels. window: whole numbers that count windows in time, so that neighbours differ by one.
    treated: which arm. outcome: sum in the cell; denominator: what it is a sum over (orders, visits, minutes). Both
    after the first minutes of the window have been left out, if a wash-out was declared.

    Raises ValueError for shapes that disagree, two rows of one cell, numbers that are not finite, and a negative
    denominator.
    """

    unit: NDArray[np.int64]
    window: NDArray[np.int64]
    treated: NDArray[np.bool_]
    outcome: Array
    denominator: Array

    @classmethod
    def from_arrays(
        cls,
        unit: ArrayLike,
        window: ArrayLike,
        treated: ArrayLike,
        outcome: ArrayLike,
        denominator: ArrayLike | None = None,
    ) -> SwitchbackCells:
        """The same from any arrays, in any order; a denominator of 1 a cell where none is given."""
        y = np.asarray(outcome, dtype=np.float64)
        d = np.ones_like(y) if denominator is None else np.asarray(denominator, dtype=np.float64)
        _, units = np.unique(np.asarray(unit), return_inverse=True)
        windows, arms = np.asarray(window), np.asarray(treated, dtype=bool)
        if not np.issubdtype(windows.dtype, np.integer):
            raise ValueError(f"windows are counted in whole numbers, not {windows.dtype}")
        if len({each.shape for each in (y, d, units, windows, arms)}) != 1 or y.ndim != 1:
            raise ValueError("one value a cell is wanted of each column")
        if not (np.isfinite(y).all() and np.isfinite(d).all() and (d >= 0).all()):
            raise ValueError("outcomes and denominators are finite, denominators not negative")
        order = np.lexsort((windows, units))
        cells = cls(units[order], windows[order].astype(np.int64), arms[order], y[order], d[order])
        twice = (np.diff(cells.unit) == 0) & (np.diff(cells.window) == 0)
        if twice.any():
            raise ValueError(f"{int(twice.sum())} cells have more than one row")
        return cells

    def where(self, kept: NDArray[np.bool_]) -> SwitchbackCells:
        """The cells that a mask of shape (cells,) keeps."""
        return SwitchbackCells(
            unit=self.unit[kept],
            window=self.window[kept],
            treated=self.treated[kept],
            outcome=self.outcome[kept],
            denominator=self.denominator[kept],
        )

    @property
    def by_arm(self) -> tuple[Array, Array, Array, Array]:
        """Outcome and denominator of the treated cells and of the control cells, each (cells,), 0 in the other arm."""
        t = self.treated
        return self.outcome * t, self.denominator * t, self.outcome * ~t, self.denominator * ~t

    def settled(self, carryover: int) -> NDArray[np.bool_]:
        """Cells whose unit was in the same arm in each of the `carryover` windows before, shape (cells,)."""
        kept = np.ones(len(self.unit), dtype=bool)
        for lag in range(1, carryover + 1):
            same = np.zeros(len(kept), dtype=bool)
            same[lag:] = (
                (self.unit[lag:] == self.unit[:-lag])
                & (self.window[lag:] - self.window[:-lag] == lag)
                & (self.treated[lag:] == self.treated[:-lag])
            )
            kept &= same
        return kept


def switchback_effect(
    cells: SwitchbackCells,
    *,
    cluster: Cluster = "cell",
    lags: int | None = None,
    carryover: int = 0,
    alpha: float = 0.05,
) -> Effect:
    """Mean over the treated cells minus mean over the control cells, each weighted with its denominator.

    carryover: for how many windows a treatment is felt afterwards. Only cells that were in the same arm for as many
    windows before are compared, which turns the effect of a window into that of being treated throughout (Bojinov,
    Simchi-Levi & Zhao 2023, in the form of a ratio of sums). The first windows of a unit drop out.
    cluster: "cell" if units switch apart; "window" if all of them switch together or share what happens in a window:
    then the cells of a window count as one.
    lags: over how many windows of one unit (or of all, for "window") residuals may be correlated: Newey & West (1987)
    with Bartlett's weights 1 - lag / (lags + 1). 0 takes clusters as independent, and is `cluster_effect` on cells, or
    `effect_across_clusters` on windows. None is the larger of carryover and 1.3 sqrt(windows) (Lazarus, Lewis, Stock &
    Watson 2018, which pays with few degrees of freedom for a small bias). Cells are correlated through the assignment
    where the arm is drawn for several windows at once, or where carryover makes neighbours share their past; if every
    window is drawn apart, correlated outcomes alone do no harm, and 0 would do.
    With kernel K and the clusters' shares p of an arm's denominator D, the variance is multiplied by V / (V - B),
    V = 1 / D_t + 1 / D_c, B = p_t' K p_t / D_t + p_c' K p_c / D_c, which makes it unbiased for independent residuals;
    df = V (V - B) / sum K**2 q q' with q = p_t / D_t + p_c / D_c, the equivalent degrees of freedom of the kernel
    (Priestley 1981), which for lags 0 are those of the effective number of clusters.

    Statuses: no_units, too_few_units (fewer than two cells, or windows, in an arm), zero_variance, not_estimable
    (less than one degree of freedom: too many lags for the windows there are).
    `n` and `n_control` count cells. settings: units, windows, cluster, lags, carryover, cells_left_out, df.

    >>> found = SwitchbackCells.from_arrays([1] * 8, range(8), [0, 1, 1, 0, 1, 0, 0, 1], [1, 3, 4, 2, 4, 1, 2, 3])
    >>> effect = switchback_effect(found, lags=1)
    >>> effect.effect, round(effect.std_error, 4), round(effect.settings["df"], 2)
    (2.0, 0.3371, 3.83)
    """
    check_alpha(alpha)
    if carryover < 0 or (lags is not None and lags < 0):
        raise ValueError(f"lags and carryover cannot be negative: {lags}, {carryover}")
    kept = cells.where(cells.settled(carryover) & (cells.denominator > 0))
    span = int(np.ptp(kept.window)) + 1 if len(kept.window) else 0
    if lags is None:
        lags = max(carryover, math.ceil(1.3 * math.sqrt(span)))
    n = int(kept.treated.sum())
    if lags == 0 or min(n, len(kept.unit) - n) < 2:
        effect = _independent(kept, cluster, alpha)
    else:
        effect = _newey_west(kept, cluster, lags, alpha)
    settings = {
        **effect.settings,
        "variance": f"switchback_{effect.settings['variance']}",
        "cluster": cluster,
        "lags": lags,
        "carryover": carryover,
        "cells_left_out": len(cells.unit) - len(kept.unit),
        "units": len(np.unique(kept.unit)),
        "windows": len(np.unique(kept.window)),
    }
    return replace(effect, settings=settings)


def _independent(cells: SwitchbackCells, cluster: Cluster, alpha: float) -> Effect:
    """Cells, or windows, as independent clusters."""
    t = cells.treated
    if cluster == "cell":
        arms = [
            ClusteredArm(
                int(arm.sum()),
                JointMoments.from_arrays({"outcome": cells.outcome[arm], "denominator": cells.denominator[arm]}),
            )
            for arm in (t, ~t)
        ]
        return cluster_effect(*arms, alpha=alpha)
    _, index = np.unique(cells.window, return_inverse=True)
    sums = {name: np.bincount(index, weights=column) for name, column in zip(COLUMNS, cells.by_arm, strict=True)}
    reached, reached_control = (int(np.sum(sums[name] > 0)) for name in ("denominator", "denominator_control"))
    return effect_across_clusters(
        ClustersAcrossArms(int(t.sum()), int((~t).sum()), reached, reached_control, JointMoments.from_arrays(sums)),
        alpha=alpha,
    )


def _newey_west(cells: SwitchbackCells, cluster: Cluster, lags: int, alpha: float) -> Effect:
    """Neighbouring windows of a unit, or of all units, are correlated; two cells or more in each arm."""
    n, n_control = int(cells.treated.sum()), int((~cells.treated).sum())
    y, d, y_control, d_control = _grid(cells, cluster)
    totals = float(d.sum()), float(d_control.sum())
    mean, mean_control = float(y.sum()) / totals[0], float(y_control.sum()) / totals[1]
    settings: dict[str, Any] = {"variance": "newey_west"}

    def without(status: Status, reason: str) -> Effect:
        why = {**settings, "alpha": alpha, "reason": reason}
        return Effect(status, n, n_control, mean, mean_control, settings=why)

    if min(int(np.sum(d > 0)), int(np.sum(d_control > 0))) < 2:
        return without("too_few_units", "an arm has fewer than two windows")
    share, share_control = d / totals[0], d_control / totals[1]
    of_treated = (y - mean * d) / totals[0]
    of_control = (y_control - mean_control * d_control) / totals[1]
    # In units of the smaller arm: only the proportion of the two matters.
    a, b = (min(totals) / total for total in totals)
    q = a * share + b * share_control
    left = a * (1 - _kernel(share, share, lags)) + b * (1 - _kernel(share_control, share_control, lags))
    variance = _kernel(of_treated - of_control, of_treated - of_control, lags)
    scale = float(np.sum((np.abs(y / totals[0]) + np.abs(y_control / totals[1])) ** 2))
    df = (a + b) * left / _kernel(q, q, lags, power=2)
    if df < FEWEST_DF:
        return without("not_estimable", "so many lags leave less than one degree of freedom")
    if variance <= PERFECT_FIT * scale:
        return without("zero_variance", "the cells of both arms have no spread of their own")
    factor = (a + b) / left
    return compare_means(
        EstimatedMean(n, mean, factor * _kernel(of_treated, of_treated, lags)),
        EstimatedMean(n_control, mean_control, factor * _kernel(of_control, of_control, lags)),
        std_error=math.sqrt(factor * variance),
        covariance=factor * _kernel(of_treated, of_control, lags),
        df=df,
        alpha=alpha,
        settings=settings,
    )


def _grid(cells: SwitchbackCells, cluster: Cluster) -> Array:
    """Outcome and denominator of both arms, shape (4, rows, windows); a row is a unit, or all units together."""
    rows = cells.unit if cluster == "cell" else np.zeros_like(cells.unit)
    n_rows, span = int(rows.max()) + 1, int(np.ptp(cells.window)) + 1
    if n_rows * span > LARGEST_GRID:
        raise ValueError(f"{n_rows} units by {span} windows: windows are counted one by one")
    grid = np.zeros((4, n_rows, span))
    for plane, column in zip(grid, cells.by_arm, strict=True):
        np.add.at(plane, (rows, cells.window - cells.window.min()), column)
    return grid


def _kernel(left: Array, right: Array, lags: int, *, power: int = 1) -> float:
    """left' K right with Bartlett's weights, to a power, within rows; both of shape (rows, windows)."""
    total = float(np.sum(left * right))
    for lag in range(1, min(lags, left.shape[1] - 1) + 1):
        weight = (1 - lag / (lags + 1)) ** power
        forwards, backwards = np.sum(left[:, lag:] * right[:, :-lag]), np.sum(left[:, :-lag] * right[:, lag:])
        total += weight * float(forwards + backwards)
    return total
