"""Estimates by instruments as problems that can be refuted like any other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from causeway.effects.estimators.partially_linear import of_slope_clusters, partially_linear
from causeway.effects.folds import deal_folds
from causeway.effects.influence import Array, Flags, Labels, Linearised
from causeway.effects.instruments.learnt import learnt_local_average_effect
from causeway.effects.instruments.two_stage_least_squares import two_stage_least_squares
from causeway.effects.learners import Quadratic
from causeway.effects.nuisances import Target, cross_fit
from causeway.effects.problem import Problem
from causeway.effects.refutations.estimators import few_folds

INSIDE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class InstrumentProblem(Problem):
    """instruments: (n, q). treatment: (n,), where it is on a scale; else None, and `treated` says it."""

    instruments: Array = field(default_factory=lambda: np.empty((0, 0)))
    treatment: Array | None = None

    @property
    def dose(self) -> Array:
        return self.treated.astype(np.float64) if self.treatment is None else self.treatment

    @property
    def encouraged(self) -> Flags | None:
        """The arms of a single instrument of two values; None of any other."""
        if self.instruments.shape[1] != 1:
            return None
        column = self.instruments[:, 0]
        low, high = column.min(), column.max()
        return column == high if bool(np.isin(column, (low, high)).all()) else None

    def among(self, rows: Flags | Labels) -> InstrumentProblem:
        some = Problem.among(self, rows)
        assert isinstance(some, InstrumentProblem)
        treatment = None if self.treatment is None else self.treatment[rows]
        return replace(some, instruments=self.instruments[rows], treatment=treatment)


@dataclass(frozen=True, slots=True)
class TwoStage:
    """Two-stage least squares."""

    adjusts: bool = True

    def estimate(self, problem: Problem) -> Linearised:
        assert isinstance(problem, InstrumentProblem)
        found = two_stage_least_squares(
            problem.outcome,
            problem.dose,
            problem.instruments,
            problem.x,
            weights=problem.weights,
            clusters=problem.clusters,
        )
        if found.effect is None:
            raise ValueError(f"two-stage least squares gives no estimate: {found.reason}")
        return found.effect


@dataclass(frozen=True, slots=True)
class LocalAverage:
    """The doubly robust effect on compliers."""

    adjusts: bool = True

    def estimate(self, problem: Problem) -> Linearised:
        assert isinstance(problem, InstrumentProblem)
        z = problem.encouraged
        if z is None:
            raise ValueError("the local average effect has one instrument of two values")
        found = learnt_local_average_effect(
            problem.outcome, problem.treated, z, problem.x,
            weights=problem.weights, clusters=problem.clusters,
            seed=problem.seeds[0], n_folds=few_folds(problem.n), given=problem.given,
        )  # fmt: skip
        if found.effect is None:
            raise ValueError(f"there is no local average effect: {found.reason}")
        return found.effect


@dataclass(frozen=True, slots=True)
class Slope:
    """The partially linear model of a treatment on a scale, which stands for its own instrument."""

    adjusts: bool = True

    def estimate(self, problem: Problem) -> Linearised:
        assert isinstance(problem, InstrumentProblem)
        dose, seed = problem.dose, problem.seeds[0]
        folds = deal_folds(dose > np.median(dose), few_folds(problem.n), seed, clusters=problem.clusters)
        targets = [Target("outcome", problem.outcome), Target("treatment", dose)]
        given = problem.given or {target.name: (Quadratic(),) for target in targets}
        one = cross_fit(targets, problem.x, [folds], [seed], weights=problem.weights, given=given)[0][0]
        found = partially_linear(problem.outcome, dose, one["outcome"], one["treatment"], weights=problem.weights)
        if problem.clusters is None:
            return found
        return replace(found, of_clusters=of_slope_clusters(problem.clusters))
