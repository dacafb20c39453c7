"""Most of the units must tell the same as all of them, to what a part can differ from the whole."""

from __future__ import annotations

import math

import numpy as np

from causeway.effects.influence import Flags, Labels
from causeway.effects.problem import Computing, Problem
from causeway.effects.refutations.baseline import Baseline
from causeway.effects.refutations.estimators import Estimator
from causeway.effects.refutations.instrumented import InstrumentProblem
from causeway.effects.refutations.refutation import Refutation
from causeway.effects.refutations.repeating import Generator, repeat
from causeway.effects.refutations.scores import TOLERATED_SHIFT, judge_scores

NAME = "data_subset"
SHARE = 0.8
SMALLEST_CELL = 5
TOLERATED_STRETCH = 1.3
"""More than elsewhere: a fifth fewer units are more than a fifth fewer beyond what covariates take."""


def data_subset(
    problem: Problem,
    estimator: Estimator,
    base: Baseline,
    *,
    method: str,
    stream: np.random.SeedSequence,
    simulations: int,
    computing: Computing,
    share: float = SHARE,
) -> Refutation:
    """`simulations` times estimated from `share` of the units, whole clusters, drawn in each arm (and block).

    Given the data, the effect of a subset is centred at that of all, with variance (1 / share - 1) SE**2 (sampling
    without replacement from the contributions; Cochran 1977, eq. 2.18), and what another split adds. A larger spread
    means that the contributions, hence the standard error, do not tell what the estimate depends on; a shift, that
    it depends on the number of units.
    """
    found = repeat(estimator, [lambda generator: subset(problem, share, generator)] * simulations, stream, computing)
    if found.reason is not None:
        return Refutation.impossible(NAME, method, found.reason)
    effects = np.array([each.effect for each in found.estimates])
    variance = (1 / share - 1) * base.std_error**2 + base.split_variance * (1 + 1 / base.splits)
    scale = math.sqrt(variance)
    tolerated = TOLERATED_SHIFT * base.std_error / scale
    scored = judge_scores(
        ((effects - base.effect) / scale).tolist(), tolerated_shift=tolerated, tolerated_stretch=TOLERATED_STRETCH
    )
    detail = (
        f"{len(effects)} subsets of {share:.0%} give {effects.mean():.4g} on average where all units give "
        f"{base.effect:.4g} (p = {scored.p_mean:.3f}), and vary {scored.spread:.2f} times as much as subsets should "
        f"(p = {scored.p_spread:.3f})"
    )
    return Refutation.judged(NAME, method, float(effects.mean()), scored.p_value, detail)


def subset(problem: Problem, share: float, generator: Generator) -> Problem:
    """A random share of the units of each arm, or of clusters, or of blocks where those are small. The same problem
    where share is one.
    """
    return problem if share >= 1 else problem.among(np.sort(subset_rows(problem, share, generator)))


def subset_rows(problem: Problem, share: float, generator: Generator) -> Labels:
    """Positions of the units."""
    arms = problem.encouraged if isinstance(problem, InstrumentProblem) else problem.treated
    if arms is None:
        arms = np.zeros(problem.n, dtype=bool)
    if problem.clusters is not None:
        return _of_groups(problem.clusters, arms, share, generator)
    cells = arms.astype(np.int64)
    if problem.blocks is not None:
        _, block = np.unique(problem.blocks, return_inverse=True)
        cells = cells + 2 * block
        if np.unique(cells, return_counts=True)[1].min() < SMALLEST_CELL:
            return _of_groups(problem.blocks, np.zeros(problem.n, dtype=bool), share, generator)
    return _of_cells(cells, share, generator)


def _of_groups(groups: Labels, arms: Flags, share: float, generator: Generator) -> Labels:
    """All units of a share of the groups, drawn apart from groups that are mostly of the one and of the other arm."""
    _, index = np.unique(groups, return_inverse=True)
    mostly = np.bincount(index, weights=arms) > np.bincount(index) / 2
    kept = np.zeros(len(mostly), dtype=bool)
    kept[_of_cells(mostly.astype(np.int64), share, generator)] = True
    return np.flatnonzero(kept[index])


def _of_cells(cells: Labels, share: float, generator: Generator) -> Labels:
    """Positions of the same share of each cell, rounded."""
    shuffled = generator.permutation(len(cells))
    ordered = shuffled[np.argsort(cells[shuffled], kind="stable")]
    _, counts = np.unique(cells, return_counts=True)
    place = np.concatenate([np.arange(count) for count in counts])
    return ordered[place < np.repeat(np.round(share * counts), counts)]
