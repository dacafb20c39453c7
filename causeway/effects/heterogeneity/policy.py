"""Whom to treat under a budget, and what that is worth on units that the rule has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from causeway.effects.heterogeneity.means_of_scores import Estimate, estimate, mean_of
from causeway.effects.heterogeneity.policy_tree import fit_policy_tree
from causeway.effects.influence import Array, Flags, Labels, Linearised
from causeway.statistics.effect import Status

CURVE_POINTS = 20


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be treated: a share of the units (by weight) or a number of them, whichever is given; else everybody.

    cost: of treating a unit, one number or (n,). value: of one unit of the outcome, in the units of cost.
    Raises ValueError for both, for a share outside [0, 1], a negative count, or numbers that are not finite.
    """

    share: float | None = None
    count: int | None = None
    cost: float | Array = 0.0
    value: float = 1.0

    def __post_init__(self) -> None:
        if self.share is not None and self.count is not None:
            raise ValueError("a budget is a share or a count, not both")
        if self.share is not None and not 0 <= self.share <= 1:
            raise ValueError(f"the share to treat must lie between 0 and 1: {self.share}")
        if self.count is not None and self.count < 0:
            raise ValueError(f"the number to treat must not be negative: {self.count}")
        if not (np.isfinite(self.value) and np.isfinite(self.cost).all()):
            raise ValueError("value and cost must be finite")


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Value per unit of all, net of costs, of treating `share` of them: the best by prediction, or any at random."""

    share: float
    value: float
    ci_low: float | None
    ci_high: float | None
    value_at_random: float


@dataclass(frozen=True, slots=True)
class TreeRule:
    """A rule of two questions. value: of such a rule, learned on other folds than it is valued on; share likewise."""

    rule: str
    share: float
    value: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """treat: (n,), whom to treat. share: by weight. value: per unit of all, net of costs, over treating nobody.

    over_all, over_random: less the value of treating everybody, and of a random draw of the same share. treat_all:
    value of treating everybody, whatever the budget. status: "ok", or no_units.
    """

    status: Status
    treat: Flags
    share: float
    value: Estimate
    treat_all: Estimate
    over_all: Estimate
    over_random: Estimate
    curve: tuple[CurvePoint, ...]
    tree: TreeRule | None


def policy(
    scores: Array,
    effect: Array,
    treated: Flags,
    *,
    folds: Labels,
    x: Array,
    columns: Sequence[str],
    budget: Budget | None = None,
    weights: Array | None = None,
    clusters: Labels | None = None,
    seed: int = 0,
    alpha: float = 0.05,
) -> Policy:
    """Treat the units whose predicted effect (n,), out of fold, is worth most beyond its cost, while it is worth
    anything and the budget lasts; value the choice by doubly robust scores (n,).

    The value of a rule is the mean of (value score - cost) over the treated, zero over the others (Athey & Wager 2021,
    Econometrica 89, eq. 4); no unit's decision has used its own outcome, so the value is honest. Where the budget
    binds, the threshold is estimated as well: a unit then also contributes minus the net worth at the threshold times
    its decision less the share. What is treated at random gains the average. Equal units are
    drawn by `seed`.
    """
    budget = budget or Budget()
    w = np.ones(len(scores)) if weights is None else weights / weights.mean()
    cost = np.broadcast_to(np.asarray(budget.cost, dtype=np.float64), len(scores))
    net, reward = budget.value * effect - cost, budget.value * scores - cost
    scale = float(reward.std())
    order = np.lexsort((np.random.default_rng([seed, 5]).random(len(net)), -net))
    treat = np.zeros(len(scores), dtype=np.bool_)
    allowed = order[: _allowed(budget, w[order])]
    treat[allowed[net[allowed] > 0]] = True
    binds = bool(treat.any()) and len(allowed) < len(order) and net[order[len(allowed)]] > 0
    threshold = float(net[treat].min()) if binds else 0.0

    def interval(found: Linearised) -> Estimate:
        return estimate(found, treated, clusters=clusters, scale=scale, alpha=alpha)

    value = _value(reward, treat, w, threshold)
    share = mean_of(treat.astype(np.float64), w)
    everybody = mean_of(reward, w)
    at_random = Linearised(
        share.effect * everybody.effect,
        share.effect * everybody.contributions + (0.0 if binds else everybody.effect) * share.contributions,
    )
    return Policy(
        "ok" if len(scores) else "no_units",
        treat,
        share.effect,
        interval(value),
        interval(everybody),
        interval(_less(value, everybody)),
        interval(_less(value, at_random)),
        _curve(reward, net, order, w, interval),
        _tree(reward, x, w, folds=folds, columns=columns, budget=budget, interval=interval),
    )


def _allowed(budget: Budget, weights: Array) -> int:
    """How many of the units, in their order, may be treated."""
    if budget.count is not None:
        return min(budget.count, len(weights))
    if budget.share is None:
        return len(weights)
    # As many as fit: rounding must not lose the last.
    return int(np.searchsorted(np.cumsum(weights), budget.share * weights.sum() * (1 + 1e-12), side="right"))


def _value(reward: Array, treat: Flags, w: Array, threshold: float) -> Linearised:
    gained = mean_of(np.where(treat, reward, 0.0), w)
    if threshold == 0:
        return gained
    return Linearised(
        gained.effect, gained.contributions - threshold * mean_of(treat.astype(np.float64), w).contributions, gained.df
    )


def _less(a: Linearised, b: Linearised) -> Linearised:
    return Linearised(a.effect - b.effect, a.contributions - b.contributions, a.df)


def _curve(
    reward: Array, net: Array, order: Labels, w: Array, interval: Callable[[Linearised], Estimate]
) -> tuple[CurvePoint, ...]:
    average = float(np.average(reward, weights=w))
    points = [CurvePoint(0.0, 0.0, 0.0, 0.0, 0.0)]
    so_far = np.cumsum(w[order]) / w.sum()
    for share in np.linspace(0, 1, CURVE_POINTS + 1)[1:]:
        chosen = order[: int(np.searchsorted(so_far, share * (1 + 1e-12), side="right"))]
        treat = np.zeros(len(reward), dtype=np.bool_)
        treat[chosen] = True
        last = float(net[chosen[-1]]) if 0 < len(chosen) < len(order) else 0.0
        found = _value(reward, treat, w, last)
        bounds = interval(found)
        points.append(
            CurvePoint(float(share), found.effect, bounds.ci_low, bounds.ci_high, float(w @ treat / w.sum()) * average)
        )
    return tuple(points)


def _tree(
    reward: Array,
    x: Array,
    w: Array,
    *,
    folds: Labels,
    columns: Sequence[str],
    budget: Budget,
    interval: Callable[[Linearised], Estimate],
) -> TreeRule | None:
    if x.shape[1] == 0:
        return None
    most = 1.0 if budget.share is None else budget.share
    if budget.count is not None:
        most = min(1.0, budget.count / len(reward))
    decided = np.zeros(len(reward), dtype=np.bool_)
    for fold in np.unique(folds):
        unit = folds == fold
        decided[unit] = fit_policy_tree(x[~unit], reward[~unit], w[~unit], most_share=most).decide(x[unit])
    whole = fit_policy_tree(x, reward, w, most_share=most)
    return TreeRule(
        whole.rule(columns),
        float(w @ decided / w.sum()),
        interval(mean_of(np.where(decided, reward, 0.0), w)),
    )
