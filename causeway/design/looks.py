"""The looks of an experiment that is watched while it runs, with the boundaries that its analysis will use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from causeway.design.sequential_power import Boundary, Look, SequentialDesign
from causeway.statistics.alpha_spending import Spending
from causeway.statistics.burn_in import DEFAULT_BURN_IN
from causeway.statistics.group_sequential_bounds import efficacy_bounds
from causeway.statistics.normal_mixture import critical_value, tuned_rho

MOST_LOOKS = 60


@dataclass(frozen=True, slots=True)
class Looks:
    """How looks before the end are allowed for.

    method: always_valid, looked at daily, or group_sequential at `looks` evenly spaced ones. planned_units: of both
    arms at the end. days: planned length. paths, seed: of the simulation of power.

    Guardrails read one bound of the two-sided interval: one side at alpha has the critical value of two at 2 alpha.
    """

    method: Literal["always_valid", "group_sequential"]
    planned_units: float
    days: int
    looks: int | None = None
    spending: Literal["obrien_fleming", "pocock"] = "obrien_fleming"
    paths: int = 3_000
    seed: int = 0
    _designs: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_designs", lru_cache(maxsize=64)(self._design))

    @property
    def fractions(self) -> tuple[float, ...]:
        """Shares of the planned units at the looks."""
        count = self.looks if self.method == "group_sequential" and self.looks else min(self.days, MOST_LOOKS)
        return tuple((look + 1) / count for look in range(count))

    def design(self, alpha: float, sides: int) -> SequentialDesign:
        """From alpha and sides of a comparison to its looks: what `plan_experiment` asks for."""
        found: SequentialDesign = self._designs(alpha, sides)
        return found

    def _design(self, alpha: float, sides: int) -> SequentialDesign:
        boundary = self._boundary(alpha if sides == 2 else 2 * alpha)
        return SequentialDesign(boundary, self.fractions, paths=self.paths, seed=self.seed)

    def _boundary(self, alpha: float) -> Boundary:
        if self.method == "always_valid":
            rho = tuned_rho(self.planned_units, alpha=alpha)
            return lambda look: float(critical_value(look.n, rho=rho, alpha=alpha))
        bounds = efficacy_bounds(self.fractions, alpha=alpha, spending=Spending(self.spending))
        by_fraction = dict(zip(self.fractions, bounds, strict=True))

        def bound(look: Look) -> float:
            return by_fraction[look.fraction]

        return bound

    def critical_values(self, alpha: float) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        """From the units that are in at daily looks to the critical values there; nan at a day without a look."""

        def values(n: NDArray[np.float64]) -> NDArray[np.float64]:
            if self.method == "always_valid":
                return np.asarray(critical_value(n, rho=tuned_rho(self.planned_units, alpha=alpha), alpha=alpha))
            # A look is held on the first day on which its share of the units is in.
            reached = [int(np.searchsorted(n, fraction * n[-1] * (1 - 1e-12))) for fraction in self.fractions]
            days = sorted(set(reached))
            found = np.full(len(n), np.nan)
            held = tuple(float(n[day] / n[-1]) for day in days)
            found[days] = efficacy_bounds(held, alpha=alpha, spending=Spending(self.spending))
            return found

        return values

    def may_look(self, n_treated: int, n_control: int) -> bool:
        """Whether arms of these sizes are past the burn-in."""
        return DEFAULT_BURN_IN.over(n_treated, n_control)
