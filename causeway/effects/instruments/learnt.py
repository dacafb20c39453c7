"""The local average effect from data alone: its nuisances are learnt of the instrument's arms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from causeway.effects.influence import Array, Flags, Labels
from causeway.effects.instruments.local_average import LocalAverageEffect, local_average_effect
from causeway.effects.learners import Learner
from causeway.effects.nuisances import Nuisances, Target, cross_fit, folds_of, usual_folds

# P(Z = 1 | x) is held away from zero and one by this much.
CLIP = 0.01


def learnt_local_average_effect(
    outcome: Array,
    treated: Flags,
    instrument: Flags,
    x: Array,
    *,
    weights: Array | None = None,
    clusters: Labels | None = None,
    seed: int = 0,
    n_folds: int | None = None,
    given: Mapping[str, Sequence[Learner]] | None = None,
    n_jobs: int = 1,
    backend: str = "threading",
) -> LocalAverageEffect:
    """`local_average_effect` with cross-fitted nuisances of one split. outcome: (n,); treated, instrument: (n,)
    two-valued; x: (n, p).

    given: learners by nuisance, instead of those that are weighed. n_jobs, backend: of joblib; they change no number.
    Raises TooFewToSplit where an arm of the instrument has fewer than two units, or clusters.
    """
    t = treated.astype(np.float64)
    (folds,) = folds_of(instrument, [seed], n_folds or usual_folds(len(outcome)), clusters)
    targets = [
        Target("propensity", instrument.astype(np.float64)),
        Target("outcome_control", outcome, ~instrument),
        Target("outcome_treated", outcome, instrument),
        Target("treatment_control", t, ~instrument),
        Target("treatment_treated", t, instrument),
    ]
    found, told = cross_fit(targets, x, [folds], [seed], weights=weights, given=given, n_jobs=n_jobs, backend=backend)
    one = found[0]
    propensity = np.clip(one["propensity"], CLIP, 1 - CLIP)
    on_outcome = Nuisances(folds, propensity, one["outcome_control"], one["outcome_treated"], told)
    on_treatment = Nuisances(folds, propensity, one["treatment_control"], one["treatment_treated"], told)
    return local_average_effect(
        outcome, treated, instrument,
        on_outcome=on_outcome, on_treatment=on_treatment, weights=weights, clusters=clusters,
    )  # fmt: skip
