"""What one unit looks like today: the mean and the variance that a design starts from."""

from __future__ import annotations

import math
from dataclasses import dataclass

from causeway.statistics.moments import Moments


@dataclass(frozen=True, slots=True)
class Baseline:
    """Mean and variance of one unit's value, before any treatment.

    mean: in the units of the metric; of a ratio metric the ratio itself.
    variance: of one unit's value (divisor n - 1), not of the mean; of a ratio metric that of the linearised
    value. None where fewer than two units were seen.
    proportion: every value is 0 or 1, so that whoever moves the mean p moves the variance p (1 - p) with it.

    Raises ValueError for a number that is not finite, a negative variance, or a proportion outside [0, 1].

    >>> Baseline.of_proportion(0.2)
    Baseline(mean=0.2, variance=0.16000000000000003, proportion=True)
    """

    mean: float
    variance: float | None
    proportion: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.mean) or not math.isfinite(self.variance or 0.0) or (self.variance or 0.0) < 0:
            raise ValueError(f"a baseline has a finite mean and a finite variance of at least 0: {self}")
        if self.proportion and not 0 <= self.mean <= 1:
            raise ValueError(f"a proportion lies between 0 and 1: {self.mean}")

    @classmethod
    def of_moments(cls, moments: Moments) -> Baseline:
        """The baseline of a mean over units, from their moments; without a variance below two units."""
        return cls(moments.mean_y, moments.var_y)

    @classmethod
    def of_proportion(cls, share: float) -> Baseline:
        """The baseline of a conversion: `share` of the units have the value 1, the others 0."""
        return cls(share, share * (1 - share), proportion=True)

    @classmethod
    def of_ratio(
        cls,
        *,
        mean: float,
        mean_denominator: float,
        variance: float,
        variance_denominator: float,
        covariance: float,
    ) -> Baseline:
        """The baseline of a ratio of two means, with the variance of its linearised value.

        A unit with outcome y and denominator d counts as (y - R d) / mean(d) with R = mean(y) / mean(d), whose
        variance is (var(y) - 2 R cov(y, d) + R**2 var(d)) / mean(d)**2 (the delta method: Deng, Knoblich & Lu
        2018, "Applying the delta method in metric analytics", section 3).

        Raises ValueError if the denominator's mean is 0.

        >>> Baseline.of_ratio(mean=2, mean_denominator=4, variance=1, variance_denominator=4, covariance=1)
        Baseline(mean=0.5, variance=0.0625, proportion=False)
        """
        if mean_denominator == 0:
            raise ValueError("the mean of the denominator is 0: a ratio has no baseline")
        ratio = mean / mean_denominator
        linearised = variance - 2 * ratio * covariance + ratio * ratio * variance_denominator
        return cls(ratio, max(linearised, 0.0) / mean_denominator / mean_denominator)

    def variance_after(self, effect: float) -> float | None:
        """Variance of one treated unit's value once the mean has moved by `effect` (absolute).

        None where a proportion would leave [0, 1], and where there is no variance to begin with.
        """
        if not self.proportion or self.variance is None:
            return self.variance
        share = self.mean + effect
        return share * (1 - share) if 0 <= share <= 1 else None

    def relative(self, effect: float) -> float | None:
        """An absolute effect as a share of the baseline mean, 0.1 being +10 %; None where that is 0."""
        return effect / self.mean if self.mean != 0 else None
