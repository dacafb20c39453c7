"""A small confounded world, learners that are right for it and fit in a blink, and a way to make a method of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from causeway.effects.influence import Array
from causeway.effects.learners import Kind, Learner, Predictor
from causeway.effects.problem import Problem
from causeway.effects.refutations.instrumented import InstrumentProblem

NUISANCES = ("propensity", "outcome_control", "outcome_treated", "treatment_control", "treatment_treated")


@dataclass(frozen=True)
class Lines:
    """Least squares, or a logistic regression by a few steps of Newton's."""

    variants: tuple[str, ...] = ("lines",)

    def only(self, kept: tuple[int, ...]) -> Learner:
        return self

    def fit(self, x: Array, y: Array, weights: Array | None, kind: Kind, seed: int) -> Predictor:
        design = np.column_stack([np.ones(len(x)), x])
        slopes = np.linalg.lstsq(design, y, rcond=None)[0]
        if kind == "regression":
            return lambda at: (np.column_stack([np.ones(len(at)), at]) @ slopes)[:, np.newaxis]
        slopes = np.zeros(design.shape[1])
        for _ in range(6):
            e = 1 / (1 + np.exp(-design @ slopes))
            information = (design * (e * (1 - e))[:, np.newaxis]).T @ design + 0.1 * np.eye(design.shape[1])
            slopes = slopes + np.linalg.solve(information, design.T @ (y - e) - 0.1 * slopes)
        return lambda at: (1 / (1 + np.exp(-np.column_stack([np.ones(len(at)), at]) @ slopes)))[:, np.newaxis]


@pytest.fixture
def confounded_world() -> Callable[..., Problem]:
    """Effect one for all; three columns, of which two confound, by lines. designed: treatment by lot. clustered: by lot
    among groups of ten that share something."""

    def world(seed: int, n: int = 400, *, designed: bool = False, clustered: bool = False) -> Problem:
        generator = np.random.default_rng([seed, n])
        x = generator.normal(size=(n, 3))
        propensity = np.full(n, 0.5) if designed else 1 / (1 + np.exp(-(0.7 * x[:, 0] - 0.5 * x[:, 1])))
        treated = generator.random(n) < propensity
        shared = np.zeros(n)
        clusters = None
        if clustered:
            clusters = np.arange(n) // 10
            treated = (generator.permutation(n // 10) % 2 == 0)[clusters]
            shared = 0.6 * generator.normal(size=n // 10)[clusters]
        outcome = x[:, 0] + 0.5 * x[:, 1] + shared + treated + generator.normal(size=n)
        return Problem(
            outcome,
            treated,
            x,
            ("a", "b", "c"),
            seed=seed,
            clusters=clusters,
            known_propensity=propensity if designed else None,
            given=dict.fromkeys(NUISANCES, (Lines(),)),
        )

    return world


@pytest.fixture
def instrumented_world() -> Callable[..., InstrumentProblem]:
    """Effect one for all; an unmeasured u moves treatment and outcome, a two-valued instrument the treatment only."""

    def world(seed: int, n: int = 600) -> InstrumentProblem:
        generator = np.random.default_rng([seed, n, 7])
        x, u = generator.normal(size=(n, 2)), generator.normal(size=n)
        instrument = generator.random(n) < 1 / (1 + np.exp(-0.5 * x[:, 0]))
        treated = 1.5 * instrument + 0.5 * x[:, 1] + u + generator.normal(size=n) > 0.8
        outcome = x[:, 0] + u + generator.normal(size=n) + treated
        return InstrumentProblem(
            outcome,
            treated,
            x,
            ("a", "b"),
            seed=seed,
            instruments=instrument[:, np.newaxis].astype(float),
            given=dict.fromkeys(NUISANCES, (Lines(),)),
        )

    return world


@pytest.fixture
def learnt() -> Callable[[Problem], tuple]:
    """Nuisances of a single split."""
    return lambda problem: replace(problem, splits=1).nuisances()
