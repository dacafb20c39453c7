"""The same estimator on many variations of a problem: side by side, to the bit the same however they are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from causeway.effects.influence import Linearised
from causeway.effects.problem import Computing, Problem
from causeway.effects.refutations.estimators import Estimator
from causeway.effects.side_by_side import side_by_side

Generator = np.random.Generator
Vary = Callable[[Generator], Problem]
ENOUGH = 0.8
FEWEST = 4


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """problems and their estimates, those that failed left out; `reason` says why where too many did, else None."""

    problems: tuple[Problem, ...]
    estimates: tuple[Linearised, ...]
    reason: str | None = None


def repeat(
    estimator: Estimator, variations: Sequence[Vary], stream: np.random.SeedSequence, computing: Computing
) -> Repeated:
    """Each variation is drawn and estimated with a random stream of its own, one thread each."""
    children = stream.spawn(len(variations))
    answers = side_by_side(
        _one,
        ((estimator, vary, child) for vary, child in zip(variations, children, strict=True)),
        n_jobs=computing.n_jobs,
        backend=computing.backend,
    )
    good = [(problem, found) for problem, found, _ in answers if problem is not None and found is not None]
    if len(good) < max(min(FEWEST, len(variations)), ENOUGH * len(variations)):
        reason = next(reason for _, _, reason in answers if reason)
        failed = len(answers) - len(good)
        return Repeated((), (), f"{failed} of {len(answers)} repetitions gave no estimate: {reason}")
    return Repeated(tuple(problem for problem, _ in good), tuple(found for _, found in good))


def _one(
    estimator: Estimator, vary: Vary, stream: np.random.SeedSequence
) -> tuple[Problem | None, Linearised | None, str]:
    generator = np.random.default_rng(stream)
    try:
        seed = int(generator.integers(2**31))
        problem = sealed(replace(vary(generator), seed=seed, splits=1, computing=Computing()))
        found = estimator.estimate(problem)
    except Exception as problem_of_estimator:
        # Whatever a learner or somebody's own estimator may raise: an attempt to refute never ends a study.
        return None, None, f"{type(problem_of_estimator).__name__}: {problem_of_estimator}"
    if not (np.isfinite(found.effect) and np.isfinite(found.contributions).all()):
        return None, None, "the estimate is not finite"
    return problem, found, ""


def sealed(problem: Problem) -> Problem:
    """The same with arrays that cannot be written to, whatever the estimator does; the caller's stay as they are."""
    views: dict[str, Any] = {}
    for each in fields(problem):
        value = getattr(problem, each.name)
        if isinstance(value, np.ndarray):
            views[each.name] = value.view()
            views[each.name].flags.writeable = False
    return replace(problem, **views)
