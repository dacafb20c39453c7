"""The effect as a share of the control mean, with an interval that covers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

RelativeStatus = Literal["ok", "denominator_not_separated_from_zero"]


@dataclass(frozen=True, slots=True)
class RelativeEffect:
    """mean / mean_control - 1 with its confidence interval; all three None unless status is "ok"."""

    status: RelativeStatus
    effect: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None


def relative_effect(
    mean: float,
    mean_control: float,
    *,
    variance: float,
    variance_control: float,
    covariance: float = 0.0,
    critical_value: float,
) -> RelativeEffect:
    """Relative effect mean / mean_control - 1 with the interval of Fieller (1954).

    The interval is every ratio r that the test of "mean - r * mean_control is zero" does not reject:
    (mean - r * mean_control)**2 <= q**2 * (v - 2 r c + r**2 * v_control). At r = 1 that is the test of the
    absolute effect, so with the same critical value q both intervals exclude "no effect" together. The set is
    an interval only while the control mean itself differs from zero at the same level; otherwise it is
    unbounded, and there is no answer.

    mean, mean_control: estimated means, in the units of the outcome.
    variance, variance_control, covariance: of those two estimates (squared standard errors, not of single
    units).
    critical_value: two-sided quantile q, for example 1.96 or that of Student's t.

    >>> ratio = relative_effect(11.0, 10.0, variance=0.01, variance_control=0.01, critical_value=1.96)
    >>> round(ratio.effect, 4), round(ratio.ci_low, 4), round(ratio.ci_high, 4)
    (0.1, 0.0713, 0.1296)
    """
    interval = fieller_interval(
        mean,
        mean_control,
        variance=variance,
        variance_denominator=variance_control,
        covariance=covariance,
        critical_value=critical_value,
    )
    if interval is None:
        return RelativeEffect("denominator_not_separated_from_zero")
    ratio, low, high = interval
    return RelativeEffect("ok", ratio - 1, low - 1, high - 1)


def fieller_interval(
    numerator: float,
    denominator: float,
    *,
    variance: float,
    variance_denominator: float,
    covariance: float,
    critical_value: float,
) -> tuple[float, float, float] | None:
    """numerator / denominator with the limits of Fieller (1954), as `relative_effect` explains; None if unbounded.

    >>> fieller_interval(3.0, 2.0, variance=0.0, variance_denominator=0.0, covariance=0.0, critical_value=1.96)
    (1.5, 1.5, 1.5)
    """
    if denominator == 0 or critical_value * math.sqrt(variance_denominator) >= abs(denominator):
        return None
    # Everything is measured in denominators first, so that very small or large units neither under- nor overflow.
    ratio = numerator / denominator
    v = variance / denominator / denominator
    v_denominator = variance_denominator / denominator / denominator
    c = covariance / denominator / denominator
    q2 = critical_value * critical_value
    curvature = 1 - q2 * v_denominator
    centre = (ratio - q2 * c) / curvature
    spread = v - 2 * ratio * c + ratio * ratio * v_denominator - q2 * (v * v_denominator - c * c)
    half_width = critical_value * math.sqrt(max(spread, 0.0)) / curvature
    found = (ratio, centre - half_width, centre + half_width)
    return found if all(map(math.isfinite, found)) else None
