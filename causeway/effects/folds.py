"""Units dealt into folds, so that what is predicted for a unit was learnt from others."""

from __future__ import annotations

import numpy as np

from causeway.effects.influence import Flags, Labels


def deal_folds(treated: Flags, n_folds: int, seed: int, *, clusters: Labels | None = None) -> Labels:
    """A fold per unit, (n,), whole numbers from zero; each fold has its share of both arms.

    Without clusters the units of each arm are shuffled and dealt in turn. Clusters stay whole: shuffled, then the
    largest first, each goes to the fold that it makes least uneven. A fold for each unit of the smaller arm, or for
    each cluster, is the most there can be.

    >>> deal_folds(np.array([True, False, True, False]), 2, seed=0).tolist()
    [0, 1, 1, 0]
    """
    generator = np.random.default_rng(seed)
    folds = np.empty(len(treated), dtype=np.int64)
    if clusters is None:
        for arm in (treated, ~treated):
            rows = np.flatnonzero(arm)
            folds[generator.permutation(rows)] = np.arange(len(rows)) % n_folds
        return folds
    names, index = np.unique(clusters, return_inverse=True)
    counts = np.column_stack([np.bincount(index, weights=arm, minlength=len(names)) for arm in (treated, ~treated)])
    # In shares of the arms, so that the rarer one is dealt as evenly as the other.
    shares = counts / np.maximum(1, counts.sum(axis=0))
    order = generator.permutation(len(names))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    filled = np.zeros((n_folds, 2))
    of_cluster = np.empty(len(names), dtype=np.int64)
    for cluster in order:
        uneven = ((filled + shares[cluster]) ** 2).sum(axis=1) - (filled**2).sum(axis=1)
        of_cluster[cluster] = int(np.argmin(uneven))
        filled[of_cluster[cluster]] += shares[cluster]
    return of_cluster[index]
