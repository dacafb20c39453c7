"""When an experiment may be looked at, and which interval its effect has then."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from causeway.statistics.alpha_spending import Spending
from causeway.statistics.confidence_sequence import confidence_sequence
from causeway.statistics.effect import Effect
from causeway.statistics.group_sequential import GroupSequentialDesign, group_sequential

IntervalKind = Literal["fixed_horizon", "always_valid", "group_sequential"]

# A look that brings less of the planned information than this is none: see `group_sequential`.
SMALLEST_STEP = 0.001
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class LookPlan:
    """How the intervals of one experiment allow for looks before its end, as declared beforehand.

    interval: "fixed_horizon" (one look, at the end), "always_valid" (any number of looks) or "group_sequential"
    (`looks` planned ones, the last at planned_units).
    planned_units: units of all variants at the planned end; an always-valid interval is narrowest there.
    alpha: two-sided, over all looks together.

    Raises ValueError for planned_units below 2, and for group_sequential without looks.
    """

    interval: IntervalKind
    planned_units: int
    alpha: float = 0.05
    looks: int | None = None
    spending: Literal["obrien_fleming", "pocock"] = "obrien_fleming"

    def __post_init__(self) -> None:
        if self.planned_units < 2:
            raise ValueError(f"planned_units must be at least 2: {self.planned_units}")
        if (self.interval == "group_sequential") != (self.looks is not None) or (
            self.looks is not None and self.looks < 1
        ):
            raise ValueError(f"group_sequential has planned looks, and nothing else has: {self}")

    def looks_at(self, units: Sequence[int]) -> tuple[int, ...]:
        """Positions of the days on which there is a look; every day where any number of looks is allowed.

        units: units of all variants so far, day by day, not falling. A planned look is taken on the first day on which
        its share of planned_units is reached; two that are reached on the same day are one.

        >>> LookPlan("group_sequential", 1000, looks=4).looks_at([100, 260, 300, 800, 900, 1000, 1100])
        (1, 3, 5)
        """
        if self.looks is None:
            return tuple(range(len(units)))
        found: list[int] = []
        taken = 0
        for position, reached in enumerate(units):
            due = min(self.looks, math.floor(self.looks * reached / self.planned_units + _ROUNDING))
            if due > taken:
                found.append(position)
                taken = due
        return tuple(found)

    def fractions(self, measured: Sequence[int]) -> tuple[float | None, ...]:
        """Information at each look as a share of the planned one; None where it brought next to nothing new.

        measured: units with an outcome at the looks, of all variants; it may lag behind the units, and even fall.
        """
        found: list[float | None] = []
        last = 0.0
        for each in measured:
            share = each / self.planned_units
            is_new = share - last >= SMALLEST_STEP
            found.append(share if is_new else None)
            last = share if is_new else last
        return tuple(found)

    def at_look(
        self, effect: Effect, *, share: float = 1.0, fractions: Sequence[float] = (), final: bool = False
    ) -> Effect:
        """The effect with the interval and the p-value that this plan gives it.

        effect: of any asymptotically normal method, with a fixed-horizon interval; a cluster-robust one says in its
        settings how many clusters it rests on, and these then count for units.
        share: of the planned units that are in the two arms compared. fractions, final: of a planned look; see
        `group_sequential`.
        Status not_estimable if a planned look is asked for without fractions.

        >>> effect = Effect("ok", 5000, 5000, 10.5, 10.0, 0.5, 0.1, 0.304, 0.696, 6e-7)
        >>> round(LookPlan("always_valid", 20_000).at_look(effect).ci_low, 3)
        0.192
        """
        if self.interval == "fixed_horizon":
            return effect
        if self.interval == "always_valid":
            pieces, per_unit = _independent(effect)
            planned = max(2.0, self.planned_units * share * per_unit)
            return confidence_sequence(effect, planned_n=planned, n=pieces, alpha=self.alpha)
        if not fractions:
            if effect.status != "ok":
                return effect
            reason = "no planned look has been reached"
            return Effect("not_estimable", effect.n, effect.n_control, settings={"alpha": self.alpha, "reason": reason})
        design = GroupSequentialDesign(alpha=self.alpha, spending=Spending(self.spending))
        found = group_sequential(effect, design=design, fractions=fractions, final=final)
        return replace(found, settings={**found.settings, "look": len(fractions), "planned_looks": self.looks})


def _independent(effect: Effect) -> tuple[int | None, float]:
    """The independent pieces behind an effect, and how many of them there are a unit."""
    clusters = effect.settings.get("clusters")
    if not isinstance(clusters, int):
        return None, 1.0
    # A cluster with units in both arms is one piece, not two.
    both, other = (int(effect.settings.get(name, 0)) for name in ("clusters_in_both", "clusters_control"))
    pieces = clusters + other - both
    return pieces, pieces / max(1, effect.n + effect.n_control)
