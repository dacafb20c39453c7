"""What can be refuted: anything that answers a problem with an effect and its contributions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from causeway.effects.estimators.average import METHODS, Method
from causeway.effects.estimators.matching import match
from causeway.effects.influence import Linearised
from causeway.effects.nuisances import Nuisances, fit_nuisances
from causeway.effects.problem import Problem

WITH_NUISANCES = frozenset({"aipw", "partially_linear"})
FEW_UNITS = 1_000


class Estimator(Protocol):
    """Estimates anew from a problem alone, whose arrays are read-only; the seed of what is drawn is the problem's.

    adjusts: whether the columns of x have a say. May raise: the attempt then is not carried out, with the reason.
    """

    @property
    def adjusts(self) -> bool: ...

    def estimate(self, problem: Problem) -> Linearised: ...


@dataclass(frozen=True, slots=True)
class OfMethod:
    """One of `METHODS`, or a method like them, with nuisances fitted anew.

    With few folds: what is refuted is an estimator, which has to be right with halves as well.
    """

    method: Method
    with_nuisances: bool = True
    adjusts: bool = True

    @classmethod
    def named(cls, name: str, problem: Problem) -> OfMethod:
        adjusts = name != "difference_in_means" and not (name == "ipw" and problem.known_propensity is not None)
        return cls(METHODS[name], name in WITH_NUISANCES, adjusts)

    def estimate(self, problem: Problem) -> Linearised:
        nuisances: tuple[Nuisances, ...] = ()
        if self.with_nuisances:
            nuisances = fit_nuisances(
                outcome=problem.outcome,
                treated=problem.treated,
                x=problem.x,
                seeds=problem.seeds,
                n_folds=few_folds(problem.n),
                weights=problem.weights,
                clusters=problem.clusters,
                known_propensity=problem.known_propensity,
                given=problem.given,
            )
        return self.method(problem, nuisances).estimate


@dataclass(frozen=True, slots=True)
class Matched:
    """Matching on x, with the settings of `match`."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    adjusts: bool = True

    def estimate(self, problem: Problem) -> Linearised:
        found = match(
            treated=problem.treated,
            outcome=problem.outcome,
            x=problem.x,
            target=problem.target,
            weights=problem.weights,
            clusters=problem.clusters,
            **self.settings,
        )
        if found.found is None:
            raise ValueError(f"matching gives no estimate: {found.status}")
        return found.found


def few_folds(n: int) -> int:
    """Two halves; more where a half would know too little."""
    return 3 if n < FEW_UNITS else 2
