"""Spotify's Confidence: differences of means by Student's t, from sums."""

from __future__ import annotations

from typing import Any

import pandas as pd
from spotify_confidence import StudentsTTest


def answers(questions: Any) -> Any:
    return [_answer(*question) for question in questions]


def _answer(control: list[float], treated: list[float]) -> dict[str, float]:
    rows = [
        {"arm": arm, "n": len(values), "sum": sum(values), "squares": sum(value * value for value in values)}
        for arm, values in (("control", control), ("treated", treated))
    ]
    test = StudentsTTest(
        pd.DataFrame(rows),
        numerator_column="sum",
        numerator_sum_squares_column="squares",
        denominator_column="n",
        categorical_group_columns="arm",
        interval_size=0.95,
    )
    (found,) = test.difference("control", "treated", absolute=True).to_dict("records")
    return {
        "effect": float(found["difference"]),
        "ci_low": float(found["ci_lower"]),
        "ci_high": float(found["ci_upper"]),
        "p_value": float(found["p-value"]),
    }
