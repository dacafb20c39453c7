"""Has everybody of whom the effect is asked a counterpart under the other treatment?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causeway.effects.estimators.aipw import Average
from causeway.effects.influence import Array, Flags

LOWEST_PROPENSITY = 0.025
TRIM = 0.05
"""Trimming leaves those out whose other treatment has less than this probability (Crump, Hotz, Imbens & Mitnik 2009,
Biometrika 96, 187-199, fix such a limit; theirs is 0.1)."""


@dataclass(frozen=True, slots=True, eq=False)
class CommonSupport:
    """share_outside: of the units asked about, those without a counterpart. kept: (n,), who is left after trimming.

    share_trimmed: of the units asked about. effective_treated, effective_control: Kish's effective numbers of units
    behind the weighted arms.
    """

    share_outside: float
    share_trimmed: float
    effective_treated: float
    effective_control: float
    treated_quantiles: tuple[float, ...]
    control_quantiles: tuple[float, ...]
    kept: Flags

    def as_document(self) -> dict[str, Any]:
        names = ("share_outside", "share_trimmed", "effective_treated", "effective_control")
        quantiles = ("treated_quantiles", "control_quantiles")
        return {name: getattr(self, name) for name in names} | {name: list(getattr(self, name)) for name in quantiles}


def common_support(propensity: Array, treated: Flags, target: Average) -> CommonSupport:
    """Judge the propensities (n,), out of fold, for one target.

    A unit is without a counterpart when its probability of the other treatment is below 0.025 both as it is and after
    weighting the arms to equal size: the first alone would call every study of a rare treatment hopeless, though at one
    treated unit in two hundred everybody may have the same propensity. For the ATT only the treated are asked about,
    and whether controls like them exist; for the ATC the controls.
    """
    share = float(treated.mean())
    for_one, for_zero = propensity / share, (1 - propensity) / (1 - share)
    equal = for_one / (for_one + for_zero)
    no_control = (1 - propensity < LOWEST_PROPENSITY) & (1 - equal < LOWEST_PROPENSITY)
    no_treated = (propensity < LOWEST_PROPENSITY) & (equal < LOWEST_PROPENSITY)
    asked = {"ATE": np.ones(len(treated), dtype=bool), "ATT": treated, "ATC": ~treated}[target]
    outside = {"ATE": no_control | no_treated, "ATT": no_control, "ATC": no_treated}[target]
    low, high = {"ATE": (TRIM, 1 - TRIM), "ATT": (0.0, 1 - TRIM), "ATC": (TRIM, 1.0)}[target]
    # A rare treatment is no lack of overlap, and is not trimmed away.
    kept = ((propensity >= low) | (equal >= low)) & ((propensity <= high) | (equal <= high))
    t = treated.astype(np.float64)
    weight_treated = {"ATE": t / propensity, "ATT": t, "ATC": t * (1 - propensity) / propensity}[target]
    weight_control = {"ATE": (1 - t) / (1 - propensity), "ATT": (1 - t) * propensity / (1 - propensity), "ATC": 1 - t}[
        target
    ]
    return CommonSupport(
        share_outside=float(outside[asked].mean()),
        share_trimmed=float((~kept)[asked].mean()),
        effective_treated=_effective(weight_treated),
        effective_control=_effective(weight_control),
        treated_quantiles=_quantiles(propensity[treated]),
        control_quantiles=_quantiles(propensity[~treated]),
        kept=kept,
    )


def _effective(weights: Array) -> float:
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def _quantiles(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in np.quantile(values, (0.0, 0.01, 0.5, 0.99, 1.0)))
