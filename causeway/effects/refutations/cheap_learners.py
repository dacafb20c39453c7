"""The learners that had weight in the full fit, with their weights, in fewer and larger steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from causeway.effects.influence import Array
from causeway.effects.learners import BoostedTrees, Kind, Learner, Predictor, learners_for
from causeway.effects.nuisances import Nuisances
from causeway.effects.problem import Problem

# Steps larger than this forget more than the rounds they save.
LARGEST_RATE = 0.3
FEWEST_ROUNDS = 10


@dataclass(frozen=True, slots=True)
class Blend:
    """A weighted mean of learners, as one. shares: one a learner, which has a single variant."""

    learners: tuple[Learner, ...]
    shares: tuple[float, ...]
    variants: tuple[str, ...] = ("blend",)

    def fit(self, x: Array, y: Array, weights: Array | None, kind: Kind, seed: int) -> Predictor:
        fitted = [each.fit(x, y, weights, kind, seed) for each in self.learners]

        def predict(at: Array) -> Array:
            pairs = zip(self.shares, fitted, strict=True)
            return np.asarray(sum(share * each(at)[:, :1] for share, each in pairs), dtype=np.float64)

        return predict

    def only(self, kept: tuple[int, ...]) -> Learner:
        return self


def cheap_learners(
    problem: Problem, nuisances: Sequence[Nuisances], *, most_rounds: int, most_depth: int
) -> dict[str, tuple[Learner, ...]]:
    """By nuisance, for `Problem.given`: what `nuisances` were made of. Trees become `most_rounds` rounds at most, of as
    much in sum; those that the problem was given stay as they are.
    """
    cheap = {name: tuple(learners) for name, learners in problem.given.items()}
    chosen = nuisances[0].chosen if nuisances else {}
    for name, told in chosen.items():
        shares = told.get("learners") if isinstance(told, Mapping) else None
        if name in cheap or not shares:
            continue
        kind: Kind = "probability" if name == "propensity" or name.startswith("treatment") else "regression"
        blend = _blend(shares, learners_for(problem.n, problem.x.shape[1], kind), most_rounds, most_depth)
        if blend is not None:
            cheap[name] = (blend,)
    return cheap


def _blend(
    shares: Mapping[str, float], candidates: Sequence[Learner], most_rounds: int, most_depth: int
) -> Blend | None:
    learners: list[Learner] = []
    of_learners: list[float] = []
    for learner in candidates:
        own = [shares.get(variant, 0.0) for variant in learner.variants]
        total = sum(own)
        if total <= 0:
            continue
        if isinstance(learner, BoostedTrees):
            usual = sum(share * rounds for share, rounds in zip(own, learner.rounds, strict=True)) / total
            faster = min(LARGEST_RATE / learner.rate, max(1.0, usual / most_rounds))
            rounds = min(most_rounds, max(FEWEST_ROUNDS, math.ceil(usual / faster)))
            learners.append(BoostedTrees((rounds,), min(most_depth, learner.depth), learner.rate * faster))
        else:
            learners.append(learner)
        of_learners.append(total)
    if not learners:
        return None
    everything = sum(of_learners)
    return Blend(tuple(learners), tuple(share / everything for share in of_learners))
