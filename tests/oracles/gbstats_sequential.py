"""GrowthBook's engine: the confidence sequence of a difference of means."""

from __future__ import annotations

from typing import Any

from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import SampleMeanStatistic


def answers(questions: Any) -> Any:
    return [_answer(*question) for question in questions]


def _answer(control: list[float], treated: list[float], alpha: float, tuned_for: float) -> dict[str, float]:
    arms = [
        SampleMeanStatistic(n=len(each), sum=sum(each), sum_squares=sum(value * value for value in each))
        for each in (control, treated)
    ]
    config = SequentialConfig(difference_type="absolute", alpha=alpha, sequential_tuning_parameter=tuned_for)
    test = SequentialTwoSidedTTest(*arms, config)
    low, high = test.confidence_interval
    return {"rho": float(test.rho), "ci_low": float(low), "ci_high": float(high), "p_value": float(test.p_value)}
