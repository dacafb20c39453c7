"""What each unit says of the effect once its nuisances are known: the doubly robust score and the residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causeway.effects.influence import Array, Flags, Labels
from causeway.effects.nuisances import Nuisances

# A propensity beyond this would let one unit speak for a hundred others; of a rare treatment, a fifth of its share.
LOWEST_PROPENSITY = 0.01
SHARE_OF_RARE = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One split's view of the units, each (n,), in units of the outcome where nothing else is said.

    doubly_robust: its mean given x is the effect at x if either the propensity or the outcomes are right (Robins,
    Rotnitzky & Zhao 1994). outcome_residual: Y - E[Y | x]; treatment_residual: T - e(x), between -1 and 1: the two
    that the R-loss is made of (Robinson 1988). propensity: kept from zero and one by 0.01, or by a fifth of the share
    of the rarer arm where that is less. clipped: share of units whose propensity had to be moved. weights: of
    sampling, with mean one.
    """

    folds: Labels
    doubly_robust: Array
    outcome_residual: Array
    treatment_residual: Array
    propensity: Array
    weights: Array
    clipped: float

    @property
    def constant(self) -> float:
        """The one effect that fits best: the treatment's coefficient of Robinson's regression."""
        return constant_effect(self.outcome_residual, self.treatment_residual, self.weights)

    def r_loss(self, effect: Array | float) -> Array:
        """Squared error of each unit, (n,), if its effect were `effect`: Nie & Wager 2021, Biometrika 108, eq. 4."""
        return np.asarray((self.outcome_residual - effect * self.treatment_residual) ** 2, dtype=np.float64)


def scores_of(outcome: Array, treated: Flags, nuisances: Nuisances, *, weights: Array | None = None) -> Scores:
    """Scores of one split. Raises ValueError for lengths that differ and for nuisances that are not finite."""
    n = len(outcome)
    given = (nuisances.folds, nuisances.propensity, nuisances.outcome_control, nuisances.outcome_treated)
    if len(treated) != n or any(len(array) != n for array in given):
        raise ValueError("outcome, treatment and nuisances must have one number per unit")
    if not all(np.isfinite(array).all() for array in (outcome, *given)):
        raise ValueError("outcomes and nuisances must be finite")
    share = float(treated.mean())
    low, high = (min(LOWEST_PROPENSITY, SHARE_OF_RARE * rarer) for rarer in (share, 1 - share))
    propensity = np.clip(nuisances.propensity, low, 1 - high)
    t = treated.astype(np.float64)
    control, with_treatment = nuisances.outcome_control, nuisances.outcome_treated
    difference = with_treatment - control
    return Scores(
        folds=nuisances.folds,
        doubly_robust=difference
        + t * (outcome - with_treatment) / propensity
        - (1 - t) * (outcome - control) / (1 - propensity),
        outcome_residual=outcome - (control + propensity * difference),
        treatment_residual=t - propensity,
        propensity=propensity,
        weights=np.ones(n) if weights is None else weights / weights.mean(),
        clipped=float(np.mean(propensity != nuisances.propensity)),
    )


def mean_score(splits: Sequence[Scores]) -> Array:
    """The doubly robust scores (n,), averaged over several splits of the same units."""
    return np.asarray(np.mean([split.doubly_robust for split in splits], axis=0), dtype=np.float64)


def constant_effect(outcome_residual: Array, treatment_residual: Array, weights: Array) -> float:
    """argmin over c of sum w (outcome_residual - c treatment_residual)^2; zero where no residual is left."""
    denominator = float(weights @ treatment_residual**2)
    return float(weights @ (outcome_residual * treatment_residual)) / denominator if denominator > 0 else 0.0
