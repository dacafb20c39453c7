"""The arrays that an average effect is estimated from: one object for estimators, refuters and segments alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from causeway.effects.estimators.aipw import Average
from causeway.effects.influence import Array, Flags, Labels
from causeway.effects.learners import Learner
from causeway.effects.nuisances import Nuisances, fit_nuisances


@dataclass(frozen=True, slots=True)
class Computing:
    """How to compute, which changes no number: joblib's `n_jobs`, -1 for all there are, and `backend`, one of
    `causeway.effects.side_by_side.BACKENDS` or any that joblib was told of.
    """

    n_jobs: int = 1
    backend: str = "threading"


ALONE = Computing()
"""One fit after the other."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Two arms to compare. outcome, treated: (n,). x: (n, p), what is adjusted for, with a name for each of `columns`.

    target: whose average effect. weights: (n,), of sampling; clusters, blocks: (n,) labels; known_propensity: (n,), of
    a designed experiment. seed, splits: of cross-fitting. given: learners by nuisance instead of those that are
    weighed.
    """

    outcome: Array
    treated: Flags
    x: Array
    columns: tuple[str, ...]
    target: Average = "ATE"
    weights: Array | None = None
    clusters: Labels | None = None
    blocks: Labels | None = None
    known_propensity: Array | None = None
    seed: int = 0
    splits: int = 3
    given: Mapping[str, Sequence[Learner]] = field(default_factory=dict)
    computing: Computing = ALONE

    @property
    def n(self) -> int:
        return len(self.outcome)

    @property
    def scale(self) -> float:
        """Standard deviation of the outcome."""
        return float(np.std(self.outcome))

    @property
    def seeds(self) -> tuple[int, ...]:
        """One a split."""
        return tuple(int(seed) for seed in np.random.SeedSequence(self.seed).generate_state(self.splits))

    def among(self, rows: Flags | Labels) -> Problem:
        """The same question about some of the units."""

        return replace(
            self,
            outcome=self.outcome[rows],
            treated=self.treated[rows],
            x=self.x[rows],
            weights=None if self.weights is None else self.weights[rows],
            clusters=None if self.clusters is None else self.clusters[rows],
            blocks=None if self.blocks is None else self.blocks[rows],
            known_propensity=None if self.known_propensity is None else self.known_propensity[rows],
        )

    def nuisances(self) -> tuple[Nuisances, ...]:
        """Fitted anew, one a split."""
        return fit_nuisances(
            outcome=self.outcome,
            treated=self.treated,
            x=self.x,
            seeds=self.seeds,
            weights=self.weights,
            clusters=self.clusters,
            known_propensity=self.known_propensity,
            given=self.given,
            n_jobs=self.computing.n_jobs,
            backend=self.computing.backend,
        )


def usual_splits(n: int) -> int:
    """How often units are split: the fewer they are, the more does a single split decide."""
    return 7 if n < 2_000 else 3
