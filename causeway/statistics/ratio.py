"""Ratio metrics: the sum of an outcome over the sum of a denominator, with units of several denominators each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from scipy import optimize, special

from causeway.statistics.comparison import EstimatedMean, check_alpha, compare_means, satterthwaite_df
from causeway.statistics.effect import Effect, Status
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.regression_adjustment import PERFECT_FIT
from causeway.statistics.relative_effect import fieller_interval

# Coefficients of variation of a mean denominator. Up to the first the linear approximation of the delta method is
# good (Cochran 1977, Sampling Techniques, section 6.3); tests show what its intervals cover on either side of it.
# From the second on the denominator is less than 3.3 standard errors from zero, and no interval is worth printing.
WEAK = 0.1
LOST = 0.3


def difference_in_ratios(
    treated: JointMoments,
    control: JointMoments,
    *,
    outcome: str = "outcome",
    denominator: str = "denominator",
    alpha: float = 0.05,
) -> Effect:
    """Ratio of the treated minus ratio of the control, ratio = sum of the outcome / sum of the denominator.

    Units are what was randomised, so a unit's outcome and denominator belong together (clicks and sessions of a
    user). By the delta method the ratio R of an arm varies like the mean of z = R + (y - R d) / D, D the mean
    denominator (Deng, Knoblich & Lu 2018, equation 4); the rest is Welch's test on z. A unit without any
    denominator counts: it adds to the sums.

    Where the mean denominator of an arm has a coefficient of variation above 0.1, that is not safe. Then each arm
    has the interval of Fieller (1954), and their difference the limits of Zou & Donner (2008, equation 5):
    lower = effect - sqrt((R_t - low_t)**2 + (high_c - R_c)**2). p_value is the level at which that interval touches
    zero, std_error its half width over the critical value, and there is no relative effect. Above 0.3 there is no
    answer.

    treated, control: moments that hold at least the two named variables. alpha: error rate of the two-sided
    interval; ValueError unless it lies between 0 and 1.
    Statuses: no_units, too_few_units (an arm of one unit), not_estimable (the mean denominator of an arm is not
    well separated from zero; settings.reason), zero_variance.
    settings: variance ("delta_method"), interval ("delta" or "fieller"), denominator_cv and
    denominator_cv_control (coefficients of variation of the mean denominators).

    >>> arm = {"outcome": [2.0, 3.0, 1.0, 4.0], "denominator": [4.0, 5.0, 4.0, 5.0]}
    >>> other = {"outcome": [1.0, 2.0, 1.0, 1.0], "denominator": [4.0, 5.0, 5.0, 4.0]}
    >>> result = difference_in_ratios(JointMoments.from_arrays(arm), JointMoments.from_arrays(other))
    >>> round(result.mean, 4), round(result.mean_control, 4), round(result.std_error, 4)
    (0.5556, 0.2778, 0.1223)
    """
    check_alpha(alpha)
    problem = why_no_ratio(treated, control, denominator)
    if problem:
        status, reason = problem
        return Effect(status, treated.n, control.n, settings={"alpha": alpha, "reason": reason})
    arm, arm_control = (linearised(each, outcome, denominator).moments(outcome) for each in (treated, control))
    v, v_control = (each.m2_y / (each.n - 1) / each.n for each in (arm, arm_control))
    if v == v_control == 0:
        return Effect("zero_variance", arm.n, arm_control.n, arm.mean_y, arm_control.mean_y, settings={"alpha": alpha})
    df = satterthwaite_df((v, arm.n - 1), (v_control, arm_control.n - 1))
    cv, cv_control = denominator_cv(treated, denominator), denominator_cv(control, denominator)
    settings: dict[str, Any] = {
        "variance": "delta_method",
        "interval": "delta",
        "denominator_cv": cv,
        "denominator_cv_control": cv_control,
    }
    if max(cv, cv_control) > WEAK:
        return _difference_by_fieller(
            treated.select((outcome, denominator)), control.select((outcome, denominator)), df, alpha, settings
        )
    return compare_means(
        EstimatedMean(arm.n, arm.mean_y, v),
        EstimatedMean(arm_control.n, arm_control.mean_y, v_control),
        std_error=math.sqrt(v + v_control),
        df=df,
        alpha=alpha,
        settings=settings,
    )


def linearised(arm: JointMoments, outcome: str, denominator: str, covariates: Sequence[str] = ()) -> JointMoments:
    """Moments in which the outcome is z = R + (y - R d) / D, whose mean is the ratio R, beside the covariates.

    The mean denominator D must not be zero.
    """
    scale = arm.mean(denominator)
    ratio = arm.mean(outcome) / scale
    parts = arm.comoment(outcome, outcome), ratio * ratio * arm.comoment(denominator, denominator)
    m2 = parts[0] + parts[1] - 2 * ratio * arm.comoment(outcome, denominator)
    proportional = m2 <= PERFECT_FIT * (parts[0] + parts[1])
    rest = arm.select(covariates)
    comoments = [0.0 if proportional else m2 / scale / scale]
    for i, covariate in enumerate(covariates):
        with_z = (arm.comoment(outcome, covariate) - ratio * arm.comoment(denominator, covariate)) / scale
        first = i * (i + 1) // 2
        comoments += [0.0 if proportional else with_z, *rest.comoments[first : first + i + 1]]
    return JointMoments((outcome, *covariates), arm.n, (ratio, *rest.means), tuple(comoments))


def denominator_cv(arm: JointMoments, denominator: str) -> float:
    """Coefficient of variation of the mean denominator, standard error / |mean|; infinite where the mean is zero."""
    variance, mean = arm.variance(denominator), arm.mean(denominator)
    if variance is None or mean == 0:
        return math.inf
    return math.sqrt(variance / arm.n) / abs(mean)


def why_no_ratio(treated: JointMoments, control: JointMoments, denominator: str) -> tuple[Status, str] | None:
    """The status and the reason why two ratios cannot be compared; None if they can."""
    smallest = min(treated.n, control.n)
    if smallest == 0:
        return "no_units", "an arm is empty"
    if smallest == 1:
        return "too_few_units", "an arm has one unit"
    if max(denominator_cv(treated, denominator), denominator_cv(control, denominator)) > LOST:
        return "not_estimable", "the mean denominator of an arm is not well separated from zero"
    return None


def _difference_by_fieller(
    treated: JointMoments, control: JointMoments, df: float, alpha: float, settings: dict[str, Any]
) -> Effect:
    """The difference where the delta method is not safe; both arms hold the outcome and the denominator only."""
    critical_value = float(-special.stdtrit(df, alpha / 2))
    limit = 1 / max(denominator_cv(arm, arm.names[1]) for arm in (treated, control))
    if critical_value >= limit:
        reason = "the mean denominator of an arm is not separated from zero at this alpha"
        return Effect("not_estimable", treated.n, control.n, settings={"alpha": alpha, "reason": reason})
    ratio, ratio_control = (arm.means[0] / arm.means[1] for arm in (treated, control))
    difference = ratio - ratio_control
    lower, upper = _limits(treated, control, critical_value)

    def nearer_limit(quantile: float) -> float:
        low, high = _limits(treated, control, quantile)
        return low if difference >= 0 else -high

    # Beyond `limit` there is no interval: an effect that is still significant there has a p-value of at most that.
    last = limit * (1 - 1e-9)
    touching = last if nearer_limit(last) > 0 else float(optimize.brentq(nearer_limit, 0, last, xtol=1e-12))
    return Effect(
        status="ok",
        n=treated.n,
        n_control=control.n,
        mean=ratio,
        mean_control=ratio_control,
        effect=difference,
        std_error=(upper - lower) / 2 / critical_value,
        ci_low=lower,
        ci_high=upper,
        p_value=float(2 * special.stdtr(df, -touching)),
        settings={
            **settings,
            "interval": "fieller",
            "alpha": alpha,
            "df": df,
            "relative_status": "weak_denominator",
        },
    )


def _limits(treated: JointMoments, control: JointMoments, critical_value: float) -> tuple[float, float]:
    """Limits of the difference from those of the two ratios (Zou & Donner 2008, equation 5)."""
    ratio, low, high = _fieller(treated, critical_value)
    ratio_control, low_control, high_control = _fieller(control, critical_value)
    difference = ratio - ratio_control
    return (
        difference - math.hypot(ratio - low, high_control - ratio_control),
        difference + math.hypot(high - ratio, ratio_control - low_control),
    )


def _fieller(arm: JointMoments, critical_value: float) -> tuple[float, float, float]:
    """The ratio of one arm with the limits of Fieller (1954), which exist below 1 / cv of the denominator."""
    m2, c, m2_denominator = (comoment / (arm.n - 1) / arm.n for comoment in arm.comoments)
    found = fieller_interval(
        arm.means[0],
        arm.means[1],
        variance=m2,
        variance_denominator=m2_denominator,
        covariance=c,
        critical_value=critical_value,
    )
    if found is None:
        raise ValueError(f"there is no interval at {critical_value}: {arm}")
    return found
