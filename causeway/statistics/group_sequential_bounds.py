"""Where a planned series of looks may stop: bounds by recursive numerical integration.

Between looks the sum of the evidence walks like a Brownian motion B with drift, seen at the fractions t of the planned
information: z = B(t) / sqrt(t). The density of the walks that have not stopped is carried from look to look
(Armitage, McPherson & Rowe 1969), on Gauss-Legendre panels narrow enough for both neighbouring steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from causeway.statistics.alpha_spending import Spending
from causeway.statistics.critical_value import Sides

LARGEST_BOUND = 8.0
"""No bound is above it: a crossing there costs 6e-16 a look, and an interval stays finite."""
SMALLEST_STEP = 0.001
"""Least new information between two looks, as a fraction of the planned one."""
UNRESOLVED = 1e-12
"""An error rate too small to be told from the rounding of what was spent before: nothing is left."""

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_PANEL = 5.0  # width of a panel in standard deviations of the narrower neighbouring step: errors below 1e-12


class _Walks:
    """The walks that have not stopped before the present look, as point masses."""

    def __init__(self, drift: float) -> None:
        self.drift, self.at = drift, 0.0
        self.places: NDArray[np.float64] = np.zeros(1)
        self.masses: NDArray[np.float64] = np.ones(1)

    def above(self, at: float, level: float) -> float:
        """Probability of not having stopped before, and of B(at) > level."""
        return float(self.masses @ special.ndtr((self._means(at) - level) / math.sqrt(at - self.at)))

    def below(self, at: float, level: float) -> float:
        return float(self.masses @ special.ndtr((level - self._means(at)) / math.sqrt(at - self.at)))

    def go_on(self, at: float, low: float, high: float, following: float | None) -> None:
        """Keep the walks with low < B(at) < high; `following` is the fraction of the next look."""
        sd = math.sqrt(at - self.at)
        reach = LARGEST_BOUND * math.sqrt(at)
        low, high = max(low, min(self.drift * at, 0.0) - reach), min(high, max(self.drift * at, 0.0) + reach)
        if high <= low or following is None:
            self.places, self.masses, self.at = np.zeros(0), np.zeros(0), at
            return
        panels = math.ceil((high - low) / (_PANEL * min(sd, math.sqrt(following - at))))
        edges = np.linspace(low, high, panels + 1)
        half = (edges[1] - edges[0]) / 2
        places = ((edges[:-1] + half)[:, None] + half * _NODES).ravel()
        steps = (places[:, None] - self._means(at)) / sd
        density = np.exp(-0.5 * steps * steps) @ self.masses / (sd * math.sqrt(2 * math.pi))
        self.places, self.masses, self.at = places, density * np.tile(half * _WEIGHTS, panels), at

    def _means(self, at: float) -> NDArray[np.float64]:
        return self.places + self.drift * (at - self.at)


def check_fractions(fractions: Sequence[float]) -> None:
    """Raise ValueError unless there is a look and each brings at least SMALLEST_STEP of new information."""
    if not fractions or not all(math.isfinite(each) for each in fractions):
        raise ValueError(f"information fractions are numbers, one a look: {list(fractions)}")
    steps = np.diff([0.0, *fractions])
    if steps.min() < SMALLEST_STEP * (1 - 1e-9):
        raise ValueError(
            f"each look must bring at least {SMALLEST_STEP} of the planned information; leave out those that do not:"
            f" {list(fractions)}"
        )


def crossing_probabilities(
    fractions: Sequence[float], upper: Sequence[float], lower: Sequence[float] | None = None, *, drift: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities to stop at each look above the upper and below the lower bound, each of shape (K,).

    fractions: information at each look as a share of the planned one, increasing, may exceed 1.
    upper, lower: bounds for z; infinity for none; lower None for none at all.
    drift: expected z at fraction 1 (true effect over its planned standard error).

    >>> up, down = crossing_probabilities([0.5, 1.0], [2.178, 2.178], [-2.178, -2.178])  # Pocock (1977), table 1
    >>> float(round(up.sum() + down.sum(), 4))
    0.05
    """
    check_fractions(fractions)
    floors = [-math.inf] * len(fractions) if lower is None else lower
    walks = _Walks(drift)
    up, down = np.zeros(len(fractions)), np.zeros(len(fractions))
    for look, (at, high, low) in enumerate(zip(fractions, upper, floors, strict=True)):
        root = math.sqrt(at)
        up[look], down[look] = walks.above(at, high * root), walks.below(at, low * root)
        walks.go_on(at, low * root, high * root, fractions[look + 1] if look + 1 < len(fractions) else None)
    return up, down


@lru_cache(maxsize=4096)
def efficacy_bounds(
    fractions: tuple[float, ...], *, alpha: float, spending: Spending, sides: Sides = 2, final: bool = False
) -> tuple[float, ...]:
    """The z at which each look may stop for efficacy, by alpha spending (Lan & DeMets 1983).

    At each look the new bound is crossed for the first time with just the alpha that has become spendable since
    the look before. Nothing is assumed of looks to come, so they need be neither planned nor evenly spaced;
    their times must not depend on the effects seen. Two-sided: alpha / 2 is spent on each side, the bounds are
    symmetric, and a walk that stopped on one side is gone for the other.
    The look that reaches fraction 1 spends what is left, with the correlation of the information really there
    (over-running). After it nothing is left and the bound is LARGEST_BOUND. Where next to nothing may be spent
    the bound is LARGEST_BOUND too.

    fractions: of all looks so far. final: the last look is the end although it falls short of 1: it spends what
    is left (under-running; right only if the data did not decide that).

    >>> [round(each, 3) for each in efficacy_bounds((0.5, 1.0), alpha=0.05, spending=Spending("obrien_fleming"))]
    [2.963, 1.969]
    """
    check_fractions(fractions)
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must lie between 0 and 1: {alpha}")
    rate = alpha / sides
    least = 0.0 if sides == 2 else -LARGEST_BOUND
    walks, spent = _Walks(0.0), 0.0
    bounds: list[float] = []
    for look, at in enumerate(fractions):
        root, last = math.sqrt(at), look + 1 == len(fractions)
        target = rate if final and last else spending.spent(at, rate)
        bound = _solve(walks, at, target - spent, least)
        spent += walks.above(at, bound * root)
        bounds.append(bound)
        walks.go_on(at, -bound * root if sides == 2 else -math.inf, bound * root, None if last else fractions[look + 1])
    return tuple(bounds)


def futility_bounds(
    fractions: Sequence[float], upper: Sequence[float], *, beta: float, spending: Spending, drift: float
) -> tuple[float, ...]:
    """The z below which each look may stop for futility, by beta spending (Pampallona, Tsiatis & Kim 2001).

    At each look the new bound is crossed for the first time, before efficacy and under `drift`, with just the
    beta that has become spendable. The bounds do not bind: `upper` was made without them, so alpha holds also
    where somebody goes on below them. Never above `upper`.

    upper: efficacy bounds at the same looks. beta: type II error rate, 1 - power. drift: of `planned_drift`.

    >>> plan = (0.5, 1.0)
    >>> upper = efficacy_bounds(plan, alpha=0.025, spending=Spending("obrien_fleming"), sides=1)
    >>> drift = planned_drift(plan, upper, beta=0.1, spending=Spending("obrien_fleming"))
    >>> [round(each, 2) for each in futility_bounds(plan, upper, beta=0.1, spending=Spending(), drift=drift)]
    [0.27, 1.97]
    """
    bounds, _ = _futility(fractions, upper, beta, spending, drift)
    return bounds


def planned_drift(fractions: Sequence[float], upper: Sequence[float], *, beta: float, spending: Spending) -> float:
    """The drift at which the futility bound meets the efficacy bound at the last look, so that power is 1 - beta.

    Its square over that of a fixed design, (z(alpha) + z(beta))**2, is the factor by which the plan needs more
    units. fractions: the planned ones, up to 1.
    """

    def too_little(drift: float) -> float:
        return _futility(fractions, upper, beta, spending, drift)[1]

    return float(optimize.brentq(too_little, 0.1, 20.0, xtol=1e-10))


def _futility(
    fractions: Sequence[float], upper: Sequence[float], beta: float, spending: Spending, drift: float
) -> tuple[tuple[float, ...], float]:
    """The bounds, and by how much all type II errors up to the last upper bound exceed beta."""
    check_fractions(fractions)
    if not 0 < beta < 1:
        raise ValueError(f"beta must lie between 0 and 1: {beta}")
    walks, spent, excess = _Walks(drift), 0.0, 0.0
    bounds: list[float] = []
    for look, (at, ceiling) in enumerate(zip(fractions, upper, strict=True)):
        root, last = math.sqrt(at), look + 1 == len(fractions)
        spendable = spending.spent(at, beta) - spent
        excess = walks.below(at, ceiling * root) - spendable
        bound = -LARGEST_BOUND
        if excess <= 0:
            bound = ceiling
        elif walks.below(at, bound * root) < spendable:
            bound = optimize.brentq(
                lambda z, at=at, root=root, goal=spendable: walks.below(at, z * root) - goal, bound, ceiling, xtol=1e-12
            )
        spent += walks.below(at, bound * root)
        bounds.append(float(bound))
        walks.go_on(at, bound * root, ceiling * root, None if last else fractions[look + 1])
    return tuple(bounds), excess


def _solve(walks: _Walks, at: float, spendable: float, least: float) -> float:
    root = math.sqrt(at)
    if spendable <= UNRESOLVED or walks.above(at, LARGEST_BOUND * root) >= spendable:
        return LARGEST_BOUND
    if walks.above(at, least * root) <= spendable:
        return least
    return float(optimize.brentq(lambda z: walks.above(at, z * root) - spendable, least, LARGEST_BOUND, xtol=1e-12))
