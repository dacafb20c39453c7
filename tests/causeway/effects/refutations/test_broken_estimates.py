"""Refuters find what is wrong, each what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from causeway.effects.estimators.average import METHODS
from causeway.effects.influence import Linearised
from causeway.effects.problem import Problem
from causeway.effects.refutations.suite import refute


@dataclass(frozen=True)
class Broken:
    """A right regression, then `spoil`."""

    spoil: Callable[[Problem, Linearised], Linearised]
    adjusts: bool = True

    def estimate(self, problem: Problem) -> Linearised:
        return self.spoil(problem, METHODS["linear_regression"](problem, ()).estimate)


def too_sure(problem, found):
    return replace(found, contributions=found.contributions / 3)


def biased(problem, found):
    return replace(found, effect=found.effect + 1.5 * found.std_error)


def leaking(problem, found):
    """Adjusts for a consequence of the outcome."""
    leak = problem.outcome + 0.3 * np.random.default_rng(0).normal(size=problem.n)
    return METHODS["linear_regression"](replace(problem, x=np.column_stack([problem.x, leak])), ()).estimate


def erratic(problem, found):
    """The answer depends on a few units by more than the contributions say."""
    return replace(found, effect=found.effect + 20 * found.std_error * float(np.sin(1e6 * found.effect)))


def blind(problem, found):
    return METHODS["difference_in_means"](problem, ()).estimate


def startled(problem, found):
    """Another covariate, whatever it is, changes the answer."""
    return replace(found, effect=found.effect + 2 * found.std_error * (problem.x.shape[1] - 3))


def answers_of(problem, nuisances, spoil, name):
    estimator = Broken(spoil)
    found = estimator.estimate(problem)
    return refute(problem, nuisances, method="broken", found=found, seed=3, estimator=estimator, only=[name])[0]


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (too_sure, "placebo_treatment"),
        (biased, "placebo_treatment"),
        (too_sure, "dummy_outcome"),
        (leaking, "dummy_outcome"),
        (blind, "dummy_outcome"),
        (startled, "random_common_cause"),
        (erratic, "random_common_cause"),
        (erratic, "data_subset"),
        (too_sure, "data_subset"),
    ],
)
def test_what_is_broken_is_found(spoil, name, confounded_world, learnt):
    """In nine worlds of ten; the same attempt on the estimate before it was spoilt finds nothing in as many."""
    found, false = 0, 0
    for seed in range(10):
        problem = confounded_world(seed, 1_000 if spoil is blind else 400)
        nuisances = learnt(problem)
        answer = answers_of(problem, nuisances, spoil, name)
        assert answer.problem_found is not None, answer
        found += answer.problem_found
        false += bool(answers_of(problem, nuisances, lambda problem, found: found, name).problem_found)
    assert found >= 9
    assert false <= 1


def test_a_unit_that_carries_the_estimate_is_found(confounded_world):
    problem = confounded_world(1)
    outcome = problem.outcome.copy()
    outcome[np.flatnonzero(problem.treated)[0]] += 500
    carried = replace(problem, outcome=outcome)
    answers = [
        refute(
            each,
            (),
            method="linear_regression",
            found=METHODS["linear_regression"](each, ()),
            seed=0,
            only=["bootstrap"],
        )
        for each in (problem, carried)
    ]
    assert [answer.problem_found for (answer,) in answers] == [False, True]
    assert answers[1][0].p_value < 1e-6


def test_a_cluster_that_is_ignored_is_found_by_the_placebo_of_whole_clusters(confounded_world):
    """The standard error of independent units, of treatments that come by cluster, is too small by half."""

    def ignoring(problem, found):
        """Contributions so small that their sums within clusters vary as the units themselves would."""
        _, index = np.unique(problem.clusters, return_inverse=True)
        sums = np.bincount(index, weights=found.contributions)
        return replace(found, contributions=found.contributions * found.std_error / float(np.sqrt(sums @ sums)))

    found = 0
    for seed in range(5):
        problem = confounded_world(seed, clustered=True)
        found += bool(answers_of(problem, (), ignoring, "placebo_treatment").problem_found)
    assert found >= 4


def test_a_line_through_a_curve_is_found(confounded_world):
    """Both treatment and outcome depend on a square."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(1_000, 2))
    treated = generator.random(1_000) < 1 / (1 + np.exp(-(x[:, 0] ** 2 - 1)))
    outcome = 2 * x[:, 0] ** 2 + x[:, 1] + generator.normal(size=1_000)
    problem = Problem(outcome, treated, x, ("a", "b"))
    (bent,) = refute(
        problem,
        (),
        method="linear_regression",
        found=METHODS["linear_regression"](problem, ()),
        seed=0,
        only=["functional_form"],
    )
    assert bent.problem_found
    assert abs(bent.new_effect) < 0.3
    (products,) = refute(
        problem, (), method="g_formula", found=METHODS["g_formula"](problem, ()), seed=0, only=["functional_form"]
    )
    assert products.problem_found is False


def test_an_effect_that_a_confounder_like_the_observed_ones_would_undo_is_told():
    """Of the same confounding, an effect of 0.3 falls and one of 3 stands."""
    generator = np.random.default_rng(2)
    x = generator.normal(size=(800, 2))
    treated = generator.random(800) < 1 / (1 + np.exp(-x[:, 0]))
    noise = generator.normal(size=800)
    found = []
    for effect in (0.4, 3.0):
        problem = Problem(0.5 * x[:, 0] + effect * treated + noise, treated, x, ("a", "b"))
        answers = refute(
            problem,
            (),
            method="linear_regression",
            found=METHODS["linear_regression"](problem, ()),
            seed=0,
            only=["simulated_confounder"],
        )
        found.append(answers[0].problem_found)
    assert found == [True, False]
