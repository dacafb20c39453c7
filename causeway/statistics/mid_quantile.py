"""Quantiles of the mid-distribution: one definition for values without ties and for rounded ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Step:
    """One distinct value of a sample: a step of its distribution function.

    value: in the units of the outcome. below: number of smaller values. ties: number of values equal to it.
    Raises ValueError for a value that is not finite, a negative `below`, or `ties` below 1.

    >>> Step(2.0, below=1, ties=3).middle
    2.5
    """

    value: float
    below: int
    ties: int

    def __post_init__(self) -> None:
        if not math.isfinite(self.value) or self.below < 0 or self.ties < 1:
            raise ValueError(f"a step wants a finite value, none or more below it and one or more at it: {self}")

    @property
    def middle(self) -> float:
        """Number of values below it plus half of those at it: n times the mid-distribution function."""
        return self.below + self.ties / 2

    @property
    def through(self) -> int:
        """Number of values at or below it."""
        return self.below + self.ties


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where the mid-distribution function crosses a position: between two neighbouring steps.

    share: how far the crossing lies from `low` (0) to `high` (1).
    """

    low: Step
    high: Step
    share: float

    @property
    def value(self) -> float:
        """The quantile, in the units of the outcome."""
        return self.low.value + self.share * (self.high.value - self.low.value)

    @property
    def weights(self) -> tuple[float, float]:
        """What a value equal to `low`, and one equal to `high`, counts in the share of values below the quantile.

        A smaller value counts 1, a larger one 0. With these weights that share is exactly the level of the
        quantile, and its sampling error is, to first order, the quantile's (times the slope).
        """
        return (1 + self.share) / 2, self.share / 2


def rank_at(n: int, level: float) -> int:
    """Rank, 1 to n, of the order statistic that is the ordinary quantile: `percentile_disc(level)` in SQL."""
    return min(max(math.ceil(n * level), 1), n)


def crossing(steps: Sequence[Step], n: int, level: float) -> Crossing | None:
    """Where the mid-distribution function crosses a level, and so the quantile of that level.

    The quantile of Ma, Genton & Parzen (2011, "Asymptotic properties of sample quantiles of discrete
    distributions"): the points (middle, value) of all distinct values, joined by straight lines. Without ties
    that is the fifth definition of Hyndman & Fan (1996), `numpy.quantile(..., method="hazen")`. With ties it
    moves on where the ordinary quantile, stuck on one value, does not.

    steps: distinct values in ascending order; at least the one at `rank_at(n, level)` and both its neighbours.
    n: size of the sample. None below the middle of the smallest value and above that of the largest. Raises
    ValueError where a step is missing.

    >>> crossing([Step(1.0, 0, 1), Step(2.0, 1, 1), Step(3.0, 2, 2)], n=4, level=0.5).value
    2.3333333333333335
    """
    position = n * level
    low = next((step for step in reversed(steps) if step.middle <= position), None)
    high = next((step for step in steps if step.middle > position), None)
    if low is not None and high is not None and low.through == high.below:
        return Crossing(low, high, (position - low.middle) / (high.middle - low.middle))
    if (low is None and steps and steps[0].below == 0) or (high is None and steps and steps[-1].through == n):
        return None
    raise ValueError(f"the steps around position {position} of {n} are not all here: {list(steps)}")


def steps_near(values: NDArray[np.float64], counts: NDArray[np.int64], ranks: Sequence[int]) -> tuple[Step, ...]:
    """The steps at the wanted ranks and their neighbours, in ascending order.

    values, counts: distinct values in ascending order and how often each occurs, shape (distinct,).
    """
    through = np.cumsum(counts)
    found = np.searchsorted(through, np.asarray(ranks))
    near = sorted({k for hit in found.tolist() for k in (hit - 1, hit, hit + 1) if 0 <= k < len(values)})
    return tuple(Step(float(values[k]), int(through[k] - counts[k]), int(counts[k])) for k in near)
