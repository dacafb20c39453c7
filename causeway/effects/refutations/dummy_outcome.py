"""An outcome made up, with an effect that is known: is it found?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from causeway.effects.influence import Array
from causeway.effects.nuisances import Nuisances
from causeway.effects.problem import Computing, Problem
from causeway.effects.refutations.estimators import Estimator
from causeway.effects.refutations.instrumented import InstrumentProblem
from causeway.effects.refutations.refutation import Refutation
from causeway.effects.refutations.repeating import Generator, Vary, repeat
from causeway.effects.refutations.scores import judge_scores, score

NAME = "dummy_outcome"


def dummy_outcome(
    problem: Problem,
    nuisances: Sequence[Nuisances],
    estimator: Estimator,
    *,
    method: str,
    stream: np.random.SeedSequence,
    simulations: int,
    computing: Computing,
) -> Refutation:
    """The outcome becomes f(x) + residual times a random sign (+ one standard deviation of effect in every other one).

    f is what was learnt of the outcome without treatment: it depends on x as the outcome does, so whoever does not
    adjust for x as the outcome requires finds an effect where there is none. The sign, one a unit or cluster (Liu 1988;
    Cameron, Gelbach & Miller 2008), makes noise with the spread that the residual has here, independent of treatment.
    Without nuisances f and residual are those of least squares on x and treatment.

    Treatment and x stay, so that simulations share what chance made of those: their mean is judged as one estimate's.
    new_effect: the mean of effect - truth.
    """
    surface, residual = _learnt(problem, nuisances)
    size = problem.scale

    def vary(effect: float) -> Vary:
        def of(generator: Generator) -> Problem:
            dose = problem.dose if isinstance(problem, InstrumentProblem) else problem.treated.astype(np.float64)
            outcome = surface + _random_signs(problem, generator) * residual + effect * dose
            return replace(problem, outcome=outcome)

        return of

    truths = [0.0 if simulation % 2 == 0 else size for simulation in range(simulations)]
    found = repeat(estimator, [vary(truth) for truth in truths], stream, computing)
    if found.reason is not None:
        return Refutation.impossible(NAME, method, found.reason)
    if len(found.estimates) < simulations:
        return Refutation.impossible(NAME, method, "some made-up outcomes gave no estimate")
    errors = [each.effect - truth for each, truth in zip(found.estimates, truths, strict=True)]
    triples = zip(found.problems, found.estimates, truths, strict=True)
    scores = [each for each in (score(*triple) for triple in triples) if each is not None]
    if len(scores) < 2:
        return Refutation.impossible(NAME, method, "effects on made-up outcomes have no standard error")
    scored = judge_scores(scores, independent=False, tolerated_shift=0.0)
    mean = float(np.mean(errors))
    detail = (
        f"on {len(scores)} made-up outcomes the effect is wrong by {mean:.4g} on average, {scored.mean:.2f} standard "
        f"errors (p = {scored.p_mean:.3f}), and varies {scored.spread:.2f} times as much as the standard errors allow "
        f"(p = {scored.p_spread:.3f})"
    )
    return Refutation.judged(NAME, method, mean, scored.p_value, detail)


def _learnt(problem: Problem, nuisances: Sequence[Nuisances]) -> tuple[Array, Array]:
    """f(x) without treatment and what is left of the outcome, (n,) each."""
    if nuisances:
        one = nuisances[0]
        expected = np.where(problem.treated, one.outcome_treated, one.outcome_control)
        return one.outcome_control, problem.outcome - expected
    dose = problem.dose if isinstance(problem, InstrumentProblem) else problem.treated.astype(np.float64)
    root = np.ones(problem.n) if problem.weights is None else np.sqrt(problem.weights)
    design = np.column_stack([np.ones(problem.n), problem.x, dose])
    slopes = np.linalg.lstsq(design * root[:, np.newaxis], problem.outcome * root, rcond=1e-10)[0]
    return design[:, :-1] @ slopes[:-1], problem.outcome - design @ slopes


def _random_signs(problem: Problem, generator: Generator) -> Array:
    if problem.clusters is None:
        return generator.choice((-1.0, 1.0), size=problem.n)
    _, index = np.unique(problem.clusters, return_inverse=True)
    return generator.choice((-1.0, 1.0), size=int(index.max()) + 1)[index]
