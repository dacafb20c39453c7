"""The two-arm trial: known effect, known prognostic strength."""

import numpy as np
import polars as pl
import pytest

from causeway.simulate import two_arm_trial


def test_same_seed_gives_the_same_trial() -> None:
    assert two_arm_trial(5, 100).frame.equals(two_arm_trial(5, 100).frame)
    assert not two_arm_trial(5, 100).frame.equals(two_arm_trial(6, 100).frame)


def test_columns_are_unit_arm_covariates_segment_and_outcomes() -> None:
    trial = two_arm_trial(units=50)
    assert trial.frame.columns == ["unit", "arm", "x1", "x2", "segment", "outcome", "converted"]
    assert trial.frame["unit"].is_unique().all()
    assert set(trial.frame["arm"]) == {"control", "treatment"}
    assert set(trial.frame["converted"]) == {0, 1}


@pytest.mark.parametrize("skewed", [False, True])
def test_difference_in_means_is_unbiased_for_the_truth_over_many_trials(skewed: bool) -> None:
    errors: dict[str, list[float]] = {"outcome": [], "converted": []}
    for seed in range(250):
        trial = two_arm_trial(seed, 200, effect_by_segment={"north": 1.0, "west": -0.5}, skewed=skewed)
        for metric, found in errors.items():
            means = dict(trial.frame.group_by("arm").agg(pl.col(metric).mean()).iter_rows())
            found.append(means["treatment"] - means["control"] - trial.truth.find(metric, "treatment").effect)
    for found in errors.values():
        assert abs(np.mean(found)) < 3 * np.std(found, ddof=1) / np.sqrt(len(found))


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("skewed", [False, True])
def test_covariates_explain_the_share_rho_squared_of_the_outcome_under_control(rho: float, skewed: bool) -> None:
    control = two_arm_trial(3, 40_000, rho=rho, skewed=skewed).frame.filter(pl.col("arm") == "control")
    design = np.column_stack([np.ones(control.height), control["x1"], control["x2"]])
    outcome = control["outcome"].to_numpy()
    fitted = design @ np.linalg.lstsq(design, outcome, rcond=None)[0]
    assert fitted.var() / outcome.var() == pytest.approx(rho**2, abs=0.05)
    assert outcome.mean() == pytest.approx(10, abs=0.05)


def test_effect_by_segment_replaces_the_effect_only_where_it_is_named() -> None:
    truth = two_arm_trial(units=500, effect=0.2, effect_by_segment={"south": 0.9}).truth
    by_segment = {true.segment: true.effect for true in truth.effects if true.metric == "outcome"}
    assert by_segment["segment=south"] == pytest.approx(0.9)
    assert by_segment["segment=north"] == pytest.approx(0.2)
    assert 0.2 < by_segment[None] < 0.9


def test_skewed_outcome_is_skewed_and_the_other_is_not() -> None:
    def skewness(skewed: bool) -> float:
        outcome = two_arm_trial(1, 20_000, rho=0.0, effect=0.0, skewed=skewed).frame["outcome"]
        return float(outcome.skew() or 0)

    assert abs(skewness(False)) < 0.1
    assert skewness(True) > 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"units": 1},
        {"rho": 1.1},
        {"treated_share": 0.0},
        {"effect_by_segment": {"east": 1.0}},
        {"conversion_effect": 0.7},
    ],
)
def test_impossible_trials_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|needs|unknown"):
        two_arm_trial(**wrong)
