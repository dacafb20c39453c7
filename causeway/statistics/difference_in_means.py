"""The plain answer of a randomised trial: the difference of two means."""

from __future__ import annotations

import math

from causeway.statistics.comparison import EstimatedMean, check_alpha, compare_means, satterthwaite_df
from causeway.statistics.effect import Effect, Status
from causeway.statistics.moments import Moments


def difference_in_means(treated: Moments, control: Moments, *, alpha: float = 0.05) -> Effect:
    """Mean of the treated minus mean of the control, by Welch's t test.

    Standard error sqrt(s_t**2 / n_t + s_c**2 / n_c) and Welch-Satterthwaite degrees of freedom (Welch 1947;
    Satterthwaite 1946), so the arms may differ in size and in variance. The relative effect has Fieller's
    interval.

    treated, control: moments of the outcome, one value a unit; covariate parts are not looked at.
    alpha: error rate of the two-sided interval, 0.05 for 95 %. Raises ValueError unless it lies between 0 and
    1.
    Statuses: no_units (an arm is empty), too_few_units (an arm of one unit), zero_variance (both arms are
    constant, so there is no standard error). One constant arm is fine: the other one carries the uncertainty.

    >>> arms = Moments.from_arrays([3.0, 4.0, 5.0]), Moments.from_arrays([1.0, 2.0, 3.0])
    >>> result = difference_in_means(*arms)
    >>> result.status, result.effect, round(result.std_error, 4), round(result.p_value, 4)
    ('ok', 2.0, 0.8165, 0.0705)
    """
    check_alpha(alpha)
    variance, variance_control = treated.var_y, control.var_y
    if treated.n == 0 or control.n == 0:
        return _undefined("no_units", treated, control, alpha)
    if variance is None or variance_control is None:
        return _undefined("too_few_units", treated, control, alpha)
    if variance == 0 and variance_control == 0:
        return _undefined("zero_variance", treated, control, alpha)

    v, v_control = variance / treated.n, variance_control / control.n
    return compare_means(
        EstimatedMean(treated.n, treated.mean_y, v),
        EstimatedMean(control.n, control.mean_y, v_control),
        std_error=math.sqrt(v + v_control),
        df=satterthwaite_df((v, treated.n - 1), (v_control, control.n - 1)),
        alpha=alpha,
        settings={"variance": "welch"},
    )


def _undefined(status: Status, treated: Moments, control: Moments, alpha: float) -> Effect:
    return Effect(
        status=status,
        n=treated.n,
        n_control=control.n,
        mean=treated.mean_y if treated.n else None,
        mean_control=control.mean_y if control.n else None,
        settings={"alpha": alpha},
    )
