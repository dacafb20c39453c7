"""From two estimated means to an effect with its t interval: the last step of every method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scipy import special

from causeway.statistics.effect import Effect
from causeway.statistics.relative_effect import relative_effect


@dataclass(frozen=True, slots=True)
class EstimatedMean:
    """The mean of one arm as an estimate: units, value, and the variance of the value (not of a unit)."""

    n: int
    value: float
    variance: float


def compare_means(
    treated: EstimatedMean,
    control: EstimatedMean,
    *,
    std_error: float,
    covariance: float = 0.0,
    df: float,
    alpha: float,
    settings: Mapping[str, Any],
) -> Effect:
    """Effect treated - control with a two-sided t interval and p-value, and the relative effect.

    std_error: of the difference, from the method: v + v - 2 cov would cancel where the covariance is high.
    covariance: of the two estimated means. df: degrees of freedom of std_error.
    settings: what the method did; alpha, df, relative_status and variance_of_means are added. The last lets a
    sequential method move the same effect to another critical value.
    """
    difference = treated.value - control.value
    critical_value = float(-special.stdtrit(df, alpha / 2))
    half_width = critical_value * std_error
    p_value = float(2 * special.stdtr(df, -abs(difference) / std_error))
    interval = (difference - half_width, difference + half_width)
    relative = relative_effect(
        treated.value,
        control.value,
        variance=treated.variance,
        variance_control=control.variance,
        covariance=covariance,
        critical_value=critical_value,
    )
    return Effect(
        status="ok",
        n=treated.n,
        n_control=control.n,
        mean=treated.value,
        mean_control=control.value,
        effect=difference,
        std_error=std_error,
        ci_low=interval[0],
        ci_high=interval[1],
        p_value=p_value,
        relative_effect=relative.effect,
        relative_ci_low=relative.ci_low,
        relative_ci_high=relative.ci_high,
        settings={
            **settings,
            "alpha": alpha,
            "df": df,
            "relative_status": relative.status,
            "variance_of_means": {"mean": treated.variance, "mean_control": control.variance, "covariance": covariance},
        },
    )


def satterthwaite_df(*parts: tuple[float, float]) -> float:
    """Degrees of freedom of a sum of independent variance estimates, given as (variance, df) pairs.

    The formula of Satterthwaite (1946) and Welch (1947) in shares of the total, which keeps it free of the
    outcome's scale.
    """
    total = sum(variance for variance, _ in parts)
    return 1 / sum((variance / total) ** 2 / df for variance, df in parts)


def check_alpha(alpha: float) -> None:
    """Raise ValueError unless alpha, the error rate of a two-sided interval, lies between 0 and 1."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1: {alpha}")
