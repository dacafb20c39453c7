"""What a study says of confounding that nobody measured."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from causeway.declarations.study import StudyDeclaration
from causeway.effects.studies.study import answer_study


def sensitivity(effect: float, **declared: Any) -> dict[str, Any]:
    """Of 400 units whose treatment depends on x."""
    dice = np.random.default_rng(3)
    x = dice.normal(size=400)
    t = dice.random(400) < 1 / (1 + np.exp(-x))
    frame = pl.DataFrame({"x": x, "t": t.astype(int), "y": effect * t + x + dice.normal(size=400)})
    study = StudyDeclaration.model_validate(
        {
            "kind": "study",
            "key": "q",
            "unit": "person",
            "treatment": {"column": "t", "values": {"control": 0, "treated": 1}},
            "outcome": {"column": "y"},
            "confounders": ["x"],
            "source": {"file": "q.csv"},
            **declared,
        }
    )
    return dict(answer_study(frame, study, in_full=False).answer.sensitivity)


def test_a_large_effect_takes_more_confounding_than_a_small_one() -> None:
    small, large = sensitivity(0.3), sensitivity(2.0)
    for name in ("e_value", "robustness_value", "robustness_value_ci"):
        assert large[name] > small[name]
    assert large["rosenbaum"]["critical_gamma"] > small["rosenbaum"]["critical_gamma"] >= 1
    assert large["e_value_ci"] <= large["e_value"]
    assert large["robustness_value_ci"] < large["robustness_value"]


def test_no_effect_needs_no_confounding() -> None:
    found = sensitivity(0.0)
    assert found["e_value_ci"] == 1.0
    assert found["robustness_value_ci"] == 0.0
    assert found["rosenbaum"]["critical_gamma"] == 1.0


def test_the_strongest_observed_column_is_a_benchmark_inside_the_contour() -> None:
    found = sensitivity(2.0)
    (mark,) = found["benchmarks"]
    assert mark["name"] == "x"
    assert mark["treatment"] <= max(found["contour"]["treatment_strengths"])
    assert found["contour"]["effects"][0][0] == pytest.approx(found["contour"]["effect"])
    assert all(math.isfinite(value) for row in found["contour"]["effects"] for value in row)


def test_of_a_known_design_nothing_unmeasured_can_confound() -> None:
    found = sensitivity(2.0, known_propensity=0.5)
    assert found["e_value"] is not None
    assert (found["robustness_value"], found["contour"], found["rosenbaum"]) == (None, None, None)
