"""A confounder that is made up does to a regression exactly what the formula says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from causeway.effects.estimators.least_squares import treatment_coefficient
from causeway.effects.sensitivity.linear_bias import LinearSensitivity
from causeway.effects.sensitivity.simulated_confounder import refute_with_confounder, simulate_confounder
from causeway.effects.sensitivity.strength import Strength

GRID = (0.0, 0.05, 0.3, 0.9)


def _study(sign: float = 1.0) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, 3)) * [1.0, 1e4, 1e-3]
    treated = generator.uniform(size=400) < 1 / (1 + np.exp(-x[:, 0]))
    outcome = sign * 1.5 * treated + x @ [1.0, 1e-4, 0.0] + generator.normal(size=400)
    return {"x": x, "treated": treated, "outcome": outcome}


def _regress(study: dict[str, Any]) -> Any:
    def estimate(x: Any) -> float:
        scaled = (x - x.mean(axis=0)) / x.std(axis=0)
        return treatment_coefficient(np.column_stack([np.ones(400), study["treated"], scaled]), study["outcome"]).value

    return estimate


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_regression_moves_by_the_bias_of_the_formula_whatever_the_seed(sign: float, seed: int) -> None:
    study = _study(sign)
    estimate = _regress(study)
    effect = estimate(study["x"])
    basis = np.column_stack([np.ones(400), study["treated"], study["x"]])
    residual = study["outcome"] - basis @ np.linalg.lstsq(basis, study["outcome"], rcond=None)[0]
    others = np.delete(basis, 1, axis=1)
    left = study["treated"] - others @ np.linalg.lstsq(others, study["treated"].astype(float), rcond=None)[0]
    linear = LinearSensitivity(effect, float(np.sqrt(residual @ residual / 395 / (left @ left))), 395)
    found = simulate_confounder(
        **study, effect=effect, re_estimate=estimate, outcome_strengths=GRID, treatment_strengths=GRID, seed=seed
    )
    expected = [[linear.adjusted(Strength(y, d))[0] for d in GRID] for y in GRID]
    assert found.status == "ok"
    assert np.array(found.effects) == pytest.approx(np.array(expected), abs=1e-8)


def test_the_added_column_has_the_strengths_that_were_asked_for_and_the_seed_decides_it() -> None:
    study, seen = _study(), []

    def listen(x: Any) -> float:
        seen.append(x[:, -1])
        return float(x[:, -1] @ x[:, -1])

    arguments: dict[str, Any] = {
        **study, "effect": 1.0, "re_estimate": listen, "outcome_strengths": [0.2], "treatment_strengths": [0.1],
    }  # fmt: skip
    for seed in (3, 3, 4):
        simulate_confounder(**arguments, seed=seed, draws=2)
    assert np.array_equal(seen[0], seen[2]) and np.array_equal(seen[1], seen[3])
    assert not np.allclose(seen[0], seen[1]) and not np.allclose(seen[0], seen[4])
    basis = np.column_stack([np.ones(400), study["x"]])
    t = study["treated"].astype(float)

    def left(values: Any, columns: Any) -> Any:
        scaled = columns / np.linalg.norm(columns, axis=0)
        return values - scaled @ np.linalg.lstsq(scaled, values, rcond=None)[0]

    for u in seen:
        assert np.corrcoef(left(u, basis), left(t, basis))[0, 1] ** 2 == pytest.approx(0.1, abs=1e-8)
        both = np.column_stack([basis, t])
        assert np.corrcoef(left(u, both), left(study["outcome"], both))[0, 1] ** 2 == pytest.approx(0.2, abs=1e-8)


def test_what_cannot_be_estimated_is_none_and_what_has_nothing_left_has_a_status() -> None:
    study = _study()
    arguments: dict[str, Any] = {
        "effect": 1.0, "outcome_strengths": [0.1], "treatment_strengths": [0.1], "seed": 0
    }  # fmt: skip
    failing = simulate_confounder(**study, **arguments, re_estimate=lambda x: float("nan"))
    assert failing.effects == ((None,),)
    with_copy = {**study, "x": np.column_stack([study["x"], study["treated"]])}
    assert simulate_confounder(**with_copy, **arguments, re_estimate=_regress(study)).status == "zero_variance"
    explained = {**study, "outcome": study["x"][:, 0] + 2.0 * study["treated"]}
    assert simulate_confounder(**explained, **arguments, re_estimate=_regress(study)).status == "zero_variance"
    few = {name: values[:5] for name, values in study.items()}
    assert simulate_confounder(**few, **arguments, re_estimate=_regress(study)).status == "too_few_units"


def test_a_problem_is_a_sign_that_the_strongest_observed_covariate_would_turn() -> None:
    benchmarks = [("age", Strength(0.1, 0.1)), ("income", Strength(0.2, 0.3))]
    scale = {"weak": 1.0, "strong": 10.0}
    weak, strong = (
        refute_with_confounder(
            method="aipw_ate",
            effect=1.0,
            benchmarks=benchmarks,
            re_estimate=lambda strength, size=size: 1 - size * strength.confounding,  # type: ignore[misc]
        )
        for size in scale.values()
    )
    assert (weak.problem_found, strong.problem_found) == (False, True)
    assert "income" in weak.detail and weak.p_value is None
    for nothing in (
        refute_with_confounder(method="m", effect=1.0, benchmarks=[], re_estimate=lambda s: 0.0),
        refute_with_confounder(method="m", effect=1.0, benchmarks=benchmarks, re_estimate=lambda s: float("nan")),
    ):
        assert (nothing.problem_found, nothing.new_effect) == (None, None)
