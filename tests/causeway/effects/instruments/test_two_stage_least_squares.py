"""Two-stage least squares: other implementations agree, a published answer is met, bad input is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
from statsmodels.sandbox.regression.gmm import IV2SLS, IVGMM

from causeway.effects.estimators.linear_effect import linear_effect
from causeway.effects.instruments import two_stage_least_squares

REGIONS = [f"reg66{i}" for i in range(2, 10)]


def _world(seed: int = 0, n: int = 300, q: int = 3) -> tuple[np.ndarray, ...]:
    """An outcome, a treatment with the same hidden cause, q instruments, covariates, weights, clusters."""
    generator = np.random.default_rng(seed)
    x, hidden = generator.normal(size=(n, 2)), generator.normal(size=n)
    z = generator.normal(size=(n, q)) + x[:, :1]
    t = 0.5 * z.sum(axis=1) + x[:, 0] + hidden + generator.normal(size=n)
    y = 1.5 * t - x[:, 1] + hidden * (1 + 0.5 * np.abs(z[:, 0])) + generator.normal(size=n)
    return y, t, z, x, generator.uniform(0.2, 3.0, size=n), generator.integers(0, 30, n)


def _sandwich(
    y: np.ndarray, t: np.ndarray, z: np.ndarray, x: np.ndarray, clusters: np.ndarray | None, w: np.ndarray
) -> tuple[float, float]:
    """The textbook's matrices, written out: estimate and its HC3 error, or of cluster sums."""
    ones = np.ones(len(y))
    exog, all_z = np.column_stack([ones, t, x]), np.column_stack([ones, z, x])
    root = np.sqrt(w)[:, None]
    exog, all_z, y = exog * root, all_z * root, y * root[:, 0]
    fitted = all_z @ np.linalg.solve(all_z.T @ all_z, all_z.T @ exog)
    bread = np.linalg.inv(fitted.T @ fitted)
    beta = bread @ fitted.T @ y
    leverage = np.einsum("ij,jk,ik->i", fitted, bread, fitted) if clusters is None else np.zeros(len(y))
    scores = fitted * ((y - exog @ beta) / (1 - leverage))[:, None]
    if clusters is not None:
        scores = np.array([scores[clusters == g].sum(axis=0) for g in np.unique(clusters)])
    return float(beta[1]), float(np.sqrt((bread @ scores.T @ scores @ bread)[1, 1]))


@pytest.mark.parametrize("q", [1, 3])
def test_estimate_and_classical_error_are_those_of_statsmodels(q: int) -> None:
    y, t, z, x, _, _ = _world(q=q)
    exog, all_z = np.column_stack([np.ones(300), t, x]), np.column_stack([np.ones(300), z, x])
    reference = IV2SLS(y, exog, all_z).fit()
    found = two_stage_least_squares(y, t, z, x)
    assert found.effect
    assert found.effect.effect == pytest.approx(reference.params[1], rel=1e-10)
    assert found.std_error_classical == pytest.approx(reference.bse[1], rel=1e-9)
    second = sm.OLS(y, np.column_stack([np.ones(300), sm.OLS(t, all_z).fit().fittedvalues, x])).fit()
    scores = second.model.exog * (y - exog @ reference.params)[:, None]
    bread = second.normalized_cov_params
    meat = scores.T @ scores
    assert found.std_error_hc1 == pytest.approx(np.sqrt((bread @ meat @ bread)[1, 1] * 300 / 296), rel=1e-9)
    assert found.least_squares == pytest.approx(sm.OLS(y, exog).fit().params[1], rel=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
def test_robust_error_is_the_sandwich_written_out(weighted: bool, clustered: bool) -> None:
    y, t, z, x, weights, labels = _world()
    weights = weights if weighted else np.ones(300)
    beta, error = _sandwich(y, t, z, x, labels if clustered else None, weights)
    found = two_stage_least_squares(y, t, z, x, weights=weights, clusters=labels if clustered else None)
    assert found.effect and found.inference and found.inference.std_error
    assert found.effect.effect == pytest.approx(beta, rel=1e-10)
    factor = found.effect.of_clusters[0] if found.effect.of_clusters else 1.0
    assert found.inference.std_error == pytest.approx(error * np.sqrt(factor), rel=1e-9)
    if clustered:
        assert found.inference.clusters == 30 and found.inference.df and 8 < found.inference.df < 29


def test_first_stage_f_is_that_of_statsmodels_classical_robust_and_clustered() -> None:
    y, t, z, x, _, labels = _world()
    all_z = np.column_stack([np.ones(300), z, x])
    contrast = np.eye(6)[1:4]
    fit = sm.OLS(t, all_z).fit()
    found = two_stage_least_squares(y, t, z, x).first_stage
    clustered = two_stage_least_squares(y, t, z, x, clusters=labels).first_stage
    assert found and clustered
    assert found.f_classical == pytest.approx(float(fit.f_test(contrast).fvalue), rel=1e-9)
    robust = sm.OLS(t, all_z).fit(cov_type="HC1").f_test(contrast)
    assert found.f_robust == pytest.approx(float(robust.fvalue), rel=1e-9)
    of_clusters = sm.OLS(t, all_z).fit(cov_type="cluster", cov_kwds={"groups": labels}).f_test(contrast)
    assert clustered.f_robust == pytest.approx(float(of_clusters.fvalue), rel=1e-9)
    assert clustered.f_classical is None
    short = sm.OLS(t, np.column_stack([np.ones(300), x])).fit()
    assert found.partial_r2 == pytest.approx(1 - fit.ssr / short.ssr, rel=1e-9)


def test_overidentification_is_the_j_of_two_step_gmm_with_covariates_left_in() -> None:
    y, t, z, x, _, labels = _world()
    exog, all_z = np.column_stack([np.ones(300), t, x]), np.column_stack([np.ones(300), z, x])
    first = IV2SLS(y, exog, all_z).fit().params
    moments = all_z * (y - exog @ first)[:, None]
    weight = np.linalg.inv(moments.T @ moments / 300)
    reference = IVGMM(y, exog, all_z).fit(start_params=first, maxiter=0, inv_weights=moments.T @ moments / 300)
    mean = all_z.T @ (y - exog @ reference.params) / 300
    found = two_stage_least_squares(y, t, z, x).overidentification
    assert found and found.status == "ok" and found.df == 2
    assert found.statistic == pytest.approx(float(300 * mean @ weight @ mean), rel=1e-5)
    clustered = two_stage_least_squares(y, t, z, x, clusters=labels).overidentification
    assert clustered and clustered.statistic and clustered.statistic != found.statistic
    exact = two_stage_least_squares(y, t, z[:, :1], x).overidentification
    assert exact and (exact.status, exact.p_value) == ("exactly_identified", None)


def test_a_wrong_instrument_is_found_by_overidentification_and_a_right_one_is_not() -> None:
    low = {"right": 0, "wrong": 0}
    for seed in range(100):
        y, t, z, x, _, _ = _world(seed)
        for name, outcome in (("right", y), ("wrong", y + 0.5 * z[:, 1])):
            test = two_stage_least_squares(outcome, t, z, x).overidentification
            assert test and test.p_value is not None
            low[name] += test.p_value < 0.05
    print(low)
    assert low["right"] <= 12
    assert low["wrong"] >= 75


@pytest.mark.parametrize("clustered", [False, True])
def test_endogeneity_is_the_control_function_of_statsmodels(clustered: bool) -> None:
    y, t, z, x, _, labels = _world()
    left = sm.OLS(t, np.column_stack([np.ones(300), z, x])).fit().resid
    exog = np.column_stack([np.ones(300), t, x, left])
    kind = {"cov_type": "cluster", "cov_kwds": {"groups": labels}} if clustered else {"cov_type": "HC1"}
    reference = sm.OLS(y, exog).fit(use_t=True, **kind)
    found = two_stage_least_squares(y, t, z, x, clusters=labels if clustered else None).endogeneity
    assert found and found.status == "ok"
    assert found.statistic == pytest.approx(reference.tvalues[-1], rel=1e-8)
    assert found.p_value == pytest.approx(reference.pvalues[-1], rel=1e-6)


def test_published_returns_to_schooling_are_met(reference_data: Path) -> None:
    """Card 1995 by Wooldridge: least squares .0747 (.0035), 2SLS .1315 (.0550), first-stage F 13.3."""
    data = pl.read_csv(reference_data / "card" / "card.csv", null_values=["NA", ""])
    y, t, z = (data[name].cast(pl.Float64).to_numpy() for name in ("lwage", "educ", "nearc4"))
    names = ["exper", "expersq", "black", "smsa", "south", "smsa66", *REGIONS]
    x = data.select(pl.col(names).cast(pl.Float64)).to_numpy()
    straight, found = linear_effect(y, t, x), two_stage_least_squares(y, t, z[:, None], x)
    assert straight.effect and found.effect and found.inference and found.first_stage and found.robust_set
    assert straight.effect.effect == pytest.approx(0.0747, abs=5e-4)
    assert straight.std_error_classical == pytest.approx(0.0035, abs=5e-4)
    assert found.effect.effect == pytest.approx(0.1315, abs=5e-4)
    assert found.std_error_classical == pytest.approx(0.0550, abs=5e-4)
    assert found.std_error_hc1 == pytest.approx(0.0541, abs=1e-4)
    assert found.inference.std_error == pytest.approx(0.0545, abs=5e-4)
    assert found.first_stage.f_classical == pytest.approx(13.3, abs=0.05)
    assert found.first_stage.f_robust == pytest.approx(14.1, abs=0.05)
    assert (found.first_stage.strength, found.robust_set.kind) == ("weak", "bounded")
    assert found.robust_set.in_words == "between 0.02774 and 0.2821 at 95 %"


def test_instrument_equal_to_treatment_is_least_squares() -> None:
    y, t, _, x, _, _ = _world()
    found = two_stage_least_squares(y, t, t[:, None], x)
    exog = np.column_stack([np.ones(300), t, x])
    reference = sm.OLS(y, exog).fit(cov_type="HC3", use_t=True)
    assert found.effect and found.inference and found.first_stage and found.endogeneity and found.robust_set
    assert found.effect.effect == pytest.approx(reference.params[1], rel=1e-10)
    assert found.inference.std_error == pytest.approx(reference.bse[1], rel=1e-10)
    assert (found.first_stage.strength, found.first_stage.f_robust) == ("perfect", None)
    assert found.endogeneity.status == "not_estimable"
    ((low, high),) = found.robust_set.pieces
    assert low == pytest.approx(found.inference.ci_low, rel=1e-6)
    assert high == pytest.approx(found.inference.ci_high, rel=1e-6)


def test_useless_instruments_are_dropped_by_position() -> None:
    y, t, z, x, _, _ = _world()
    many = np.column_stack([np.ones(300), z[:, 0], x[:, 0] + 2 * x[:, 1], z[:, 1], z[:, 0] - z[:, 1]])
    found, plain = two_stage_least_squares(y, t, many, x), two_stage_least_squares(y, t, z[:, :2], x)
    assert found.dropped_instruments == (0, 2, 4)
    assert found.effect and plain.effect and found.effect.effect == pytest.approx(plain.effect.effect, rel=1e-10)


def test_bad_input_is_a_status_with_a_reason() -> None:
    y, t, z, x, _, _ = _world(3, 20)
    orthogonal = np.array([1.0, -1.0] * 10)
    cases = {
        "constant instrument": (two_stage_least_squares(y, t, np.full((20, 1), 0.3), x), "not_estimable"),
        "instrument in x": (two_stage_least_squares(y, t, x[:, :1], x), "not_estimable"),
        "no instrument": (two_stage_least_squares(y, t, z[:, :0], x), "not_estimable"),
        "constant treatment": (two_stage_least_squares(y, np.ones(20), z, x), "not_estimable"),
        "unmoved treatment": (
            two_stage_least_squares(y, np.repeat(np.arange(10.0), 2), orthogonal[:, None], x[:, :0]),
            "not_estimable",
        ),
        "constant outcome": (two_stage_least_squares(np.full(20, 0.1), t, z, x), "zero_variance"),
        "exact outcome": (two_stage_least_squares(3 * t, t, z, x), "zero_variance"),
        "too many columns": (
            two_stage_least_squares(y, t, np.random.default_rng(1).normal(size=(20, 25)), x),
            "too_few_units",
        ),
        "one cluster": (two_stage_least_squares(y, t, z, x, clusters=np.zeros(20, np.int64)), "too_few_units"),
        "two clusters": (
            two_stage_least_squares(y, t, orthogonal[:, None], x[:, :0], clusters=np.arange(20) % 2),
            "not_estimable",
        ),
    }
    for name, (found, status) in cases.items():
        assert found.status == status, (name, found)
        assert found.reason and found.effect is None and found.inference is None, name
    small = two_stage_least_squares(y, t, z, x)
    assert small.status == "ok" and small.robust_set is not None and small.first_stage is not None
    with pytest.raises(ValueError, match="one column each"):
        two_stage_least_squares(y, t, z[:, 0], x)


def test_a_unit_of_weight_two_is_the_same_unit_twice_but_for_the_error() -> None:
    y, t, z, x, _, _ = _world()
    twice = np.r_[np.arange(300), np.arange(100)]
    weights = np.where(np.arange(300) < 100, 2.0, 1.0)
    found = two_stage_least_squares(y, t, z, x, weights=weights)
    copied = two_stage_least_squares(y[twice], t[twice], z[twice], x[twice])
    clustered = two_stage_least_squares(y[twice], t[twice], z[twice], x[twice], clusters=twice)
    assert found.effect and copied.effect and clustered.effect and found.inference and clustered.inference
    assert found.effect.effect == pytest.approx(copied.effect.effect, rel=1e-10)
    assert found.inference.std_error == pytest.approx(clustered.inference.std_error, rel=0.03)
