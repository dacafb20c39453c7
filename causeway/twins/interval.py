"""How far a twin may be off, read from how far the twins of control units were off."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt


def prediction_interval(
    observed: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64], *, coverage: float = 0.9
) -> tuple[float | None, float | None]:
    """Offsets (low, high), in the units of the outcome, to add to a prediction so that the outcome falls between.

    `observed` and `predicted`, both (units,), are of control units whose outcome the prediction did not see. The
    offsets are order statistics of the residuals (split conformal prediction, Lei et al. 2018, alg. 2, one tail at
    a time), so that at least `coverage` of exchangeable units are covered whatever the distribution, skewed ones
    included. With too few units to promise that the answer is (None, None).

    Raises ValueError for shapes that disagree or a coverage outside (0, 1).

    >>> prediction_interval(np.arange(100.0), np.zeros(100), coverage=0.9)
    (4.0, 95.0)
    """
    if observed.shape != predicted.shape:
        raise ValueError(f"observed and predicted must have the same shape: {observed.shape} and {predicted.shape}")
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must lie between 0 and 1: {coverage}")
    residuals = np.sort(observed - predicted)
    n = len(residuals)
    rank = math.ceil((n + 1) * (1 + coverage) / 2)
    if rank > n:
        return None, None
    return float(residuals[n - rank]), float(residuals[rank - 1])
