"""The strength of something unmeasured, and how much of it an estimate bears."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Strength:
    """Shares in [0, 1] and [0, 1): `outcome`, of what is left of the outcome's variance; `treatment`, of what is left
    of the treatment's (for a linear model both are partial R2; else of the Riesz representer's variance).

    `degree`: |rho|, how much the two go together; 1 is the worst case (Chernozhukov et al. 2022, "Long story short:
    omitted variable bias in causal machine learning", NBER 30302, theorem 2).
    """

    outcome: float
    treatment: float
    degree: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.outcome <= 1 and 0 <= self.treatment < 1 and 0 <= self.degree <= 1):
            raise ValueError(f"strengths are shares, the treatment's below one: {self}")

    @property
    def confounding(self) -> float:
        """|rho| C_Y C_D, with C_Y^2 = outcome and C_D^2 = treatment / (1 - treatment)."""
        return self.degree * math.sqrt(self.outcome * self.treatment / (1 - self.treatment))


def robustness(ratio: float) -> float:
    """The share v of both at which confounding, v / sqrt(1 - v), reaches `ratio`, the distance from no effect in units
    of the scale of the bias.

    >>> round(robustness(4.18445 / 783**0.5), 4)
    0.1388
    """
    squared = ratio**2
    # The usual (sqrt(f^4 + 4 f^2) - f^2) / 2, without its difference of large numbers.
    return 0.0 if ratio <= 0 else 2 * squared / (math.sqrt(squared**2 + 4 * squared) + squared)
