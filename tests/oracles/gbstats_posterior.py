"""GrowthBook's Bayesian engine."""

from __future__ import annotations

from typing import Any

from gbstats.bayesian.tests import EffectBayesianABTest, EffectBayesianConfig, GaussianPrior
from gbstats.models.statistics import SampleMeanStatistic


def answers(questions: Any) -> Any:
    return [_answer(**question) for question in questions]


def _answer(
    control: list[float],
    treated: list[float],
    scale: str,
    prior: dict[str, Any] | None,
    larger_is_better: bool,
    alpha: float,
) -> dict[str, float]:
    arms = [
        SampleMeanStatistic(n=len(each), sum=sum(each), sum_squares=sum(value * value for value in each))
        for each in (control, treated)
    ]
    config = EffectBayesianConfig(
        difference_type=scale,
        prior_type=prior["scale"] if prior else "relative",
        prior_effect=GaussianPrior(prior["mean"], prior["sd"] ** 2, True) if prior else GaussianPrior(),
        inverse=not larger_is_better,
        alpha=alpha,
    )
    found = EffectBayesianABTest(*arms, config).compute_result()
    risk_control, risk_treated = found.risk
    return {
        "mean": found.expected,
        "sd": found.uplift.stddev,
        "ci_low": found.ci[0],
        "ci_high": found.ci[1],
        "chance_to_beat_control": float(found.chance_to_win),
        "risk_control": risk_control,
        "risk_treated": risk_treated,
    }
