"""The effect under every strength of confounding: the numbers of a contour plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causeway.effects.sensitivity.strength import Strength


@dataclass(frozen=True, slots=True)
class Contour:
    """`effects[i][j]`: what is left of the effect, at its bound nearer to `null` and possibly beyond it, with outcome
    strength i and treatment strength j, in units of the outcome. `crossing[j]`: the outcome strength at which it
    reaches `null`, None where even 1 does not.
    """

    effect: float
    null: float
    outcome_strengths: tuple[float, ...]
    treatment_strengths: tuple[float, ...]
    effects: tuple[tuple[float, ...], ...]
    crossing: tuple[float | None, ...]


def contour(
    *,
    effect: float,
    scale: float,
    outcome_strengths: Sequence[float],
    treatment_strengths: Sequence[float],
    degree: float = 1.0,
    null: float = 0.0,
) -> Contour:
    """Of an estimate whose bias is at most `scale` rho C_Y C_D: `OmittedVariables.scale` or `LinearSensitivity.scale`.

    Strengths as in `Strength` (Cinelli & Hazlett 2020, sec. 5; Chernozhukov et al. 2022). Raises ValueError for
    strengths outside their ranges and a scale that is not positive.
    """
    if not scale > 0:
        raise ValueError(f"the scale of a bias is positive, not {scale}")
    towards = -1.0 if effect > null else 1.0
    effects = tuple(
        tuple(effect + towards * scale * Strength(y, d, degree).confounding for d in treatment_strengths)
        for y in outcome_strengths
    )
    needed = ((effect - null) / scale) ** 2
    crossing: list[float | None] = []
    for d in treatment_strengths:
        per_outcome = Strength(1.0, d, degree).confounding ** 2
        crossing.append(needed / per_outcome if needed <= per_outcome and per_outcome > 0 else None)
    return Contour(effect, null, tuple(outcome_strengths), tuple(treatment_strengths), effects, tuple(crossing))
