"""What an estimate has to know besides the effect: who is treated, and what happens without and with treatment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from causeway.effects.influence import Array, Labels


@dataclass(frozen=True, slots=True, eq=False)
class Nuisances:
    """Out-of-fold predictions of one split of the units, each (n,): of a unit's own fold no model has seen anything.

    folds: whole numbers from zero. propensity: P(T = 1 | x), as predicted or as the design has it. outcome_control,
    outcome_treated: E[Y | T = 0, x] and E[Y | T = 1, x]. chosen: learners by nuisance with their out-of-fold losses;
    JSON values only.
    """

    folds: Labels
    propensity: Array
    outcome_control: Array
    outcome_treated: Array
    chosen: dict[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> Array:
        """E[Y | x], (n,)."""
        return self.outcome_control + self.propensity * (self.outcome_treated - self.outcome_control)
