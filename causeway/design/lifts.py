"""Ways to put a known effect into historic values: what simulated power injects, 0 being none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Inject = Callable[[NDArray[np.float64], float, np.random.Generator], NDArray[np.float64]]
"""inject(rows, lift, rng) -> rows as they would have been under treatment; lift 0 changes nothing."""


def multiply(rows: NDArray[np.float64], lift: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Every outcome times 1 + lift: for sums, counts and means. Further columns are covariates and stay.

    >>> multiply(np.array([1.0, 2.0]), 0.5, np.random.default_rng(0)).tolist()
    [1.5, 3.0]
    """
    return _with_outcome(rows, _outcome(rows) * (1 + lift))


def shift(rows: NDArray[np.float64], lift: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Every outcome plus lift, in the units of the metric: for quantiles, which all move by it."""
    return _with_outcome(rows, _outcome(rows) + lift)


def convert(rows: NDArray[np.float64], lift: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Outcomes 0 and 1 with a share of ones that is 1 + lift times the old one.

    Ones become 0 or zeros become 1, each for itself by chance. Raises ValueError if the outcome is not 0 or 1.
    """
    outcome = _outcome(rows)
    if not np.isin(outcome, (0.0, 1.0)).all():
        raise ValueError("a conversion is 0 or 1")
    share = float(outcome.mean())
    draw = rng.random(len(outcome))
    if lift < 0:
        return _with_outcome(rows, np.where((outcome == 1) & (draw < -lift), 0.0, outcome))
    turned = share * lift / (1 - share) if share < 1 else 0.0
    return _with_outcome(rows, np.where((outcome == 0) & (draw < turned), 1.0, outcome))


class HazardRatio:
    """Time to event under proportional hazards: the hazard of the treated is 1 + lift times the old one.

    Rows are (time, event): the time of the event where event is 1, else how long the unit was watched without
    one. With S the Kaplan-Meier curve of the history, a unit whose event came where S was u has its event
    where S reaches u**(1 / (1 + lift)) (Bender, Augustin & Blettner 2005, equation 2, with S for the
    exponential): sooner for a lift above 0. A unit without an event waits at a level drawn below its own, and a
    unit with one is watched for a time drawn from the censoring curve beyond its event, so that events can also
    fall out of sight. At lift 0 the rows come back as they were.

    history: shape (n, 2), the rows that the curves are made of. Raises ValueError for another shape, times
    that are negative, or events other than 0 and 1.

    >>> history = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 0.0], [3.0, 0.0]])
    >>> HazardRatio(history)(history, 0.0, np.random.default_rng(0)).tolist() == history.tolist()
    True
    """

    def __init__(self, history: ArrayLike) -> None:
        rows = np.asarray(history, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != 2 or not np.isin(rows[:, 1], (0.0, 1.0)).all() or (rows < 0).any():
            raise ValueError(f"rows of (time, event) are wanted, event 0 or 1: shape {rows.shape}")
        self.event_times, self.survival = _kaplan_meier(rows[:, 0], rows[:, 1] == 1, ties_last=False)
        # The last one watched stays in sight: nobody knows of a longer watch.
        self.censoring_times, self.watched = _kaplan_meier(rows[:, 0], rows[:, 1] == 0, ties_last=True)
        self.longest = float(rows[:, 0].max())

    def __call__(self, rows: NDArray[np.float64], lift: float, rng: np.random.Generator) -> NDArray[np.float64]:
        """The rows under treatment, shape (n, 2); lift above -1."""
        if lift <= -1:
            raise ValueError(f"a hazard ratio is positive: {1 + lift}")
        level, watch = rng.random(len(rows)), rng.random(len(rows))
        if lift == 0:
            return rows.copy()
        times, event = rows[:, 0], rows[:, 1] == 1
        before = self._at(self.event_times, self.survival, times, side="left")
        after = self._at(self.event_times, self.survival, times, side="right")
        # Uniform on the step of an event, and on everything below for whoever has not had one yet.
        u = np.where(event, after + level * (before - after), level * after)
        new_times = self._reach(self.event_times, self.survival, u ** (1 / (1 + lift)))
        still_watched = self._at(self.censoring_times, self.watched, times, side="left")
        ends = np.where(event, self._reach(self.censoring_times, self.watched, watch * still_watched), times)
        ends = np.minimum(ends, self.longest)
        seen = new_times <= ends
        return np.column_stack([np.where(seen, new_times, ends), seen.astype(np.float64)])

    @staticmethod
    def _at(
        steps: NDArray[np.float64], levels: NDArray[np.float64], times: NDArray[np.float64], *, side: str
    ) -> NDArray[np.float64]:
        """The curve just before (left) or just after (right) the given times."""
        place = np.searchsorted(steps, times, side="left" if side == "left" else "right")
        return np.concatenate([[1.0], levels])[place]

    @staticmethod
    def _reach(
        steps: NDArray[np.float64], levels: NDArray[np.float64], wanted: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The first time at which the falling curve is at or below the wanted level; infinity if it never is."""
        place = np.searchsorted(-levels, -wanted, side="left")
        return np.concatenate([steps, [np.inf]])[place]


def _kaplan_meier(
    times: NDArray[np.float64], happened: NDArray[np.bool_], *, ties_last: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times at which the curve falls and its level after each (Kaplan & Meier 1958).

    ties_last: what happens at a time comes after everything else at that time, as a censoring comes after an
    event.
    """
    these, others = np.sort(times[happened]), np.sort(times[~happened])
    steps, falls = np.unique(these, return_counts=True)
    gone = np.searchsorted(these, steps) + np.searchsorted(others, steps, side="right" if ties_last else "left")
    at_risk = len(times) - gone
    return steps, np.cumprod(1 - falls / at_risk, dtype=np.float64)


def _outcome(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows if rows.ndim == 1 else rows[:, 0]


def _with_outcome(rows: NDArray[np.float64], outcome: NDArray[np.float64]) -> NDArray[np.float64]:
    return outcome if rows.ndim == 1 else np.column_stack([outcome, rows[:, 1:]])
