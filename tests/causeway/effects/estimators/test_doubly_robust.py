"""AIPW and the partially linear model: hand formulas, EconML, double robustness, invariants, medians over splits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm

from causeway.effects.estimators.aipw import aipw, doubly_robust_scores, over_splits
from causeway.effects.estimators.average import METHODS
from causeway.effects.estimators.partially_linear import partially_linear
from causeway.effects.influence import Array, Flags, Linearised, infer
from causeway.effects.learners import Quadratic
from causeway.effects.nuisances import Nuisances
from causeway.effects.problem import Problem


def world(n: int = 1500, seed: int = 0) -> tuple[Array, Flags, Array, Nuisances]:
    """Effect 1 + x; nuisances are the truth."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=n)
    e = 1 / (1 + np.exp(-0.8 * x))
    t = generator.random(n) < e
    y = (1 + x) * t + x + generator.normal(size=n)
    return y, t, x, Nuisances(np.arange(n) % 2, e, x, 1 + 2 * x)


def test_aipw_without_normalisation_is_the_mean_of_the_scores() -> None:
    y, t, _, truth = world()
    psi = doubly_robust_scores(y, t, truth)
    found = aipw(y, t, truth, normalised=False)
    assert found.effect == pytest.approx(psi.mean(), rel=1e-12)
    assert found.std_error == pytest.approx(psi.std() / np.sqrt(len(y)), rel=1e-12)


def test_att_without_normalisation_is_doublemls_formula() -> None:
    """psi = T (Y - m0) / p - (1 - T) e (Y - m0) / ((1 - e) p), less T theta / p."""
    y, t, _, truth = world()
    e, m0, p = truth.propensity, truth.outcome_control, t.mean()
    psi = t * (y - m0) / p - (1 - t) * e * (y - m0) / ((1 - e) * p)
    theta = psi.mean()
    found = aipw(y, t, truth, target="ATT", normalised=False)
    assert found.effect == pytest.approx(theta, rel=1e-9)
    assert found.std_error == pytest.approx(np.std(psi - t * theta / p) / np.sqrt(len(y)), rel=1e-6)


@pytest.mark.parametrize("wrong", ["propensity", "outcome"])
def test_one_wrong_nuisance_costs_no_bias(wrong: str) -> None:
    effects = []
    for seed in range(20):
        y, t, _, truth = world(2000, seed)
        zero = np.zeros(len(y))
        bad = {
            "propensity": replace(truth, propensity=np.full(len(y), 0.5)),
            "outcome": replace(truth, outcome_control=zero, outcome_treated=zero),
        }[wrong]
        effects.append(aipw(y, t, bad).effect)
    assert np.mean(effects) == pytest.approx(1.0, abs=3 * np.std(effects) / np.sqrt(20))


@pytest.mark.parametrize("target", ["ATE", "ATT", "ATC"])
def test_targets_are_recovered(target: Any) -> None:
    y, t, x, truth = world(20_000)
    wanted = {"ATE": 1 + x, "ATT": 1 + x[t], "ATC": 1 + x[~t]}[target].mean()
    found = aipw(y, t, truth, target=target)
    assert found.effect == pytest.approx(wanted, abs=4 * found.std_error)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("target", ["ATE", "ATT", "ATC"])
def test_shift_scale_and_labels(target: Any, normalised: bool) -> None:
    y, t, _, truth = world()
    how = {"target": target, "normalised": normalised}
    plain = aipw(y, t, truth, **how)
    moved_nuisances = replace(
        truth, outcome_control=5 + 2 * truth.outcome_control, outcome_treated=5 + 2 * truth.outcome_treated
    )
    moved = aipw(5 + 2 * y, t, moved_nuisances, **how)
    assert (moved.effect, moved.std_error) == pytest.approx((2 * plain.effect, 2 * plain.std_error), rel=1e-9)
    swapped = replace(
        truth,
        propensity=1 - truth.propensity,
        outcome_control=truth.outcome_treated,
        outcome_treated=truth.outcome_control,
    )
    other = {"ATE": "ATE", "ATT": "ATC", "ATC": "ATT"}[target]
    back = aipw(y, ~t, swapped, target=other, normalised=normalised)  # type: ignore[arg-type]
    assert (back.effect, back.std_error) == pytest.approx((-plain.effect, plain.std_error), rel=1e-9)


def test_sampling_weights_are_replication() -> None:
    y, t, _, truth = world(300)
    w = np.random.default_rng(1).integers(1, 4, len(y))
    rows = np.repeat(np.arange(len(y)), w)
    many = _at(truth, rows)
    weighted, replicated = aipw(y, t, truth, weights=w.astype(float)), aipw(y[rows], t[rows], many)
    assert weighted.effect == pytest.approx(replicated.effect, rel=1e-9)
    assert weighted.contributions == pytest.approx(np.bincount(rows, weights=replicated.contributions), rel=1e-9)
    twice = np.tile(np.arange(300), 2)
    halves = aipw(y[twice], t[twice], _at(truth, twice), weights=np.full(600, 0.5))
    assert halves.effect == pytest.approx(aipw(y, t, truth).effect, rel=1e-12)


def _at(found: Nuisances, rows: Any) -> Nuisances:
    return Nuisances(
        found.folds[rows], found.propensity[rows], found.outcome_control[rows], found.outcome_treated[rows]
    )


def test_aipw_agrees_with_econmls_linear_dr_learner() -> None:
    from econml.dr import LinearDRLearner
    from sklearn.linear_model import LinearRegression, LogisticRegression

    y, t, x, _ = world(3000)
    theirs = LinearDRLearner(
        model_propensity=LogisticRegression(C=1e6), model_regression=LinearRegression(), cv=5, random_state=1,
        min_propensity=1e-6, fit_cate_intercept=True,
    ).fit(y, t.astype(int), W=x[:, None])  # fmt: skip
    learner = (Quadratic(),)
    given = dict.fromkeys(("propensity", "outcome_control", "outcome_treated"), learner)
    problem = Problem(y, t, x[:, None], ("x",), splits=1, given=given)
    found = METHODS["aipw"](problem, problem.nuisances()).estimate
    # Their regression has one slope for both arms: both are consistent, not equal.
    assert found.effect == pytest.approx(float(theirs.intercept_(T=1)), abs=0.5 * found.std_error)
    assert found.std_error == pytest.approx(float(theirs.intercept__inference(T=1).stderr), rel=0.15)


def test_partially_linear_is_least_squares_of_residuals() -> None:
    y, t, x, truth = world()
    found = partially_linear(y, t.astype(float), truth.outcome, truth.propensity)
    theirs = sm.OLS(y - truth.outcome, t - truth.propensity).fit(cov_type="HC0")
    assert (found.effect, found.std_error) == pytest.approx((theirs.params[0], theirs.bse[0]), rel=1e-9)
    e = truth.propensity
    overlap_weighted = (e * (1 - e)) @ (1 + x) / (e * (1 - e)).sum()
    assert found.effect == pytest.approx(overlap_weighted, abs=4 * found.std_error)
    nothing = partially_linear(y, truth.propensity, truth.outcome, truth.propensity)
    assert infer(nothing, None).status == "not_estimable"


def test_over_splits_takes_the_median_and_counts_how_far_they_lie_apart() -> None:
    unit = np.array([0.6, 0.8])
    found = over_splits([Linearised(effect, unit) for effect in (1.0, 2.0, 4.0)])
    assert found.estimate.effect == 2.0 and found.effects == (1.0, 2.0, 4.0)
    # The median of 1 + 1, 1 + 0, 1 + 4.
    assert found.estimate.std_error == pytest.approx(np.sqrt(2.0))
    assert found.spread == pytest.approx(np.std([1, 2, 4], ddof=1) / np.sqrt(2))
    assert over_splits([Linearised(1.0, unit)]).spread == 0.0


@pytest.mark.parametrize("name", METHODS)
def test_methods_name_the_target_that_they_have(name: str) -> None:
    y, t, x, truth = world(400)
    own = {"partially_linear": "ATO", "linear_regression": "ATO", "difference_in_means": "association"}
    problem = Problem(y, t, x[:, None], ("x",), target="ATT")
    found = METHODS[name](problem, [truth])
    assert found.target == own.get(name, "ATT") and found.rows.all()
    designed = replace(problem, known_propensity=truth.propensity)
    assert METHODS["difference_in_means"](designed, [truth]).target == "ATE"


def test_linear_regression_is_statsmodels() -> None:
    y, t, x, truth = world(400)
    w = np.random.default_rng(0).uniform(0.5, 2, len(y))
    theirs = sm.WLS(y, np.column_stack([np.ones(len(y)), t, x]), weights=w).fit(cov_type="HC3")
    found = METHODS["linear_regression"](Problem(y, t, x[:, None], ("x",), weights=w), [truth]).estimate
    assert found.effect == pytest.approx(theirs.params[1], rel=1e-9)
    assert found.std_error == pytest.approx(theirs.bse[1], rel=0.02)


def test_clusters_widen_the_interval_as_summing_within_them_does() -> None:
    y, t, _, truth = world(600)
    clusters = np.repeat(np.arange(60), 10)
    y = y + np.random.default_rng(9).normal(size=60)[clusters]
    found = aipw(y, t, truth)
    clustered, alone = infer(found, t, clusters=clusters), infer(found, t)
    sums = np.bincount(clusters, weights=found.contributions)
    assert clustered.clusters == 60 and clustered.std_error is not None and alone.std_error is not None
    assert clustered.std_error == pytest.approx(np.sqrt(sums @ sums), rel=0.05)
    assert infer(found, t, clusters=np.arange(600)).std_error == pytest.approx(alone.std_error, rel=0.01)
    assert infer(found, t, clusters=t.astype(np.int64)).status == "too_few_units"
    with pytest.raises(ValueError, match="arms"):
        infer(found, None, clusters=clusters)
