"""The local average effect from data alone: its nuisances are learnt of the instrument's arms."""

from __future__ import annotations

import numpy as np

from causeway.effects.folds import deal_folds
from causeway.effects.influence import Array, Flags, Labels
from causeway.effects.instruments.local_average import LocalAverageEffect, local_average_effect
from causeway.effects.nuisances import Nuisances, Target, cross_fit, usual_folds

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
    n_jobs: int = 1,
    backend: str = "threading",
) -> LocalAverageEffect:
    """`local_average_effect` with cross-fitted nuisances of one split. outcome: (n,); treated, instrument: (n,)
    two-valued; x: (n, p).

    n_jobs, backend: of joblib; they change no number.
    """
    t = treated.astype(np.float64)
    folds = deal_folds(instrument, usual_folds(len(outcome)), seed, clusters=clusters)
    targets = [
        Target("propensity", "probability", instrument.astype(np.float64)),
        Target("outcome_control", "regression", outcome, ~instrument),
        Target("outcome_treated", "regression", outcome, instrument),
        Target("treatment_control", "probability", t, ~instrument),
        Target("treatment_treated", "probability", t, instrument),
    ]
    found, told = cross_fit(targets, x, [folds], [seed], weights=weights, n_jobs=n_jobs, backend=backend)
    one = found[0]
    propensity = np.clip(one["propensity"], CLIP, 1 - CLIP)
    on_outcome = Nuisances(folds, propensity, one["outcome_control"], one["outcome_treated"], told)
    on_treatment = Nuisances(folds, propensity, one["treatment_control"], one["treatment_treated"], told)
    return local_average_effect(
        outcome, treated, instrument,
        on_outcome=on_outcome, on_treatment=on_treatment, weights=weights, clusters=clusters,
    )  # fmt: skip
