"""Is the order in which a model would treat units better than chance? Qini and AUTOC on doubly robust scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causeway.effects.heterogeneity.means_of_scores import Estimate, estimate
from causeway.effects.influence import Array, Flags, Labels, Linearised
from causeway.statistics.effect import Status

Measure = Literal["qini", "autoc"]
MEASURES: tuple[Measure, ...] = ("qini", "autoc")
CURVE_POINTS = 50
PERMUTATIONS = 199


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """At `share` of the units, those with the highest priority: `gain`, the effect of treating them per unit of all,
    and `gain_of_chance`, that of as many drawn at random; in units of the outcome.
    """

    share: float
    gain: float
    gain_of_chance: float


@dataclass(frozen=True, slots=True)
class Uplift:
    """qini: area between the curve and that of chance. autoc: mean over shares of how much larger the effect among the
    top share is than the average (Yadlowsky et al. 2025, JASA 120, eq. 2 and 4); both in units of the outcome, zero
    for an order by chance, negative for a wrong one. p_value: one-sided, of "the order is no better than chance", from
    `draws` permutations (`null` says of what).
    """

    status: Status
    qini: Estimate | None = None
    autoc: Estimate | None = None
    p_value: float | None = None
    null: str = ""
    draws: int = 0
    curve: tuple[CurvePoint, ...] = ()


def uplift(
    scores: Array,
    priority: Array,
    treated: Flags,
    *,
    seed: int,
    tested: Array | None = None,
    folds: Labels | None = None,
    weights: Array | None = None,
    clusters: Labels | None = None,
    permutations: int = PERMUTATIONS,
    alpha: float = 0.05,
) -> Uplift:
    """Judge one order of the units: larger `priority` (n,) first; scores (n,) are doubly robust.

    Works for any outcome: no "perfect" curve is asked for, which exists for binary ones only. tested, folds: another
    order for the p-value, compared with chance within each fold, nan where none: the predictions ahead of
    `evidence`, because out-of-fold ones share noise across folds and would be found too often. Without them
    `priority` itself is tested, which is right where the model has seen none of these units.
    """
    w = np.ones(len(scores)) if weights is None else weights / weights.mean()
    if float(priority.max() - priority.min()) == 0:
        return Uplift("not_estimable")
    scale = float(scores.std())
    qini, autoc = (
        estimate(area(scores, priority, w, measure), treated, clusters=clusters, scale=scale, alpha=alpha)
        for measure in MEASURES
    )
    p_value = _p_value(
        scores,
        priority if tested is None else tested,
        w,
        folds=np.zeros(len(w), dtype=np.int64) if folds is None else folds,
        clusters=clusters,
        seed=seed,
        draws=permutations,
    )
    return Uplift(
        "ok",
        qini,
        autoc,
        p_value,
        "scores permuted within folds" if clusters is None else "signs of clusters drawn at random",
        permutations,
        curve(scores, priority, w),
    )


def area(scores: Array, priority: Array, weights: Array, measure: Measure) -> Linearised:
    """The weighted area under the targeting operator characteristic, with contributions.

    With v the share of units before a unit, the area is the mean of score times a(v), where a(v) = 1/2 - v for Qini
    and -ln v - 1 for AUTOC (Yadlowsky et al. 2025, eq. 6). It is integrated exactly over each unit's share; ties have
    the mean of theirs. The order is estimated as well: with m(v) the effect at v, a unit also adds the integral of
    m(u) a'(u) (1{v <= u} - u).
    """
    _, tie = np.unique(-priority, return_inverse=True)
    mass = np.bincount(tie, weights=weights)
    total = float(mass.sum())
    end = np.cumsum(mass) / total
    begin = end - mass / total
    share = mass / total
    level = np.divide(
        _integral(end, measure) - _integral(begin, measure), share, out=np.zeros_like(mass), where=mass > 0
    )
    mean = np.divide(np.bincount(tie, weights=weights * scores), mass, out=np.zeros_like(mass), where=mass > 0)
    value = float(share @ (mean * level))
    # m a' over each tie, from the last to the first.
    slope = mean * np.append(np.diff(level), 0.0)
    later = np.cumsum(slope[::-1])[::-1]
    order = later - float(slope @ end)
    contributions = weights / total * (scores * level[tie] - value + order[tie])
    return Linearised(value, contributions)


def curve(scores: Array, priority: Array, weights: Array, points: int = CURVE_POINTS) -> tuple[CurvePoint, ...]:
    """Gain per unit of all by share treated, from none to everybody, at equal steps; ties are treated in parts."""
    _, tie = np.unique(-priority, return_inverse=True)
    mass = np.bincount(tie, weights=weights)
    gain = np.bincount(tie, weights=weights * scores)
    total = float(mass.sum())
    at = np.append(0.0, np.cumsum(mass) / total)
    so_far = np.append(0.0, np.cumsum(gain) / total)
    shares = np.linspace(0, 1, points + 1)
    return tuple(
        CurvePoint(float(share), float(value), float(share * so_far[-1]))
        for share, value in zip(shares, np.interp(shares, at, so_far), strict=True)
    )


def _integral(v: Array, measure: Measure) -> Array:
    """Integral of a from 0 to v."""
    if measure == "qini":
        return (v - v * v) / 2
    return -v * np.log(np.where(v > 0, v, 1.0))


def _p_value(
    scores: Array, tested: Array, w: Array, *, folds: Labels, clusters: Labels | None, seed: int, draws: int
) -> float | None:
    """AUTOC over its standard error under no order, summed over folds, against the same with the order destroyed."""
    generator = np.random.default_rng([seed, 3])
    observed, drawn, used = 0.0, np.zeros(draws), 0
    for fold in np.unique(folds):
        unit = np.flatnonzero((folds == fold) & np.isfinite(tested) & (w > 0))
        if len(unit) < 2 or float(np.ptp(tested[unit])) == 0:
            continue
        weight = w[unit]
        deviation = weight * (scores[unit] - np.average(scores[unit], weights=weight))
        _, tie = np.unique(-tested[unit], return_inverse=True)
        mass = np.bincount(tie, weights=weight)
        end = np.cumsum(mass) / mass.sum()
        begin = np.append(0.0, end[:-1])
        level = ((_integral(end, "autoc") - _integral(begin, "autoc")) * mass.sum() / mass)[tie]
        root = math.sqrt(float(fold) if fold else 1.0)
        if clusters is None:
            observed += root * _t(level * deviation)
            for draw in range(draws):
                drawn[draw] += root * _t(level * generator.permutation(deviation))
        else:
            index = np.unique(clusters[unit], return_inverse=True)[1]
            pieces = np.bincount(index, weights=level * deviation).astype(np.float64)
            observed += root * _t(pieces)
            for draw in range(draws):
                drawn[draw] += root * _t(pieces * generator.choice((-1.0, 1.0), size=len(pieces)))
        used += 1
    return float((1 + np.sum(drawn >= observed)) / (1 + draws)) if used else None


def _t(pieces: Array) -> float:
    squares = float(pieces @ pieces)
    return float(pieces.sum()) / math.sqrt(squares) if squares > 0 else 0.0
