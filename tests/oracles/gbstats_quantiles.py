"""GrowthBook's engine: differences of quantiles."""

from __future__ import annotations

from typing import Any

from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
from gbstats.models.statistics import QuantileClusteredStatistic, QuantileStatistic


def answers(questions: Any) -> Any:
    return [_answer(question["control"], question["treated"]) for question in questions]


def _answer(control: dict[str, float], treated: dict[str, float]) -> dict[str, float]:
    arms = [
        QuantileClusteredStatistic(**each) if "n_clusters" in each else QuantileStatistic(**each)
        for each in (control, treated)
    ]
    test = TwoSidedTTest(*arms, FrequentistConfig(difference_type="absolute"))
    found = test.compute_result()
    return {"effect": found.expected, "variance": test.variance, "ci_low": found.ci[0], "ci_high": found.ci[1]}
