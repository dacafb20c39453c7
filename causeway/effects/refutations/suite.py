"""All attempts to break an estimate, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from causeway.effects.estimators.average import Estimated
from causeway.effects.influence import Flags, Labels, Linearised
from causeway.effects.nuisances import Nuisances
from causeway.effects.problem import Problem
from causeway.effects.refutations.baseline import Baseline, baseline
from causeway.effects.refutations.bootstrap import bootstrap
from causeway.effects.refutations.cheap_learners import cheap_learners
from causeway.effects.refutations.data_subset import data_subset, subset_rows
from causeway.effects.refutations.dummy_outcome import dummy_outcome
from causeway.effects.refutations.estimators import Estimator, OfMethod
from causeway.effects.refutations.functional_form import functional_form
from causeway.effects.refutations.placebo_treatment import placebo_treatment
from causeway.effects.refutations.random_common_cause import random_common_cause
from causeway.effects.refutations.refutation import Refutation
from causeway.effects.refutations.repeating import repeat
from causeway.effects.refutations.scores import inferred
from causeway.effects.refutations.unobserved_common_cause import unobserved_common_cause

REFUTERS = (
    "placebo_treatment",
    "random_common_cause",
    "data_subset",
    "bootstrap",
    "dummy_outcome",
    "simulated_confounder",
    "functional_form",
)
"""In the order of the answer."""
MOST_UNITS = 20_000
"""An estimator is tried on that many units, drawn by chance, however many there are."""
FEWEST_UNITS = 20
FEWEST_SIMULATIONS = 4
# A placebo treatment depends on nothing: any propensity is right, and trees may be quick.
PLACEBO_ROUNDS, PLACEBO_DEPTH = 30, 3
ROUNDS, DEPTH = 80, 6


def refute(
    problem: Problem,
    nuisances: Sequence[Nuisances],
    *,
    method: str,
    found: Estimated | Linearised,
    seed: int,
    simulations: int = 20,
    estimator: Estimator | None = None,
    only: Sequence[str] = REFUTERS,
) -> tuple[Refutation, ...]:
    """Try to break an estimate `found` of `problem`; those attempts that suit it, in the order of `REFUTERS`.

    nuisances: of the problem, of which what has weight is fitted anew; may be empty. estimator: what estimates anew,
    by default the one of `METHODS` with the name `method`. simulations: placebo treatments; of all else half as many.
    The numbers depend on `seed`, and neither on `problem.computing` nor on which other refuters run. Nothing is raised
    for data: an attempt that fails has `problem_found` None and its reason. Raises ValueError for unknown names.
    """
    unknown = set(only) - set(REFUTERS)
    if unknown:
        raise ValueError(f"no such refuters: {', '.join(sorted(unknown))}; there are {', '.join(REFUTERS)}")
    estimate = found.estimate if isinstance(found, Estimated) else found
    estimator = estimator or OfMethod.named(method, problem)
    names = (*REFUTERS, "baseline", "units", "without")
    streams = dict(zip(names, np.random.SeedSequence(seed).spawn(len(names)), strict=True))
    if problem.n < FEWEST_UNITS:
        reason = f"{problem.n} units are too few to vary anything"
        asked = [name for name in REFUTERS if name in only and name != "functional_form"]
        return tuple(Refutation.impossible(name, method, reason) for name in asked)
    tried = _Tried(
        problem=problem,
        nuisances=nuisances,
        estimator=estimator,
        method=method,
        simulations=max(FEWEST_SIMULATIONS, simulations),
        significant=_is_significant(problem, estimate),
        streams=streams,
    )
    results: list[Refutation | None] = []
    for name in REFUTERS:
        if name in only:
            if name == "bootstrap":
                results.append(bootstrap(problem, estimate, method=method, stream=streams[name], without=tried.without))
            else:
                results.append(tried.answer(name))
    return tuple(each for each in results if each is not None)


def _is_significant(problem: Problem, estimate: Linearised) -> bool:
    inference = inferred(problem, estimate)
    return inference.p_value is not None and inference.p_value < 0.05


class _Tried:
    """What attempts share: the units they are made on, and the estimate of those, made when first needed."""

    def __init__(
        self,
        *,
        problem: Problem,
        nuisances: Sequence[Nuisances],
        estimator: Estimator,
        method: str,
        simulations: int,
        significant: bool,
        streams: Mapping[str, np.random.SeedSequence],
    ) -> None:
        self.estimator, self.method, self.streams = estimator, method, streams
        self.simulations, self.significant = simulations, significant
        self.computing = problem.computing
        given = cheap_learners(problem, nuisances, most_rounds=ROUNDS, most_depth=DEPTH)
        quick = cheap_learners(problem, nuisances, most_rounds=PLACEBO_ROUNDS, most_depth=PLACEBO_DEPTH)
        some, self.nuisances = problem, tuple(nuisances[:1])
        if problem.n > MOST_UNITS:
            rows = np.sort(subset_rows(problem, MOST_UNITS / problem.n, np.random.default_rng(streams["units"])))
            some, self.nuisances = problem.among(rows), tuple(_among(each, rows) for each in nuisances[:1])
        self.problem, self.for_placebo = replace(some, given=given), replace(some, given=quick)

    def answer(self, name: str) -> Refutation | None:
        """Of the refuter `name`; None where it does not apply."""
        fewer = max(FEWEST_SIMULATIONS, self.simulations // 2)
        shared: dict[str, Any] = {"method": self.method, "stream": self.streams[name], "computing": self.computing}
        own: dict[str, Callable[[], Refutation | None]] = {
            "placebo_treatment": lambda: placebo_treatment(
                self.for_placebo, self.estimator, simulations=self.simulations, **shared
            ),
            "dummy_outcome": lambda: dummy_outcome(
                self.problem, self.nuisances, self.estimator, simulations=fewer, **shared
            ),
            "functional_form": lambda: functional_form(self.problem, self.estimator, **shared),
        }
        if name in own:
            return own[name]()
        base = self.base
        if isinstance(base, str):
            return Refutation.impossible(name, self.method, base)
        compared: dict[str, Callable[[], Refutation | None]] = {
            "random_common_cause": lambda: random_common_cause(
                self.problem, self.estimator, base, simulations=fewer, **shared
            ),
            "data_subset": lambda: data_subset(self.problem, self.estimator, base, simulations=fewer, **shared),
            "simulated_confounder": lambda: unobserved_common_cause(
                self.problem, self.estimator, base, significant=self.significant, **shared
            ),
        }
        return compared[name]()

    def without(self, units: Flags) -> float | None:
        """The variance once `units` (n,) are left out, as a share of the variance with them; None where that is not
        tried: of many units, or where there is no estimate.
        """
        if len(units) != self.problem.n or isinstance(self.base, str):
            return None
        rest = self.problem.among(~units)
        found = repeat(self.estimator, [lambda generator: rest], self.streams["without"], self.computing)
        if found.reason is not None:
            return None
        error = inferred(rest, found.estimates[0]).std_error
        return None if error is None else (error / self.base.std_error) ** 2

    @cached_property
    def base(self) -> Baseline | str:
        return baseline(self.problem, self.estimator, stream=self.streams["baseline"], computing=self.computing)


def _among(nuisances: Nuisances, rows: Labels) -> Nuisances:
    return Nuisances(
        nuisances.folds[rows],
        nuisances.propensity[rows],
        nuisances.outcome_control[rows],
        nuisances.outcome_treated[rows],
        nuisances.chosen,
    )
