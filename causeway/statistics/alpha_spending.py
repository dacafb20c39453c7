"""How much of an error rate may be spent by when: the functions of Lan & DeMets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from scipy import special

Family = Literal["obrien_fleming", "pocock", "power", "hwang_shih_decani"]


@dataclass(frozen=True, slots=True)
class Spending:
    """A spending function f(t; rate), nondecreasing in t with f(0) = 0 and f(1) = rate.

    family:
      obrien_fleming: 2 - 2 Phi(z(rate / 2) / sqrt(t)); next to nothing early, nearly everything at the end
      (Lan & DeMets 1983).
      pocock: rate * log(1 + (e - 1) t); about the same bound at each look (Lan & DeMets 1983).
      power: rate * t**parameter, parameter above 0 (Kim & DeMets 1987).
      hwang_shih_decani: rate * (1 - exp(-parameter t)) / (1 - exp(-parameter)); negative parameters spend late
      (Hwang, Shih & DeCani 1990).

    Raises ValueError for an unknown family and for a parameter that the family cannot have.

    >>> Spending("power", 2.0).spent(0.5, 0.05)
    0.0125
    """

    family: Family = "obrien_fleming"
    parameter: float | None = None

    def __post_init__(self) -> None:
        if self.family not in get_args(Family):
            raise ValueError(f"there is no spending function {self.family}: {', '.join(get_args(Family))}")
        wants = self.family in {"power", "hwang_shih_decani"}
        if wants != (self.parameter is not None):
            raise ValueError(f"{self.family} takes {'a' if wants else 'no'} parameter: {self.parameter}")
        if self.parameter is not None and not math.isfinite(self.parameter):
            raise ValueError(f"the parameter must be a number: {self.parameter}")
        if self.family == "power" and self.parameter is not None and self.parameter <= 0:
            raise ValueError(f"the power must be above 0: {self.parameter}")

    def spent(self, fraction: float, rate: float) -> float:
        """The part of `rate` that may be spent up to this fraction of the planned information; all from 1 on."""
        if fraction >= 1:
            return rate
        if self.family == "obrien_fleming":
            return float(2 * special.ndtr(special.ndtri(rate / 2) / math.sqrt(fraction)))
        if self.family == "pocock":
            return rate * math.log1p((math.e - 1) * fraction)
        assert self.parameter is not None
        if self.family == "power":
            return float(rate * fraction**self.parameter)
        if self.parameter == 0:
            return rate * fraction
        return rate * math.expm1(-self.parameter * fraction) / math.expm1(-self.parameter)
