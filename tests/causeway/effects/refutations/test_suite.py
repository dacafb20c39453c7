"""What holds of every refutation: the same bits, an untouched input, a reason instead of an error."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from causeway.effects.estimators.average import METHODS
from causeway.effects.influence import Linearised
from causeway.effects.learners import Quadratic
from causeway.effects.problem import Computing
from causeway.effects.refutations.placebo_treatment import redrawn
from causeway.effects.refutations.suite import REFUTERS, refute


def arrays_of(problem):
    return {
        each.name: getattr(problem, each.name)
        for each in fields(problem)
        if isinstance(getattr(problem, each.name), np.ndarray)
    }


class Vandal:
    """Writes into what it is given."""

    adjusts = True

    def estimate(self, problem):
        problem.outcome[:] = 0
        return METHODS["linear_regression"](problem, ()).estimate


class Undecided:
    """Fails on some problems, and gives nonsense on others."""

    adjusts = True

    def __init__(self, effect):
        self.effect = effect

    def estimate(self, problem):
        if self.effect is None:
            raise RuntimeError("no luck today")
        return Linearised(self.effect, np.zeros(problem.n))


def test_the_numbers_are_the_same_to_the_bit_however_they_are_computed(confounded_world, learnt):
    problem = confounded_world(0, 200)
    # What goes to another process has to be importable there.
    problem = replace(problem, given=dict.fromkeys(problem.given, (Quadratic(),)))
    nuisances = learnt(problem)
    found = METHODS["aipw"](problem, nuisances)

    def refuted(computing):
        return refute(
            replace(problem, computing=computing),
            nuisances,
            method="aipw",
            found=found,
            seed=5,
            simulations=4,
            only=["placebo_treatment", "data_subset"],
        )

    usual = refuted(Computing())
    assert [each.name for each in usual] == ["placebo_treatment", "data_subset"]
    for computing in (Computing(1), Computing(2, "threading"), Computing(2, "loky")):
        assert refuted(computing) == usual


def test_a_refuter_alone_says_what_it_says_among_others_and_another_seed_says_something_else(confounded_world):
    problem = confounded_world(0, 200)
    found = METHODS["linear_regression"](problem, ())
    everything = refute(problem, (), method="linear_regression", found=found, seed=5)
    assert [each.name for each in everything] == list(REFUTERS)
    for each in everything:
        assert refute(problem, (), method="linear_regression", found=found, seed=5, only=[each.name]) == (each,)
    other = refute(problem, (), method="linear_regression", found=found, seed=6)
    assert other[0].new_effect != everything[0].new_effect


@pytest.mark.parametrize("world", [{}, {"designed": True}, {"clustered": True}])
def test_nothing_is_written_into_the_input(world, confounded_world, learnt):
    problem = confounded_world(0, 200, **world)
    nuisances = learnt(problem)
    before = {name: values.copy() for name, values in arrays_of(problem).items()}
    learnt_before = {name: values.copy() for name, values in arrays_of(nuisances[0]).items()}
    for method in METHODS:
        refute(problem, nuisances, method=method, found=METHODS[method](problem, nuisances), seed=0, simulations=4)
    answers = refute(
        problem,
        nuisances,
        method="vandal",
        found=METHODS["linear_regression"](problem, ()),
        seed=0,
        estimator=Vandal(),
        only=["placebo_treatment"],
    )
    assert answers[0].problem_found is None
    assert "read-only" in answers[0].detail
    for kept, things in ((before, problem), (learnt_before, nuisances[0])):
        for name, values in arrays_of(things).items():
            np.testing.assert_array_equal(values, kept[name])
            assert values.flags.writeable


@pytest.mark.parametrize(
    ("effect", "words"), [(None, "no luck today"), (float("nan"), "not finite"), (1.0, "no standard error")]
)
def test_an_estimator_that_fails_is_told_with_its_reason(effect, words, confounded_world):
    problem = confounded_world(0, 200)
    found = METHODS["linear_regression"](problem, ())
    answers = refute(problem, (), method="undecided", found=found, seed=0, estimator=Undecided(effect))
    refitted = [each for each in answers if each.name not in ("bootstrap", "functional_form")]
    assert len(refitted) == 5
    for each in refitted:
        assert each.problem_found is None
        assert each.p_value is None
        assert each.new_effect is None
        assert words in each.detail


def test_an_estimate_without_variance_and_a_handful_of_units_end_no_study(confounded_world):
    problem = confounded_world(0, 200)
    flat = Linearised(1.0, np.zeros(problem.n))
    (answer,) = refute(problem, (), method="linear_regression", found=flat, seed=0, only=["bootstrap"])
    assert answer.problem_found is None
    assert "zero_variance" in answer.detail
    few = problem.among(np.arange(12))
    answers = refute(few, (), method="linear_regression", found=METHODS["linear_regression"](few, ()), seed=0)
    assert {each.problem_found for each in answers} == {None}
    few = problem.among(np.arange(25))
    constant = replace(few, outcome=np.ones(25))
    for method in METHODS:
        answers = refute(constant, (), method=method, found=flat, seed=0)
        assert answers[0].problem_found is None


def test_the_same_estimate_to_the_last_bit_is_no_comfort(confounded_world):
    """A method that says it adjusts, and does not look: DoWhy's answer to this is p = nan."""

    class Deaf:
        adjusts = True

        def estimate(self, problem):
            return METHODS["linear_regression"](replace(problem, x=problem.x[:, :3]), ()).estimate

    problem = confounded_world(0, 200)
    (answer,) = refute(
        problem,
        (),
        method="deaf",
        found=Deaf().estimate(problem),
        seed=0,
        estimator=Deaf(),
        only=["random_common_cause"],
    )
    assert answer.problem_found is None
    assert "last bit" in answer.detail


def test_an_unknown_refuter_is_refused(confounded_world):
    problem = confounded_world(0, 200)
    with pytest.raises(ValueError, match="no such refuters: tea_leaves"):
        refute(problem, (), method="ipw", found=METHODS["ipw"](problem, ()), seed=0, only=["tea_leaves"])


def test_a_placebo_keeps_the_design(confounded_world):
    """Arm sizes; blocks; whole clusters; and known propensities, by which it is drawn anew."""
    generator = np.random.default_rng(0)
    plain = confounded_world(0)
    new = redrawn(plain, generator)
    assert new.treated.sum() == plain.treated.sum()
    assert (new.treated != plain.treated).any()

    blocks = np.arange(400) % 7
    new = redrawn(replace(plain, blocks=blocks), generator)
    expected = np.bincount(blocks, weights=plain.treated)
    np.testing.assert_array_equal(np.bincount(blocks, weights=new.treated), expected)

    clustered = confounded_world(0, clustered=True)
    new = redrawn(clustered, generator)
    shares = np.bincount(clustered.clusters, weights=new.treated) / 10
    assert set(shares) == {0.0, 1.0}
    assert shares.sum() == clustered.treated.sum() / 10

    rare = np.where(np.arange(400) < 200, 0.05, 0.9)
    designed = replace(plain, known_propensity=rare)
    drawn = np.mean([redrawn(designed, generator).treated for _ in range(50)], axis=0)
    assert abs(drawn[:200].mean() - 0.05) < 0.01
    assert abs(drawn[200:].mean() - 0.9) < 0.01


def test_a_placebo_of_an_instrument_keeps_the_first_stage(instrumented_world):
    problem = instrumented_world(0)
    new = redrawn(problem, np.random.default_rng(0))

    def first_stage(each):
        return np.corrcoef(each.instruments[:, 0], each.treated)[0, 1]

    assert first_stage(new) == pytest.approx(first_stage(problem))
    assert (new.instruments != problem.instruments).any()


def test_many_units_are_tried_on_some_of_them(confounded_world, monkeypatch):
    """The bootstrap alone looks at all: it is of the estimate, not of the estimator."""
    monkeypatch.setattr("causeway.effects.refutations.suite.MOST_UNITS", 300)
    seen = []

    class Counting:
        adjusts = True

        def estimate(self, problem):
            seen.append(problem.n)
            return METHODS["linear_regression"](problem, ()).estimate

    problem = confounded_world(0, 2_000)
    found = METHODS["linear_regression"](problem, ())
    answers = refute(problem, (), method="counting", found=found, seed=0, estimator=Counting())
    assert max(seen) == 300
    assert not any(each.problem_found for each in answers if each.name != "simulated_confounder")
