"""The nearest units of another group, with every unit at the same distance, in bounded memory.

Units with the same covariates are one point: data of a few indicators, where thousands tie, cost as little as data
without a tie, and no unit is preferred for the row it stands in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from causeway.effects.influence import Array, Flags, Labels

# Distances closer than this are one distance: the rounding of a sum of squares must not choose between neighbours.
SAME_DISTANCE = 1e-9
# Entries of one block of distances.
BLOCK = 2_000_000
SLACK = 3


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Distinct points (d, p) of a group of units; `point` (units,) says where each unit lies, `counts` (d,) how many
    lie there.
    """

    places: Array
    point: Labels
    counts: Labels

    @classmethod
    def of(cls, places: Array) -> Points:
        """places: (units, p), rows in any order."""
        distinct, point, counts = np.unique(places + 0.0, axis=0, return_inverse=True, return_counts=True)
        return cls(distinct, np.asarray(point.reshape(-1), dtype=np.int64), np.asarray(counts, dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Pairs of a query point and a point near it: `query` and `near` (pairs,), positions in their `Points`."""

    query: Labels
    near: Labels


def neighbours(
    queries: Array, pool: Points, *, needed: int, caliper: float | None = None, workers: int = 1
) -> Iterator[Neighbours]:
    """For each row of queries (q, p), the nearest points of the pool that hold `needed` units, and all that are as near
    as the last of them (the set J_M of Abadie & Imbens 2006, sec. 2); in blocks.

    A pool of fewer units is taken whole. Points beyond the caliper (a distance) are left out, so a query may have
    none. workers: threads of the search, without influence on the answer.
    """
    from scipy.spatial import cKDTree

    if len(queries) == 0 or len(pool.places) == 0:
        return
    tree = cKDTree(pool.places, leafsize=32, balanced_tree=False)
    limit = None if caliper is None else float(np.nextafter(_beyond_ties(caliper), np.inf))
    rows, width = np.arange(len(queries)), needed + SLACK
    while len(rows):
        width = min(width, len(pool.places))
        again: list[Labels] = []
        size = max(1, BLOCK // width)
        for start in range(0, len(rows), size):
            block = rows[start : start + size]
            distance, near = tree.query(
                queries[block], k=width, distance_upper_bound=np.inf if limit is None else limit, workers=workers
            )
            taken = _nearest(distance.reshape(len(block), width), near.reshape(len(block), width), pool, needed)
            # The last column was taken: there may be more ties, or too few units, unless it is the whole pool.
            cut = taken[:, -1] & (width < len(pool.places))
            again.append(block[cut])
            taken[cut] = False
            query, column = np.nonzero(taken)
            yield Neighbours(block[query], np.asarray(near.reshape(len(block), width)[query, column], dtype=np.int64))
        rows, width = np.concatenate(again), 2 * width


def _nearest(distance: Array, near: Labels, pool: Points, needed: int) -> Flags:
    """Which of the points, sorted by distance (rows, width), hold the nearest units; those not found have an infinite
    distance.
    """
    found = np.isfinite(distance)
    counts = np.where(found, pool.counts[np.where(found, near, 0)], 0)
    enough = np.cumsum(counts, axis=1) >= needed
    last = np.where(enough.any(axis=1), np.argmax(enough, axis=1), distance.shape[1] - 1)
    reach = _beyond_ties(distance[np.arange(len(distance)), last])
    within: Flags = found & (distance <= reach[:, None])
    return within


def _beyond_ties(distance: Any) -> Any:
    return distance * (1 + SAME_DISTANCE) + SAME_DISTANCE


def whitened(x: Array) -> Array:
    """x (n, p) in coordinates whose Euclidean distance is Mahalanobis's; columns that follow from others add nothing.

    Directions with less than 1e-10 of the largest correlation eigenvalue are left out, which is the distance of the
    pseudo-inverse covariance.
    """
    centred = x - x.mean(axis=0)
    spread = np.sqrt(np.mean(centred**2, axis=0))
    varies = spread > 1e-12 * np.maximum(1.0, np.abs(x).max(axis=0, initial=0.0))
    scaled = centred[:, varies] / spread[varies]
    if scaled.shape[1] == 0:
        return np.zeros((len(x), 1))
    values, vectors = np.linalg.eigh(scaled.T @ scaled / len(x))
    kept = values > 1e-10 * values[-1]
    # One unit's coordinates come of its own row alone, in the same order of sums: equal rows stay equal.
    factor = vectors[:, kept] / np.sqrt(values[kept])
    places: Array = np.einsum("ij,jk->ik", scaled, factor)
    return places


def canonical_order(keys: tuple[npt.NDArray[np.generic], ...]) -> Labels:
    """The order of the units by what is known of them, (n,): with it, sums do not depend on the order of rows."""
    return np.asarray(np.lexsort(keys[::-1]), dtype=np.int64)


def same_arm(points: Points, needed: int, wanted: Flags, workers: int) -> Iterator[Neighbours]:
    """For the points of a group that hold a `wanted` unit, those that hold `needed` other units; the point itself is
    among them.
    """
    asked = np.zeros(len(points.places), dtype=np.bool_)
    asked[points.point[wanted]] = True
    rows = np.flatnonzero(asked)
    for found in neighbours(points.places[rows], points, needed=needed + 1, workers=workers):
        yield Neighbours(rows[found.query], found.near)
