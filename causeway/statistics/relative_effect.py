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
    if mean_control == 0 or critical_value * math.sqrt(variance_control) >= abs(mean_control):
        return RelativeEffect("denominator_not_separated_from_zero")
    # Everything is measured in control means first, so that very small or large units neither under- nor
    # overflow.
    ratio = mean / mean_control
    v = variance / mean_control / mean_control
    v_control = variance_control / mean_control / mean_control
    c = covariance / mean_control / mean_control
    q2 = critical_value * critical_value
    curvature = 1 - q2 * v_control
    centre = (ratio - q2 * c) / curvature
    spread = v - 2 * ratio * c + ratio * ratio * v_control - q2 * (v * v_control - c * c)
    half_width = critical_value * math.sqrt(max(spread, 0.0)) / curvature
    bounds = (ratio - 1, centre - half_width - 1, centre + half_width - 1)
    if not all(math.isfinite(bound) for bound in bounds):
        return RelativeEffect("denominator_not_separated_from_zero")
    return RelativeEffect("ok", *bounds)
