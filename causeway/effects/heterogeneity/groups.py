"""The effect in groups of units: by how large it was predicted to be, and by the levels of a segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causeway.effects.heterogeneity.means_of_scores import Estimate, estimate, joint_p_value, mean_of
from causeway.effects.influence import Array, Flags, Labels, Linearised
from causeway.statistics.effect import Status
from causeway.statistics.multiple_testing import holm

# Of either arm; below it the normal approximation of a mean of scores is not worth its name.
FEWEST_IN_ARM = 20


@dataclass(frozen=True, slots=True)
class GroupEffect:
    """Average effect in one group. predicted: mean prediction there, None for a segment. p_value_adjusted: of no
    effect, Holm over the groups.
    """

    group: str
    n: int
    effect: Estimate
    predicted: float | None = None
    p_value_adjusted: float | None = None


@dataclass(frozen=True, slots=True)
class GroupEffects:
    """status: "ok", or too_few_units where fewer than two groups have an effect. p_value: of equal effects in all
    groups with one. last_less_first: the difference between the last and the first group with an effect.
    """

    status: Status
    groups: tuple[GroupEffect, ...]
    p_value: float | None = None
    last_less_first: Estimate | None = None


def group_effects(
    scores: Array,
    labels: Labels,
    names: Sequence[str],
    treated: Flags,
    *,
    predicted: Array | None = None,
    weights: Array | None = None,
    clusters: Labels | None = None,
    alpha: float = 0.05,
) -> GroupEffects:
    """Mean of the doubly robust scores (n,) in each group; labels (n,) are positions in `names`, -1 for none.

    With labels by predicted effect these are the sorted group average effects of Chernozhukov, Demirer, Duflo &
    Fernandez-Val 2018 (NBER 24678, sec. 3). A group needs 20 units of either arm. Intervals are pointwise.
    """
    w = np.ones(len(scores)) if weights is None else weights
    scale = float(scores.std())
    estimates: list[Estimate] = []
    found: list[Linearised] = []
    for position in range(len(names)):
        inside = labels == position
        if min(int((inside & treated).sum()), int((inside & ~treated).sum())) < FEWEST_IN_ARM:
            estimates.append(Estimate("too_few_units"))
            continue
        mean = mean_of(scores, w, inside.astype(np.float64))
        estimates.append(
            estimate(
                Linearised(mean.effect, mean.contributions[inside], mean.df), treated[inside],
                clusters=None if clusters is None else clusters[inside], scale=scale, alpha=alpha,
            )
        )  # fmt: skip
        if estimates[-1].status == "ok":
            found.append(mean)
    adjusted = holm({name: each.p_value for name, each in zip(names, estimates, strict=True)})
    groups = tuple(
        GroupEffect(
            name,
            int((labels == position).sum()),
            each,
            _mean(predicted, w, labels == position),
            adjusted[name],
        )
        for position, (name, each) in enumerate(zip(names, estimates, strict=True))
    )
    if len(found) < 2:
        return GroupEffects("too_few_units", groups)
    differences = [_difference(each, found[0]) for each in found[1:]]
    return GroupEffects(
        "ok",
        groups,
        joint_p_value(differences, clusters),
        estimate(differences[-1], treated, clusters=clusters, scale=scale, alpha=alpha),
    )


def by_predicted_effect(predicted: Array, folds: Labels, groups: int, weights: Array | None = None) -> Labels:
    """Positions (n,) of the units in `groups` parts of equal weight, ordered by prediction within each fold.

    Folds have models of their own, so that a prediction is large or small among those of its fold. Equal predictions
    stay in one group.
    """
    labels = np.empty(len(predicted), dtype=np.int64)
    w = np.ones(len(predicted)) if weights is None else weights
    for fold in np.unique(folds):
        unit = folds == fold
        _, tie = np.unique(predicted[unit], return_inverse=True)
        mass = np.bincount(tie, weights=w[unit])
        middle = (np.cumsum(mass) - mass / 2) / mass.sum()
        labels[unit] = np.minimum((middle * groups).astype(np.int64), groups - 1)[tie]
    return labels


def _mean(values: Array | None, weights: Array, inside: Flags) -> float | None:
    if values is None or not inside.any() or weights[inside].sum() <= 0:
        return None
    return float(np.average(values[inside], weights=weights[inside]))


def _difference(a: Linearised, b: Linearised) -> Linearised:
    return Linearised(a.effect - b.effect, a.contributions - b.contributions)
