"""Do twins predict on the right scale? Predicted and observed outcomes by tenths of the prediction."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from causeway.twins.learners import Array


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Units with similar predictions: their mean prediction and mean outcome, and the standard error of the
    latter.
    """

    n: int
    predicted: float
    observed: float
    std_error: float | None


def calibration_bins(predicted: Array, observed: Array, *, bins: int = 10) -> tuple[CalibrationBin, ...]:
    """Group control units, both arguments (units,), into `bins` groups of nearly equal size by prediction.

    Equal predictions stay together, so there may be fewer groups. Units whose outcome or prediction is
    missing are left out. The standard error needs two units. Observed means on the diagonal say that the
    score is calibrated (Cox 1958, Biometrika 45, 562-565).

    >>> outcomes = np.arange(4.0)
    >>> [(group.n, group.predicted, group.observed) for group in calibration_bins(outcomes, outcomes, bins=2)]
    [(2, 0.5, 0.5), (2, 2.5, 2.5)]
    """
    usable = np.isfinite(predicted) & np.isfinite(observed)
    x, y = predicted[usable], observed[usable]
    if len(x) == 0:
        return ()
    edges = np.unique(np.quantile(x, np.linspace(0, 1, bins + 1)[1:-1]))
    group = np.searchsorted(edges, x, side="right" if edges.size and edges[0] == x.min() else "left")
    results = []
    for index in np.unique(group):
        rows = group == index
        n = int(rows.sum())
        std_error = float(np.std(y[rows], ddof=1)) / math.sqrt(n) if n > 1 else None
        results.append(CalibrationBin(n, float(x[rows].mean()), float(y[rows].mean()), std_error))
    return tuple(results)
