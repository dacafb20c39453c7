"""The estimate as a refuter's own way of estimating finds it, over several splits of the units: what a variation of
the problem is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causeway.effects.influence import Linearised
from causeway.effects.problem import Computing, Problem
from causeway.effects.refutations.estimators import Estimator
from causeway.effects.refutations.repeating import repeat
from causeway.effects.refutations.scores import inferred

SPLITS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """effect: the mean over `splits`. std_error: the median. split_variance: of one split's effect, zero where nothing
    is split.
    """

    effect: float
    std_error: float
    split_variance: float
    splits: int
    estimates: tuple[Linearised, ...]


def baseline(
    problem: Problem, estimator: Estimator, *, stream: np.random.SeedSequence, computing: Computing
) -> Baseline | str:
    """Or the reason why there is none."""
    found = repeat(estimator, [lambda generator: problem] * SPLITS, stream, computing)
    if found.reason is not None:
        return found.reason
    return of_estimates(problem, found.estimates)


def of_estimates(problem: Problem, estimates: Sequence[Linearised]) -> Baseline | str:
    errors = [inferred(problem, each).std_error for each in estimates]
    known = [each for each in errors if each is not None]
    if len(known) < len(errors):
        return "the estimate has no standard error"
    effects = np.array([each.effect for each in estimates])
    return Baseline(
        float(effects.mean()), float(np.median(known)), float(effects.var(ddof=1)), len(effects), tuple(estimates)
    )
