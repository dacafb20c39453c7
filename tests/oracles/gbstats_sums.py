"""GrowthBook's engine: means, ratios and adjusted means, from the sums that it takes. One covariate is its limit."""

from __future__ import annotations

from typing import Any

from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
from gbstats.models.statistics import RatioStatistic, RegressionAdjustedStatistic, SampleMeanStatistic, compute_theta

Arm = dict[str, list[float]]


def answers(questions: Any) -> Any:
    return [_answer(**question) for question in questions]


def _answer(kind: str, control: Arm, treated: Arm) -> dict[str, float]:
    arms = [_STATISTICS[kind](control), _STATISTICS[kind](treated)]
    if kind == "adjusted":
        theta = compute_theta(*arms)
        for arm in arms:
            arm.theta = theta
    found = TwoSidedTTest(*arms, FrequentistConfig(difference_type="absolute")).compute_result()
    return {
        "effect": found.expected,
        "ci_low": found.ci[0],
        "ci_high": found.ci[1],
        "p_value": found.p_value,
        "std_error": found.uplift.stddev,
    }


def _sums(values: list[float]) -> SampleMeanStatistic:
    return SampleMeanStatistic(n=len(values), sum=sum(values), sum_squares=sum(value * value for value in values))


def _products(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _ratio(arm: Arm) -> RatioStatistic:
    y, d = arm["outcome"], arm["denominator"]
    return RatioStatistic(n=len(y), m_statistic=_sums(y), d_statistic=_sums(d), m_d_sum_of_products=_products(y, d))


def _adjusted(arm: Arm) -> RegressionAdjustedStatistic:
    y, x = arm["outcome"], arm["x1"]
    return RegressionAdjustedStatistic(
        n=len(y),
        post_statistic=_sums(y),
        pre_statistic=_sums(x),
        post_pre_sum_of_products=_products(y, x),
        theta=0.0,
    )


_STATISTICS = {"mean": lambda arm: _sums(arm["outcome"]), "ratio": _ratio, "adjusted": _adjusted}
