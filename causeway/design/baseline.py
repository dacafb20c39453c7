"""What one unit looks like today: the mean and the variance that a design starts from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causeway.statistics.covariate_choice import usable_covariates
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments
from causeway.statistics.ratio import linearised

# A covariate that knew more would be the outcome itself, and would need no units at all.
SMALLEST_FACTOR = 1e-6


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
    def of_ratio(cls, history: JointMoments, *, outcome: str = "outcome", denominator: str = "denominator") -> Baseline:
        """The baseline of a ratio of two sums, with the variance of its linearised value (the delta method).

        Without a variance below two units; ValueError if the mean denominator is 0.

        >>> rows = {"outcome": [2.0, 1.0, 3.0], "denominator": [4.0, 4.0, 4.0]}
        >>> Baseline.of_ratio(JointMoments.from_arrays(rows))
        Baseline(mean=0.5, variance=0.0625, proportion=False)
        """
        if history.mean(denominator) == 0:
            raise ValueError("the mean of the denominator is 0: a ratio has no baseline")
        return cls.of_moments(linearised(history, outcome, denominator).moments(outcome))

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


def variance_left(
    history: JointMoments,
    covariates: Sequence[str],
    *,
    outcome: str = "outcome",
    denominator: str | None = None,
) -> float | None:
    """What covariates leave of the variance of the outcome: 1 - R**2 of its regression on them, adjusted for chance.

    With one covariate 1 - r**2 (Deng, Xu, Kohavi & Walker 2013, section 3.2), times (n - 1) / (n - 1 - k) for the
    k slopes that the history itself was fitted with (Ezekiel 1930), and never above 1.

    history: moments of units that nobody treated. denominator: of a ratio metric, whose linearised outcome it is.
    None where no covariate can be used, or the outcome does not vary.

    >>> rows = {"outcome": [1.0, 2.0, 4.0, 3.0, 5.0], "before": [1.0, 2.0, 3.0, 4.0, 5.0]}
    >>> round(variance_left(JointMoments.from_arrays(rows), ["before"]), 4)  # r = 0.9
    0.2533
    """
    used, _ = usable_covariates([history], covariates)
    if not used:
        return None
    sample = (
        history.select((outcome, *used)) if denominator is None else linearised(history, outcome, denominator, used)
    )
    variance = sample.variance(outcome)
    if not variance:
        return None
    spread = np.sqrt([sample.comoment(name, name) for name in used])
    correlations = sample.comoment_matrix(used, used) / spread / spread[:, None]
    with_outcome = sample.comoment_matrix(used, [outcome])[:, 0] / spread / math.sqrt(sample.comoment(outcome, outcome))
    left = 1 - float(with_outcome @ np.linalg.solve(correlations, with_outcome))
    chance = (sample.n - 1) / (sample.n - 1 - len(used))
    return min(max(left * chance, SMALLEST_FACTOR), 1.0)
