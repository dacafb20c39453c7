"""The same answer from fewer units: adjust for what the twin predicted before the trial."""

from __future__ import annotations

import math
from dataclasses import dataclass

from causeway.statistics.comparison import EstimatedMean, check_alpha, compare_means, satterthwaite_df
from causeway.statistics.effect import Effect, Status
from causeway.statistics.moments import Moments

# Below this share of the outcome's sum of squares, a residual sum of squares is rounding: (1 - r**2) cancels.
PERFECT_FIT = 1e-12


def adjusted_effect(treated: Moments, control: Moments, *, alpha: float = 0.05) -> Effect:
    """Effect adjusted for the prognostic score x by the interacted regression of Lin (2013), from sums alone.

    Each arm has its own line y = a + b x, read at the mean score X of both arms together:
    m_arm = mean_y + b (X - mean_x); the effect is m_t - m_c, which equals the coefficient of t in OLS
    y ~ t * (x - X). An arm's line is uncertain by s**2 (1 / n + (X - mean_x)**2 / m2_x), with s**2 =
    RSS / (n - 2). X is itself an estimate when units are a sample, which adds (b_t - b_c)**2 var(x) / N to
    the variance of the effect (Negi & Wooldridge 2021) and b_t b_c var(x) / N to the covariance of the two
    means, which Fieller's interval needs. Degrees of freedom by Satterthwaite over the three parts. With a
    prognostic score this is PROCOVA (Schuler et al. 2022).

    treated, control: moments of outcome y and score x of the same units; x must be known before treatment.
    alpha: error rate of the two-sided interval. Raises ValueError unless it lies between 0 and 1.
    Statuses: no_units, too_few_units (an arm of one unit), no_covariates (x is missing or the same for
    everybody), not_estimable (an arm of two units, or one in which x is constant: no line can be drawn;
    settings.reason), zero_variance (the lines fit without residual, or the outcome is constant).
    `mean` and `mean_control` are the adjusted means, so effect = mean - mean_control; None where they are
    undefined.
    settings: slope, slope_control, r_squared (share of the variance within arms that x explains),
    variance_ratio (squared standard error over that of the plain difference), effect_unadjusted,
    mean_unadjusted, mean_control_unadjusted, score_difference (mean score of the treated minus control, in
    standard deviations).

    >>> treated = Moments.from_arrays([3.1, 4.0, 5.2, 5.9], x=[1.0, 2.0, 3.0, 4.0])
    >>> control = Moments.from_arrays([1.0, 2.1, 2.9, 4.1], x=[1.0, 2.0, 3.0, 4.0])
    >>> result = adjusted_effect(treated, control)
    >>> round(result.effect, 3), round(result.std_error, 3), round(result.settings["variance_ratio"], 3)
    (2.025, 0.095, 0.011)
    """
    check_alpha(alpha)
    pooled = treated + control
    line, line_control = _fit(treated), _fit(control)
    if line is None or line_control is None or not pooled.var_x or line.rss == line_control.rss == 0:
        status, reason = _why_not(treated, control, pooled)
        return Effect(status, treated.n, control.n, settings={"alpha": alpha, "reason": reason})

    v = line.variance_at(pooled.mean_x)
    v_control = line_control.variance_at(pooled.mean_x)
    # In standard errors of X, so that a score in very small or large units neither under- nor overflows.
    slope, slope_control = (each.slope * math.sqrt(pooled.var_x / pooled.n) for each in (line, line_control))
    v_interaction = (slope - slope_control) ** 2
    v_effect = v + v_control + v_interaction
    v_unadjusted = treated.m2_y / (treated.n - 1) / treated.n + control.m2_y / (control.n - 1) / control.n
    return compare_means(
        EstimatedMean(treated.n, line.at(pooled.mean_x), v + slope**2),
        EstimatedMean(control.n, line_control.at(pooled.mean_x), v_control + slope_control**2),
        std_error=math.sqrt(v_effect),
        covariance=slope * slope_control,
        df=satterthwaite_df((v, treated.n - 2), (v_control, control.n - 2), (v_interaction, pooled.n - 1)),
        alpha=alpha,
        settings={
            "variance": "interacted_regression_superpopulation",
            "slope": line.slope,
            "slope_control": line_control.slope,
            "r_squared": 1 - (line.rss + line_control.rss) / (treated.m2_y + control.m2_y),
            "variance_ratio": v_effect / v_unadjusted,
            "effect_unadjusted": treated.mean_y - control.mean_y,
            "mean_unadjusted": treated.mean_y,
            "mean_control_unadjusted": control.mean_y,
            "score_difference": (treated.mean_x - control.mean_x) / math.sqrt(pooled.var_x),
        },
    )


@dataclass(frozen=True, slots=True)
class _Line:
    """The least-squares line of one arm: y = arm.mean_y + slope (x - arm.mean_x)."""

    arm: Moments
    slope: float
    rss: float

    def at(self, x: float) -> float:
        return self.arm.mean_y + self.slope * (x - self.arm.mean_x)

    def variance_at(self, x: float) -> float:
        leverage = 1 / self.arm.n + (x - self.arm.mean_x) ** 2 / self.arm.m2_x
        return self.rss / (self.arm.n - 2) * leverage


def _fit(arm: Moments) -> _Line | None:
    """The line of one arm; None with fewer than three units or a constant score."""
    if arm.n < 3 or not arm.var_x:
        return None
    if not arm.var_y:
        return _Line(arm, 0.0, 0.0)
    slope = arm.c_xy / arm.m2_x
    rss = arm.m2_y - slope * arm.c_xy
    return _Line(arm, slope, rss if rss > PERFECT_FIT * arm.m2_y else 0.0)


def _why_not(treated: Moments, control: Moments, pooled: Moments) -> tuple[Status, str]:
    """The status of an effect that cannot be adjusted: the first that applies."""
    smallest = min(treated.n, control.n)
    found: list[tuple[bool, Status, str]] = [
        (smallest == 0, "no_units", "an arm is empty"),
        (smallest == 1, "too_few_units", "an arm has one unit"),
        (not pooled.var_x, "no_covariates", "the score is missing or the same for everybody"),
        (smallest == 2, "not_estimable", "a line needs three units in each arm"),
        (not treated.var_x or not control.var_x, "not_estimable", "the score is constant in one arm"),
        (True, "zero_variance", "no residual variance is left in either arm"),
    ]
    return next((status, reason) for applies, status, reason in found if applies)
