"""Which units have nobody to be compared with: what is said of them is extrapolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causeway.effects.influence import Array, Flags

LOWEST_PROPENSITY = 0.01
# In standard deviations of the column: the one extreme unit that every sample has is no extrapolation.
MARGIN = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """Where both arms have been seen: lowest and highest value of each column, (p,), margin included."""

    low: Array
    high: Array

    @classmethod
    def of(cls, x: Array, treated: Flags) -> Support:
        """Both arms need a unit."""
        margin = MARGIN * x.std(axis=0)
        ones, zeros = x[treated], x[~treated]
        return cls(
            np.maximum(ones.min(axis=0), zeros.min(axis=0)) - margin,
            np.minimum(ones.max(axis=0), zeros.max(axis=0)) + margin,
        )

    def outside(self, x: Array) -> Flags:
        """Units (m,) with a column beyond the range of either arm."""
        return np.asarray(((x < self.low) | (x > self.high)).any(axis=1), dtype=np.bool_)


def without_counterpart(propensity: Array, treated: Flags) -> Flags:
    """Units (n,) of a propensity below 0.01 or above 0.99, both as it is and with groups weighted to equal size, so
    that a rare treatment is not taken for a lack of overlap (as `causeway.effects.balance.overlap` does).
    """
    share = float(treated.mean())
    for_one, for_zero = propensity / share, (1 - propensity) / (1 - share)
    equal_groups = for_one / (for_one + for_zero)
    return np.asarray(_beyond(propensity) & _beyond(equal_groups), dtype=np.bool_)


def _beyond(propensity: Array) -> Flags:
    return np.asarray((propensity < LOWEST_PROPENSITY) | (propensity > 1 - LOWEST_PROPENSITY), dtype=np.bool_)
