"""Small worlds whose effects are known, with the nuisances as they truly are or nearly so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from causeway.effects.nuisances import Nuisances

Array = npt.NDArray[np.float64]
FOLDS = 5


@dataclass(frozen=True)
class World:
    """effect: the true one of each unit."""

    outcome: Array
    treated: npt.NDArray[np.bool_]
    x: Array
    effect: Array
    nuisances: Nuisances

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"x{place}" for place in range(self.x.shape[1]))


def make_world(n: int, seed: int, effect: Callable[[Array], Array], *, confounded: bool = True, p: int = 4) -> World:
    """Outcomes and propensities depend on the first column; the nuisances are the true ones."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, p))
    propensity = 1 / (1 + np.exp(-0.5 * x[:, 0] * confounded))
    treated = generator.random(n) < propensity
    tau = effect(x)
    baseline = x[:, 0] + np.abs(x[:, 1])
    outcome = baseline + treated * tau + generator.normal(size=n)
    folds = generator.permutation(n) % FOLDS
    return World(outcome, treated, x, tau, Nuisances(folds, propensity, baseline, baseline + tau))


def one_effect(x: Array) -> Array:
    return np.full(len(x), 0.5)


def two_slopes(x: Array) -> Array:
    return np.asarray(0.5 + x[:, 0] - 0.5 * x[:, 1])


def a_kink(x: Array) -> Array:
    return np.asarray(0.5 + 1.5 * np.maximum(x[:, 0], 0))


@pytest.fixture
def world_with_one_effect() -> World:
    return make_world(1_000, 1, one_effect)


@pytest.fixture(scope="session")
def world_with_slopes() -> World:
    return make_world(2_000, 2, two_slopes)


@pytest.fixture(scope="session")
def world_with_a_kink() -> World:
    return make_world(4_000, 3, a_kink)


@pytest.fixture
def worlds() -> Callable[..., World]:
    """make_world by the name of the effect: worlds(n, seed, "one_effect")."""
    effects = {"one_effect": one_effect, "two_slopes": two_slopes, "a_kink": a_kink}

    def build(n: int, seed: int, effect: str, **changes: object) -> World:
        return make_world(n, seed, effects[effect], **changes)  # type: ignore[arg-type]

    return build
