"""A treatment drawn anew, which can have had no effect: is none found, as often as the intervals promise?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from causeway.effects.influence import Flags, Labels
from causeway.effects.problem import Computing, Problem
from causeway.effects.refutations.estimators import Estimator
from causeway.effects.refutations.instrumented import InstrumentProblem
from causeway.effects.refutations.refutation import Refutation
from causeway.effects.refutations.repeating import Generator, repeat
from causeway.effects.refutations.scores import judge_scores, score

NAME = "placebo_treatment"
TRIES = 20


def placebo_treatment(
    problem: Problem,
    estimator: Estimator,
    *,
    method: str,
    stream: np.random.SeedSequence,
    simulations: int,
    computing: Computing,
) -> Refutation:
    """`simulations` times the treatment is drawn anew (`redrawn`), and all that depends on it estimated anew.

    Draws are independent given the data, and the effect of each is zero: the scores effect / standard error are
    judged by `judge_scores`. new_effect: the mean effect. A shift is a bias that has nothing to do with confounding; a
    spread above that of the standard errors means intervals that are too narrow.
    """
    found = repeat(estimator, [lambda generator: redrawn(problem, generator)] * simulations, stream, computing)
    if found.reason is not None:
        return Refutation.impossible(NAME, method, found.reason)
    pairs = zip(found.problems, found.estimates, strict=True)
    scores = [each for each in (score(*pair) for pair in pairs) if each is not None]
    if len(scores) < 2:
        return Refutation.impossible(NAME, method, "placebo effects have no standard error")
    scored = judge_scores(scores)
    mean = float(np.mean([each.effect for each in found.estimates]))
    detail = (
        f"{len(scores)} placebo treatments have a mean effect of {mean:.4g}, {scored.mean:.2f} standard errors off "
        f"(p = {scored.p_mean:.3f}), and vary {scored.spread:.2f} times as much as their standard errors say "
        f"(p = {scored.p_spread:.3f})"
    )
    return Refutation.judged(NAME, method, mean, scored.p_value, detail)


def redrawn(problem: Problem, generator: Generator) -> Problem:
    """The problem with a placebo treatment: by the design's own propensities where they are known, else permuted,
    within blocks or by whole clusters. Instruments go along with the treatment, so that they move it as before
    (a placebo treatment without would leave nothing of the first stage; py-why/dowhy#1180).
    """
    instrumented = isinstance(problem, InstrumentProblem)
    for _ in range(TRIES):
        if problem.known_propensity is not None and problem.blocks is None and not instrumented:
            treated = _by_design(problem, problem.known_propensity, generator)
            new = replace(problem, treated=treated)
        else:
            donors = _donors(problem, generator)
            new = replace(problem, treated=problem.treated[donors])
            if isinstance(new, InstrumentProblem):
                treatment = None if new.treatment is None else new.treatment[donors]
                new = replace(new, instruments=new.instruments[donors], treatment=treatment)
        if min(int(new.treated.sum()), int((~new.treated).sum())) >= min(
            2, int(problem.treated.sum()), int((~problem.treated).sum())
        ):
            return new
    raise ValueError("no placebo treatment leaves units in both arms")


def _by_design(problem: Problem, propensity: np.ndarray, generator: Generator) -> Flags:
    if problem.clusters is not None and _is_constant_within(problem.treated, problem.clusters):
        _, index = np.unique(problem.clusters, return_inverse=True)
        return generator.random(int(index.max()) + 1)[index] < propensity
    return generator.random(problem.n) < propensity


def _donors(problem: Problem, generator: Generator) -> Labels:
    """Of each unit the one whose treatment it gets, (n,)."""
    if problem.clusters is not None:
        return _donors_by_cluster(problem, problem.clusters, generator)
    if problem.blocks is None:
        return generator.permutation(problem.n)
    donors = np.empty(problem.n, dtype=np.int64)
    shuffled = generator.permutation(problem.n)
    # Units by block as they are, and by block in shuffled order.
    donors[np.argsort(problem.blocks, kind="stable")] = shuffled[np.argsort(problem.blocks[shuffled], kind="stable")]
    return donors


def _donors_by_cluster(problem: Problem, clusters: Labels, generator: Generator) -> Labels:
    """Clusters swap their treatments, within blocks where blocks hold whole clusters; of clusters of unlike sizes each
    unit takes after one of the other cluster, without replacement as long as there are some.
    """
    _, first, index = np.unique(clusters, return_index=True, return_inverse=True)
    blocks = np.zeros(len(first), dtype=np.int64)
    if problem.blocks is not None and _is_constant_within(problem.blocks, clusters):
        blocks = problem.blocks[first]
    shuffled = generator.permutation(len(first))
    donor_of = np.empty(len(first), dtype=np.int64)
    donor_of[np.argsort(blocks, kind="stable")] = shuffled[np.argsort(blocks[shuffled], kind="stable")]
    rows = np.argsort(index, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(index))])
    donors = np.empty(problem.n, dtype=np.int64)
    for cluster, other in enumerate(donor_of):
        own, theirs = rows[starts[cluster] : starts[cluster + 1]], rows[starts[other] : starts[other + 1]]
        repeats = -(-len(own) // len(theirs))
        drawn = np.concatenate([generator.permutation(theirs) for _ in range(repeats)])
        donors[own] = drawn[: len(own)]
    return donors


def _is_constant_within(values: np.ndarray, groups: Labels) -> bool:
    _, first, index = np.unique(groups, return_index=True, return_inverse=True)
    return bool((values == values[first][index]).all())
