"""Effects of units by models that have not seen them: each fold by the others, and each fold by those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from causeway.effects.heterogeneity.final_stage import Learner, Stage, Standardised, fit_stage
from causeway.effects.heterogeneity.scores import Scores
from causeway.effects.influence import Array, Labels
from causeway.effects.side_by_side import side_by_side


@dataclass(frozen=True, slots=True, eq=False)
class CrossFit:
    """One learner over one split.

    effect: (n,), of each unit by the model of all other folds. ahead: (n,), of each unit by a model of the folds
    before its own; nan in the first fold. stages: the models behind `effect`, by fold.
    """

    learner: Learner
    effect: Array
    ahead: Array
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """How columns are brought to mean zero and spread one before they become float32."""

    centre: Array
    spread: Array

    @classmethod
    def of(cls, x: Array) -> Scale:
        spread = x.std(axis=0)
        return cls(x.mean(axis=0), np.where(spread > 0, spread, 1.0))

    def apply(self, x: Array) -> Standardised:
        return np.ascontiguousarray((x - self.centre) / self.spread, dtype=np.float32)


def cross_fit(
    z: Standardised,
    scores: Scores,
    learners: Sequence[Learner],
    *,
    clusters: Labels | None,
    seed: int,
    n_jobs: int = 1,
    backend: str = "threading",
) -> tuple[CrossFit, ...]:
    """Fit every learner 2 K - 3 times over K folds; the same bits for any n_jobs and backend of joblib.

    The models of the folds before a fold are what a test of the effects can stand on: predictions by all other folds
    share noise across folds, so that where the effect is constant their test statistics are neither independent nor
    normal (Wager 2024, "Sequential validation of treatment heterogeneity", arXiv 2405.05534).
    """
    n_folds = int(scores.folds.max()) + 1
    everything = np.arange(len(scores.folds))
    groups = _held_out_by_chance(len(scores.folds), clusters, seed)
    seeds = np.random.SeedSequence([seed, 1]).generate_state(2 * n_folds)

    def train(learner: Learner, fold: int, before: bool) -> tuple[Stage, Array]:
        rows = everything[scores.folds < fold] if before else everything[scores.folds != fold]
        stage = fit_stage(learner, z, scores, rows, groups, seed=int(seeds[fold + n_folds * before] % 2**31))
        return stage, stage.predict(z[scores.folds == fold])

    # The last fold has all others before it.
    jobs = [(fold, False) for fold in range(n_folds)] + [(fold, True) for fold in range(1, n_folds - 1)]
    found = side_by_side(
        train,
        ((learner, fold, before) for learner in learners for fold, before in jobs),
        n_jobs=n_jobs,
        backend=backend,
    )
    made = []
    for place, learner in enumerate(learners):
        of_learner = dict(zip(jobs, found[place * len(jobs) : (place + 1) * len(jobs)], strict=True))
        effect, ahead = np.empty(len(z)), np.full(len(z), np.nan)
        for fold in range(n_folds):
            unit = scores.folds == fold
            effect[unit] = of_learner[fold, False][1]
            if fold:
                ahead[unit] = of_learner.get((fold, True), of_learner[fold, False])[1]
        made.append(CrossFit(learner, effect, ahead, tuple(of_learner[fold, False][0] for fold in range(n_folds))))
    return tuple(made)


def check_folds(folds: Labels, treated: npt.NDArray[np.bool_], clusters: Labels | None) -> None:
    """ValueError unless folds are numbered from zero without gaps, at least two, and hold clusters whole."""
    if folds.min() != 0 or len(np.unique(folds)) != folds.max() + 1 or folds.max() < 1:
        raise ValueError("folds must be whole numbers from zero without gaps, two at least")
    if clusters is not None:
        _, index = np.unique(clusters, return_inverse=True)
        first = np.zeros(int(index.max()) + 1, dtype=np.int64)
        first[index] = folds
        if (first[index] != folds).any():
            raise ValueError("a cluster is spread over several folds, so nothing would be held out")


def _held_out_by_chance(n: int, clusters: Labels | None, seed: int) -> Array:
    """A number in [0, 1) for each unit, the same within a cluster."""
    generator = np.random.default_rng([seed, 2])
    if clusters is None:
        return generator.random(n)
    _, index = np.unique(clusters, return_inverse=True)
    return np.asarray(generator.random(int(index.max()) + 1)[index], dtype=np.float64)
