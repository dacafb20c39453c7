"""Which segment comes first, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

DRAWS = 4000


@dataclass(frozen=True, slots=True)
class Rank:
    """The place of one segment, 1 being the largest.

    low, high: best and worst place that the data leave open, for all segments at once. tied_with: indexes of the
    segments that cannot be told apart from it. probability_best: posterior probability of the first place, where draws
    were given.
    """

    rank: int
    low: int
    high: int
    tied_with: tuple[int, ...]
    probability_best: float | None = None


def rank_segments(
    estimates: Sequence[float] | Array,
    std_errors: Sequence[float] | Array,
    *,
    alpha: float = 0.05,
    seed: int,
    draws: Array | None = None,
    ordered_by: Sequence[float] | Array | None = None,
) -> tuple[Rank, ...]:
    """Places with a simultaneous confidence set, of k independent estimates.

    Mogstad, Romano, Shaikh & Wilhelm (2024, Review of Economic Studies 91, sec. 3.1): all pairwise differences are
    tested at once; a place is open unless a significant difference closes it. The critical value is the 1 - alpha
    quantile of the largest studentised difference of DRAWS simulated errors (their parametric bootstrap, one step).
    draws: (m, k) of the posterior, for probability_best. ordered_by: by what places are given (estimates when left
    out); equal numbers keep their order. Raises ValueError for a standard error that is not positive.
    """
    found, errors = np.asarray(estimates, dtype=np.float64), np.asarray(std_errors, dtype=np.float64)
    if not (errors > 0).all():
        raise ValueError("standard errors must be positive")
    k = len(found)
    apart = np.sqrt(errors[:, None] ** 2 + errors[None, :] ** 2)
    critical = _critical_value(errors, apart, alpha, seed)
    above = (found[:, None] - found[None, :]) / apart > critical
    order = np.argsort(-np.asarray(found if ordered_by is None else ordered_by, dtype=np.float64), kind="stable")
    place = np.empty(k, dtype=np.int64)
    place[order] = np.arange(1, k + 1)
    best = None if draws is None else np.bincount(np.argmax(draws, axis=1), minlength=k) / len(draws)
    return tuple(
        Rank(
            rank=int(place[j]),
            low=1 + int(above[:, j].sum()),
            high=k - int(above[j].sum()),
            tied_with=tuple(i for i in range(k) if i != j and not above[i, j] and not above[j, i]),
            probability_best=None if best is None else float(best[j]),
        )
        for j in range(k)
    )


def _critical_value(errors: Array, apart: Array, alpha: float, seed: int) -> float:
    simulated = np.random.default_rng(seed).standard_normal((DRAWS, len(errors))) * errors
    largest = np.zeros(DRAWS)
    # One segment against those after it at a time: all pairs of a hundred segments would take gigabytes.
    for j in range(len(errors) - 1):
        differences = np.abs(simulated[:, [j]] - simulated[:, j + 1 :]) / apart[j, j + 1 :]
        np.maximum(largest, differences.max(axis=1), out=largest)
    return float(np.quantile(largest, 1 - alpha))
