"""Pairs of a treated unit and a control that share no unit with another pair: what a test by pairs needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causeway.effects.estimators.matching import Metric, covariates_of, places_of
from causeway.effects.estimators.nearest import Points, canonical_order
from causeway.effects.influence import Array, Flags, Labels

# Places with free controls that each treated unit is offered at first, and at most, before the search starts anew.
FIRST_WIDTH, MAX_WIDTH = 16, 1024


@dataclass(frozen=True, slots=True, eq=False)
class MatchedPairs:
    """`treated` and `control`: (pairs,), positions of the units; `differences`: (pairs,), outcome of the first minus
    outcome of the second. n_unmatched: treated units without a free control within the caliper.
    """

    treated: Labels
    control: Labels
    differences: Array
    n_unmatched: int


def matched_pairs(
    *,
    treated: Flags,
    outcome: Array,
    x: Array,
    seed: int,
    propensity: Array | None = None,
    metric: Metric = "mahalanobis",
    caliper: float | None = None,
) -> MatchedPairs:
    """Each treated unit in turn takes the nearest control that is still free (greedy matching without replacement,
    Rosenbaum & Rubin 1985, Am. Statist. 39, 33-38): those with the highest propensity first, for whom controls are
    scarcest, or, without one, those farthest from the mean of the controls.

    Arrays are (n,) and (n, p), distances and the caliper those of `match`. Of units in the same place the seed chooses,
    among them in an order that their rows have no part in: choosing by row would let a sorted file, choosing by outcome
    would let the answer, decide who is compared. For `rosenbaum_bounds`; an estimate is better made with replacement.
    Raises ValueError for a metric without its propensity.
    """
    if metric != "mahalanobis" and propensity is None:
        raise ValueError(f"the metric {metric!r} needs a propensity")
    covariates = covariates_of(x, propensity, metric)
    ranking = np.zeros(len(x)) if propensity is None else propensity
    order = canonical_order((*covariates.T, ranking, treated, outcome))
    places = places_of(covariates[order], metric)
    # After the order that only the units' values decide, one that nothing about them does.
    shuffled = np.random.default_rng(seed).permutation(len(order))
    order, places = order[shuffled], places[shuffled]
    asking, free = np.flatnonzero(treated[order]), np.flatnonzero(~treated[order])
    found: list[tuple[int, int]] = []
    n_unmatched = len(asking)
    if len(asking) and len(free):
        if propensity is None:
            scarce = np.linalg.norm(places[asking] - places[free].mean(axis=0), axis=1)
        else:
            scarce = propensity[order][asking]
        waiting = asking[np.argsort(-np.round(scarce, 12), kind="stable")]
        found, n_unmatched = _take_turns(places, waiting, free, caliper)
    pairs = np.array(found, dtype=np.int64).reshape(-1, 2)
    ones, zeros = order[pairs[:, 0]], order[pairs[:, 1]]
    return MatchedPairs(ones, zeros, outcome[ones] - outcome[zeros], n_unmatched)


def _take_turns(
    places: Array, waiting: Labels, free: Labels, caliper: float | None
) -> tuple[list[tuple[int, int]], int]:
    from scipy.spatial import cKDTree

    pool = Points.of(places[free])
    members = [
        list(each) for each in np.split(free[np.argsort(pool.point, kind="stable")], np.cumsum(pool.counts)[:-1])
    ]
    limit = np.inf if caliper is None else np.nextafter(caliper * (1 + 1e-9), np.inf)
    found: list[tuple[int, int]] = []
    n_unmatched, wanted = 0, FIRST_WIDTH
    open_places = np.arange(len(members))
    while len(waiting) and len(open_places):
        width = min(wanted, len(open_places))
        tree = cKDTree(pool.places[open_places])
        distance, near = (
            each.reshape(-1, width) for each in tree.query(places[waiting], k=width, distance_upper_bound=limit)
        )
        served = len(waiting)
        for row, unit in enumerate(waiting):
            offered = (members[open_places[k]] for k in near[row][np.isfinite(distance[row])])
            controls = next((each for each in offered if each), None)
            if controls is not None:
                found.append((int(unit), int(controls.pop())))
            elif np.isfinite(distance[row, -1]) and width < len(open_places):
                # All that it was offered are taken, and there are others: the search starts anew from here.
                served = row
                break
            else:
                n_unmatched += 1
        wanted = min(MAX_WIDTH, 2 * wanted) if 4 * served < len(waiting) else wanted
        waiting = waiting[served:]
        open_places = np.array([place for place in open_places if members[place]], dtype=np.int64)
    return found, n_unmatched + len(waiting)
