"""Worlds in which the effect is known: what is drawn, and what an oracle knows of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy.special import expit

from causeway.effects.influence import Array, Flags
from causeway.effects.nuisances import Nuisances
from causeway.effects.problem import Problem

UNITS = 1_000
CLUSTERS = 60
SPLITS = 3
"""Splits of the units, of whose effects the median is taken."""
COLUMNS = ("x0", "x1", "x2", "x3")
SIMILAR = 0.5
"""Standard deviation of what the units of a cluster share of their outcome, whose own noise has one."""


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """One draw. effect: (n,), the unit's own expected effect. true: the nuisances as they are. ate, att, ato: of the
    population.
    """

    problem: Problem
    effect: Array
    true: Nuisances
    ate: float
    att: float
    ato: float


Function = Callable[[Array], Array]


@dataclass(frozen=True, slots=True)
class Shape:
    """Functions of x (n, 4), each (n,): outcome without treatment, its effect, and the log odds of treatment."""

    control: Function
    effect: Function
    log_odds: Function

    def averages(self) -> tuple[float, float, float]:
        """ATE, ATT and ATO of standard normal covariates, by Gauss-Hermite quadrature over the first three."""
        x, weight = _nodes()
        tau, e = self.effect(x), expit(self.log_odds(x))
        return tuple(float(np.average(tau, weights=weight * w)) for w in (np.ones(len(x)), e, e * (1 - e)))  # type: ignore[return-value]


@cache
def _nodes() -> tuple[Array, Array]:
    points, weight = np.polynomial.hermite_e.hermegauss(24)
    grid = np.stack(np.meshgrid(points, points, points, indexing="ij"), axis=-1).reshape(-1, 3)
    of_grid = np.prod(np.stack(np.meshgrid(weight, weight, weight, indexing="ij"), axis=-1).reshape(-1, 3), axis=1)
    return np.column_stack([grid, np.zeros(len(grid))]), of_grid


def _smooth_control(x: Array) -> Array:
    return x[:, 0] + 0.5 * x[:, 1] ** 2 + 0.5 * x[:, 2]


def _rough_control(x: Array) -> Array:
    return x[:, 0] + 0.8 * (x[:, 1] > 0) + 0.5 * np.sin(2 * x[:, 2])


def _effect(x: Array) -> Array:
    return np.asarray(1 + 0.5 * x[:, 0], dtype=np.float64)


def _log_odds(x: Array) -> Array:
    return 0.6 * x[:, 0] - 0.5 * x[:, 1] + 0.3 * x[:, 2]


def _rough_log_odds(x: Array) -> Array:
    return 0.6 * x[:, 0] - 0.5 * x[:, 2] + 0.5 * (x[:, 1] > 0) - 0.25


def _even(x: Array) -> Array:
    return np.zeros(len(x))


def _far_apart(x: Array) -> Array:
    return 2 * x[:, 0] - 0.5 * x[:, 1]


SMOOTH = Shape(_smooth_control, _effect, _log_odds)
ROUGH = Shape(_rough_control, _effect, _rough_log_odds)
RANDOMISED = Shape(_rough_control, _effect, _even)
WEAK_OVERLAP = Shape(_smooth_control, lambda x: 1 + 0.25 * x[:, 0], _far_apart)


def draw(rng: np.random.Generator, shape: Shape, *, seed: int, n: int = UNITS) -> World:
    """Independent units. seed: of cross-fitting."""
    x = rng.normal(size=(n, 4))
    return _observed(rng, shape, x, rng.random(n) < expit(shape.log_odds(x)), seed=seed)


def _observed(
    rng: np.random.Generator, shape: Shape, x: Array, treated: Flags, *, seed: int, shared: Array | float = 0.0
) -> World:
    """shared: (n,), of the outcome, known to nobody."""
    control, effect = shape.control(x), shape.effect(x)
    outcome = control + treated * effect + shared + rng.normal(size=len(x))
    true = Nuisances(np.zeros(len(x), np.int64), expit(shape.log_odds(x)), control, control + effect)
    problem = Problem(outcome, treated, x, COLUMNS, seed=seed, splits=SPLITS)
    return World(problem, effect, true, *shape.averages())


def known(world: World) -> World:
    """The same with the propensity of the design."""
    return replace(world, problem=replace(world.problem, known_propensity=world.true.propensity))


def in_blocks(rng: np.random.Generator, *, seed: int, blocks: int = 50) -> World:
    """Blocks of twenty units with like x0, of which six are treated in every second block and ten in the others."""
    shape = RANDOMISED
    x = rng.normal(size=(UNITS, 4))
    x = x[np.argsort(x[:, 0])]
    block = np.arange(UNITS) // (UNITS // blocks)
    treated, share = np.zeros(UNITS, dtype=bool), np.empty(UNITS)
    for each in range(blocks):
        rows = np.flatnonzero(block == each)
        n_treated = 6 if each % 2 else 10
        treated[rng.permutation(rows)[:n_treated]] = True
        share[rows] = n_treated / len(rows)
    world = _observed(rng, shape, x, treated, seed=seed)
    return replace(
        world,
        problem=replace(world.problem, blocks=block.astype(np.int64)),
        true=replace(world.true, propensity=share),
    )


def cluster_randomised(rng: np.random.Generator, *, seed: int) -> World:
    """Whole clusters, thirty in each arm and of unequal size, whose units share a part of the outcome."""
    cluster, shared = _clusters(rng)
    arms = np.zeros(CLUSTERS, dtype=bool)
    arms[rng.permutation(CLUSTERS)[: CLUSTERS // 2]] = True
    x = rng.normal(size=(len(cluster), 4))
    world = _observed(rng, RANDOMISED, x, arms[cluster], seed=seed, shared=shared[cluster])
    return known(replace(world, problem=replace(world.problem, clusters=cluster)))


def clustered_and_confounded(rng: np.random.Generator, *, seed: int) -> World:
    """Units choose, those of a cluster alike: x2 is the same for all of them, and moves treatment and outcome."""
    cluster, shared = _clusters(rng)
    x = rng.normal(size=(len(cluster), 4))
    x[:, 2] = rng.normal(size=CLUSTERS)[cluster]
    treated = rng.random(len(cluster)) < expit(SMOOTH.log_odds(x))
    world = _observed(rng, SMOOTH, x, treated, seed=seed, shared=shared[cluster])
    return replace(world, problem=replace(world.problem, clusters=cluster))


def _clusters(rng: np.random.Generator) -> tuple[np.ndarray, Array]:
    """Cluster of each unit, and what its units share. Sizes do not depend on anything."""
    ends = np.round(np.cumsum(weights := rng.lognormal(0.0, 0.3, CLUSTERS)) / weights.sum() * UNITS)
    cluster = np.searchsorted(ends, np.arange(UNITS), side="right").astype(np.int64)
    return cluster, rng.normal(0.0, SIMILAR, CLUSTERS)


def unevenly_sampled(rng: np.random.Generator, *, seed: int) -> World:
    """Those with a large x0, and a large effect, are asked for up to four times as often; weights know it."""
    pool = rng.normal(size=(8 * UNITS, 4))
    chance = 0.2 + 0.6 * expit(2 * pool[:, 0])
    asked = np.flatnonzero(rng.random(len(pool)) < chance)[:UNITS]
    x, chance = pool[asked], chance[asked]
    treated = rng.random(UNITS) < expit(SMOOTH.log_odds(x))
    world = _observed(rng, SMOOTH, x, treated, seed=seed)
    return replace(world, problem=replace(world.problem, weights=1 / chance))


@dataclass(frozen=True, slots=True, eq=False)
class Instrumented:
    """A draw with an instrument (n,). on_outcome, on_treatment: what it does, as it is. truth: the effect."""

    outcome: Array
    treatment: Array
    instrument: Array
    x: Array
    truth: float
    on_outcome: Nuisances | None = None
    on_treatment: Nuisances | None = None
    slope: float = 0.0
    noise: Array | None = None


def on_a_scale(rng: np.random.Generator, *, slope: float, n: int = UNITS) -> Instrumented:
    """A treatment on a scale that the instrument moves by `slope`; what else moves it moves the outcome as well."""
    x, z = rng.normal(size=(n, 2)), rng.normal(size=n)
    z = 0.5 * x[:, 0] + z
    hidden = rng.normal(size=n)
    treatment = slope * z + 0.5 * x[:, 1] + hidden
    noise = 0.95 * hidden + 0.3 * rng.normal(size=n)
    return Instrumented(treatment + x.sum(axis=1) + noise, treatment, z, x, 1.0, slope=slope, noise=noise)


def with_compliers(rng: np.random.Generator, *, seed: int, n: int = UNITS) -> Instrumented:
    """Encouraged by chance that depends on x; three in five comply, more of them where x1 is large."""
    del seed
    x = rng.normal(size=(n, 4))
    e = expit(0.5 * x[:, 0] - 0.3 * x[:, 2])
    complies, always = _types(x)
    kind, z = rng.random(n), rng.random(n) < e
    treated = (kind < always) | ((kind < always + complies) & z)
    never = 1 - always - complies
    # Who takes it anyway is better off without it, who never does worse: no regression on x sees that.
    shift = np.where(kind < always, 1.0, np.where(kind >= 1 - never, -0.5, 0.0))
    tau = _effect_of_x1(x)
    outcome = _smooth_control(x) + shift + tau * treated + rng.normal(size=n)
    base = _smooth_control(x) + always - 0.5 * never
    folds = np.zeros(n, np.int64)
    on_outcome = Nuisances(folds, e, base + tau * always, base + tau * (always + complies))
    on_treatment = Nuisances(folds, e, always, always + complies)
    nodes, weight = _nodes()
    truth = float(np.average(_effect_of_x1(nodes), weights=weight * _types(nodes)[0]))
    return Instrumented(outcome, treated.astype(np.float64), z.astype(np.float64), x, truth, on_outcome, on_treatment)


def _effect_of_x1(x: Array) -> Array:
    return np.asarray(1 + 0.5 * x[:, 1], dtype=np.float64)


def _types(x: Array) -> tuple[Array, Array]:
    """Probabilities to comply, and to take the treatment always."""
    complies = 0.4 + 0.4 * expit(x[:, 1])
    return complies, 0.5 * (1 - complies)
