"""Whether numbers can be computed with: neither so large that squares overflow, nor the work of a handful of units."""

from __future__ import annotations

import numpy as np

from causeway.effects.influence import Array, Flags

LARGEST = 1e30
"""Squares of what is beyond add up to infinity in the single precision of histogram trees."""
LEAST_SPREAD = 1e-30
"""Squares of what is below vanish."""


def beyond(values: Array) -> Flags:
    """Which values, (n,), are too large; missing ones are not."""
    return np.abs(values) > LARGEST


def varies(values: Array) -> bool:
    """Whether there is more than one value, and not by rounding."""
    return len(values) > 0 and float(np.ptp(values)) > LEAST_SPREAD


def effective_number(weights: Array) -> float:
    """(sum w)**2 / sum w**2: how many equal units have the variance of these (Kish 1965, Survey Sampling, ch. 8).

    >>> effective_number(np.array([1.0, 1.0, 1e-9]))
    2.000000002
    """
    share = weights / float(weights.max(initial=0.0) or 1.0)
    squares = float(share @ share)
    return float(share.sum()) ** 2 / squares if squares > 0 else 0.0


def carriers(values: Array) -> float:
    """The effective number of units that make up the variance of values (n,): of a number that is one for k of many
    units and zero for the others it is k, nearly.
    """
    centred = values - float(np.median(values))
    return effective_number(centred * centred / (float(np.abs(centred).max(initial=0.0)) or 1.0) ** 2)
