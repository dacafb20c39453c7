"""The prognostic score: it predicts, and no unit's own outcome can reach it."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
import pytest

from causeway.twins.prognostic import PrognosticFit, fit_prognostic, unit_folds

Array = npt.NDArray[np.float64]


def world(n: int, seed: int = 0, *, curve: bool = False) -> tuple[Array, Array, npt.NDArray[np.bool_], list[str]]:
    """Two informative covariates, one idle; noise of variance one, so the best R squared is known."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 3))
    signal = 2 * np.abs(x[:, 0]) + np.sin(2 * x[:, 1]) if curve else x[:, 0] + x[:, 1]
    is_control = generator.uniform(size=n) < 0.6
    y = signal + generator.normal(size=n) + np.where(is_control, 0.0, 5.0)
    return x, y, is_control, [f"unit {i:06d}" for i in range(n)]


def fit(n: int = 900, seed: int = 3, **changes: object) -> PrognosticFit:
    x, y, is_control, ids = world(n)
    arguments: dict[str, object] = {
        "x": x,
        "y": y,
        "is_control": is_control,
        "unit_ids": ids,
        "seed": seed,
        **changes,
    }
    return fit_prognostic(**arguments)  # type: ignore[arg-type]


def test_a_linear_world_is_learned_by_ridge_up_to_its_noise() -> None:
    found = fit(4_000)
    assert found.status == "ok"
    assert found.learner == "ridge"
    assert found.r_squared == pytest.approx(2 / 3, abs=0.03)
    assert set(found.fold_learners) == {"ridge"}
    assert found.candidates["mean_only"] == pytest.approx(3.0, abs=0.25)
    assert found.importances["x2"] < 0.01 < found.importances["x0"]


def test_a_curved_world_is_learned_by_boosting() -> None:
    x, y, is_control, ids = world(6_000, curve=True)
    found = fit_prognostic(x, y, is_control, ids, seed=1, feature_names=["a", "b", "c"])
    assert found.learner == "hist_gradient_boosting"
    assert found.r_squared is not None and found.r_squared > 0.5
    assert list(found.importances) == ["a", "b", "c"]


def test_noise_is_not_taken_for_a_signal() -> None:
    x, _, is_control, ids = world(3_000)
    y = np.random.default_rng(9).normal(size=3_000)
    found = fit_prognostic(x, y, is_control, ids, seed=1)
    assert found.r_squared == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize("curve", [False, True])
def test_changing_a_units_outcome_leaves_the_scores_of_its_whole_fold_untouched(curve: bool) -> None:
    x, y, is_control, ids = world(600, curve=curve)
    unit = int(np.flatnonzero(is_control)[7])
    same_fold = unit_folds(ids, seed=3, folds=5) == unit_folds([ids[unit]], seed=3, folds=5)[0]
    changed = y.copy()
    changed[unit] += 1_000.0
    before = fit_prognostic(x, y, is_control, ids, seed=3).scores
    after = fit_prognostic(x, changed, is_control, ids, seed=3).scores
    assert before is not None and after is not None
    assert (before[same_fold] == after[same_fold]).all()
    assert (before[~same_fold] != after[~same_fold]).any()


def test_outcomes_of_treated_units_are_never_used() -> None:
    x, y, is_control, ids = world(600)
    other = np.where(is_control, y, np.nan)
    first, second = (fit_prognostic(x, outcome, is_control, ids, seed=3).scores for outcome in (y, other))
    assert first is not None and second is not None
    assert (first == second).all()


def test_the_order_of_the_rows_changes_no_bit() -> None:
    x, y, is_control, ids = world(900, curve=True)
    order = np.random.default_rng(5).permutation(900)
    straight = fit_prognostic(x, y, is_control, ids, seed=3)
    shuffled = fit_prognostic(x[order], y[order], is_control[order], [ids[i] for i in order], seed=3)
    assert straight.scores is not None and shuffled.scores is not None
    assert straight.scores[order].tobytes() == shuffled.scores.tobytes()
    assert straight.candidates == shuffled.candidates
    assert straight.importances == shuffled.importances


def test_the_same_seed_gives_the_same_bits_and_another_seed_other_folds() -> None:
    first, again, other = fit(seed=3), fit(seed=3), fit(seed=4)
    assert first.scores is not None and again.scores is not None and other.scores is not None
    assert first.scores.tobytes() == again.scores.tobytes()
    assert not np.array_equal(first.scores, other.scores)


def test_a_unit_without_outcome_is_scored_but_teaches_nothing() -> None:
    x, y, is_control, ids = world(600)
    unit = int(np.flatnonzero(is_control)[0])
    y[unit] = np.nan
    found = fit_prognostic(x, y, is_control, ids, seed=3)
    assert found.n_train == int(is_control.sum()) - 1
    assert found.scores is not None and np.isfinite(found.scores).all()


def test_the_score_as_a_covariate_lowers_the_variance_by_its_r_squared_and_leaves_no_bias() -> None:
    """PROCOVA on repeated trials: the promise for which the score is made (Schuler et al. 2022)."""
    effects, ratios = [], []
    for seed in range(10):
        x, y, is_control, ids = world(400, seed=100 + seed)
        scores = fit_prognostic(x, y, is_control, ids, seed=seed).scores
        assert scores is not None
        design = np.column_stack([np.ones(400), ~is_control, scores - scores.mean()])
        effects.append(np.linalg.lstsq(design, y, rcond=None)[0][1])
        residuals = [np.linalg.lstsq(columns, y, rcond=None)[1][0] for columns in (design, design[:, :2])]
        ratios.append(residuals[0] / residuals[1])
    assert np.mean(effects) == pytest.approx(5.0, abs=0.12)
    assert np.mean(ratios) == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        ("no_covariates", {"x": np.empty((900, 0))}),
        ("too_few_units", {"is_control": np.arange(900) < 19}),
        ("zero_variance", {"y": np.full(900, 2.5)}),
        ("too_few_units", {"y": np.full(900, np.nan)}),
    ],
)
def test_there_is_no_score_without_something_to_learn_from(status: str, changes: dict[str, object]) -> None:
    found = fit(**changes)
    assert found.status == status
    assert found.scores is None and found.r_squared is None and found.learner is None


@pytest.mark.parametrize(
    "changes",
    [
        {"unit_ids": ["same"] * 900},
        {"y": np.zeros(3)},
        {"x": np.full((900, 2), np.nan)},
        {"folds": 2},
    ],
)
def test_input_that_cannot_be_meant_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        fit(**changes)


def test_sixty_four_thousand_units_take_seconds() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(64_000, 5))
    y = x[:, 0] + np.sin(3 * x[:, 1]) + generator.normal(size=64_000)
    started = time.perf_counter()
    fit_prognostic(x, y, np.arange(64_000) % 3 == 0, [f"u{i}" for i in range(64_000)], seed=1)
    # Three seconds on two free cores; a shared machine gets some slack.
    assert time.perf_counter() - started < 6
