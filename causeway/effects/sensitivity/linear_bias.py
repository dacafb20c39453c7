"""Omitted variables of a linear regression: the bias of its coefficient, exactly (Cinelli & Hazlett 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from causeway.effects.sensitivity.strength import Strength, robustness
from causeway.statistics.comparison import check_alpha


@dataclass(frozen=True, slots=True)
class LinearSensitivity:
    """A coefficient with its classical standard error and residual degrees of freedom, of a regression on everything
    that was measured. All strengths are partial R2. Cinelli & Hazlett 2020, JRSS-B 82, 39-67: "CH".

    Raises ValueError for a standard error that is not positive or fewer than two degrees of freedom.
    """

    effect: float
    std_error: float
    df: float

    def __post_init__(self) -> None:
        if not (self.std_error > 0 and self.df > 1):
            raise ValueError(f"a coefficient without a standard error or degrees of freedom: {self}")

    @property
    def scale(self) -> float:
        """se sqrt(df): the bias of a confounder with R2y R2d / (1 - R2d) = 1 (CH sec. 4.1)."""
        return self.std_error * math.sqrt(self.df)

    @property
    def partial_r2(self) -> float:
        """Of the treatment with the outcome, t^2 / (t^2 + df): a confounder of all the rest of the outcome that
        explains this share of the treatment brings the effect to zero (CH sec. 4.3).
        """
        t_squared = (self.effect / self.std_error) ** 2
        return t_squared / (t_squared + self.df)

    def bias(self, strength: Strength) -> float:
        """Largest absolute bias (CH sec. 4.1)."""
        return self.scale * strength.confounding

    def adjusted(self, strength: Strength) -> tuple[float, float]:
        """Coefficient and standard error, had a confounder of this strength that pulls towards zero been measured
        (CH sec. 4.1).
        """
        towards = math.copysign(1.0, self.effect)
        ratio = (1 - strength.outcome) / (1 - strength.treatment) * self.df / (self.df - 1)
        return self.effect - towards * self.bias(strength), self.std_error * math.sqrt(ratio)

    def robustness_value(self) -> float:
        """RV: explaining this share of both treatment and outcome brings the effect to zero (CH sec. 4.2)."""
        return robustness(abs(self.effect) / self.scale)

    def robustness_value_interval(self, alpha: float = 0.05) -> float:
        """RV_alpha: the same for the interval's end; zero where the interval holds zero (CH sec. 4.2, with their later
        correction for estimates so strong that the worst confounder explains all of the outcome).
        """
        check_alpha(alpha)
        critical = float(stats.t.isf(alpha / 2, self.df - 1)) / math.sqrt(self.df - 1)
        found = abs(self.effect) / self.scale
        if found <= critical:
            return 0.0
        if found > 1 / critical:
            return (found**2 - critical**2) / (1 + found**2)
        return robustness(found - critical)


def linear_benchmark(*, treatment: float, outcome: float, times_treatment: float, times_outcome: float) -> Strength:
    """A confounder as strong, times a factor, as an observed covariate (CH sec. 4.4).

    treatment: partial R2 of the covariate with the treatment given the other covariates; outcome: with the outcome
    given those and the treatment. Raises ValueError for a confounder that would explain all of the treatment.
    """
    odds = treatment / (1 - treatment)
    shared = times_treatment * treatment**2 / ((1 - times_treatment * treatment) * (1 - treatment))
    if times_treatment * odds >= 1 or not 0 <= shared < 1:
        raise ValueError(f"{times_treatment} times a partial R2 of {treatment} explains more than all of the treatment")
    of_outcome = ((math.sqrt(times_outcome) + math.sqrt(shared)) / math.sqrt(1 - shared)) ** 2
    return Strength(min(1.0, of_outcome * outcome / (1 - outcome)), times_treatment * odds)
