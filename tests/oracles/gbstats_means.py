"""GrowthBook's engine: differences of means."""

from __future__ import annotations

from typing import Any

from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
from gbstats.models.statistics import SampleMeanStatistic


def answers(questions: Any) -> Any:
    return [_answer(*question) for question in questions]


def _answer(control: list[float], treated: list[float]) -> dict[str, float]:
    arms = [
        SampleMeanStatistic(n=len(each), sum=sum(each), sum_squares=sum(value * value for value in each))
        for each in (control, treated)
    ]
    found = TwoSidedTTest(*arms, FrequentistConfig(difference_type="absolute")).compute_result()
    return {"effect": found.expected, "ci_low": found.ci[0], "ci_high": found.ci[1], "p_value": found.p_value}
