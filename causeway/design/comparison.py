"""How a variant will be compared with the control, and the standard error that follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from causeway.design.baseline import Baseline
from causeway.statistics.comparison import satterthwaite_df
from causeway.statistics.multiple_testing import preferential_shares

Role = Literal["primary", "secondary", "guardrail"]
Correction = Literal["none", "bonferroni", "preferential_bonferroni", "holm", "benjamini_hochberg"]


@dataclass(frozen=True, slots=True)
class Clusters:
    """Units that are randomised together.

    mean_size: units per cluster. correlation: the intraclass correlation of their outcomes. size_cv: standard
    deviation of the cluster sizes over their mean.
    """

    mean_size: float
    correlation: float
    size_cv: float = 0.0

    def __post_init__(self) -> None:
        if not (self.mean_size >= 1 and 0 <= self.correlation <= 1 and self.size_cv >= 0):
            raise ValueError(f"clusters have at least one unit, a correlation in [0, 1] and a size_cv >= 0: {self}")

    @property
    def design_effect(self) -> float:
        """Factor by which the variance of a mean grows: 1 + ((1 + cv**2) m - 1) rho.

        Eldridge, Ashby & Kerry 2006, "Sample size for cluster randomized trials", equation 1; Kish's 1 + (m -
        1) rho where all clusters have the same size.
        """
        return 1 + ((1 + self.size_cv**2) * self.mean_size - 1) * self.correlation


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a variant will be compared with the control.

    alpha: error rate of this one comparison (see `split_alpha`), spread over `sides` tails.
    direction: which way a wanted effect points; the smallest effect is looked for on that side.
    sides: 2 asks whether the means differ; 1 whether the variant is better, or no worse than `margin`. A
    two-sided interval at 5 % whose one bound is compared with a margin is sides=1 with alpha=0.025.
    margin: the absolute loss that is tolerated, at least 0, in the units of the metric (non-inferiority).
    allocation: treated units per unit of the control.
    variance_factor: what a covariate leaves of the variance, 1 - r**2 (Deng, Xu, Kohavi & Walker 2013).
    clusters: None where the units themselves are randomised.

    Raises ValueError for numbers outside their range, and for a margin with two sides.
    """

    alpha: float = 0.05
    direction: Literal["increase", "decrease"] = "increase"
    sides: Literal[1, 2] = 2
    margin: float = 0.0
    allocation: float = 1.0
    variance_factor: float = 1.0
    clusters: Clusters | None = None

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1: {self.alpha}")
        if not (0 < self.allocation < math.inf and 0 < self.variance_factor <= 1):
            raise ValueError(f"an allocation is positive and a variance factor in (0, 1]: {self}")
        if not 0 <= self.margin < math.inf or (self.margin > 0 and self.sides == 2):
            raise ValueError(f"a margin is at least 0, and belongs to a one-sided comparison: {self}")

    @property
    def sign(self) -> float:
        """+1 where an increase is wanted, -1 where a decrease is."""
        return 1.0 if self.direction == "increase" else -1.0

    def distance(self, effect: float) -> float:
        """How far a true effect lies from the null hypothesis, counted in the wanted direction."""
        return self.sign * effect + self.margin

    def standard_error(self, baseline: Baseline, effect: float, n_treated: float, n_control: float) -> float | None:
        """Standard error of the difference at this true effect; None where the variance is not defined."""
        parts = self._variances(baseline, effect, n_treated, n_control)
        return None if parts is None else math.sqrt(sum(parts))

    def degrees_of_freedom(self, baseline: Baseline, effect: float, n_treated: float, n_control: float) -> float:
        """Welch and Satterthwaite's degrees of freedom; with clusters they count clusters instead of units."""
        parts = self._variances(baseline, effect, n_treated, n_control)
        size = self.clusters.mean_size if self.clusters else 1.0
        sizes = (n_treated / size, n_control / size)
        return satterthwaite_df(*((part, n - 1) for part, n in zip(parts or (), sizes, strict=True)))

    def smallest_control(self) -> float:
        """The control's share of the smallest design with a variance in both arms: two units or clusters each."""
        size = self.clusters.mean_size if self.clusters else 1.0
        return 2 * size / min(1.0, self.allocation)

    def settings(self) -> dict[str, Any]:
        """What the comparison assumes, as JSON values."""
        return {
            "alpha": self.alpha,
            "sides": self.sides,
            "direction": self.direction,
            "margin": self.margin,
            "allocation": self.allocation,
            "variance_factor": self.variance_factor,
            "design_effect": self.clusters.design_effect if self.clusters else 1.0,
        }

    def _variances(
        self, baseline: Baseline, effect: float, n_treated: float, n_control: float
    ) -> tuple[float, float] | None:
        treated = baseline.variance_after(effect)
        if treated is None or baseline.variance is None:
            return None
        factor = self.variance_factor * (self.clusters.design_effect if self.clusters else 1.0)
        return factor * treated / n_treated, factor * baseline.variance / n_control


def split_alpha(alpha: float, comparisons: int, *, share: float = 1.0) -> float:
    """The error rate of one of several comparisons (Bonferroni): alpha * share / comparisons.

    comparisons: how many tests share the rate: variants other than the control times metrics of the family.
    share: the part of alpha that this family may spend.

    >>> split_alpha(0.05, 2)
    0.025
    """
    if comparisons < 1 or not 0 < share <= 1:
        raise ValueError(f"at least one comparison and a share in (0, 1] are wanted: {comparisons}, {share}")
    return alpha * share / comparisons


def alpha_of(
    role: Role,
    roles: Sequence[Role],
    *,
    alpha: float,
    variants: int,
    correction: Correction,
    primary_share: float = 0.5,
) -> float:
    """The error rate of one metric in one variant, when the family is corrected for as declared.

    The family are the primary and secondary metrics times the treated variants; a guardrail keeps alpha, for all
    of them must hold. holm and benjamini_hochberg are planned for as bonferroni: their first step, which every
    later one only relaxes. preferential_bonferroni keeps `primary_share` for the primary metrics; without one of
    the two kinds the other has it all.

    roles: of all metrics, this one's among them.

    >>> alpha_of("primary", ["primary", "secondary"], alpha=0.05, variants=2, correction="holm")
    0.0125
    """
    if role == "guardrail" or correction == "none":
        return alpha
    family = {f"{place}, {variant}": other for place, other in enumerate(roles) for variant in range(variants)}
    family = {name: other for name, other in family.items() if other != "guardrail"}
    if correction != "preferential_bonferroni":
        return split_alpha(alpha, len(family))
    primary = [name for name, other in family.items() if other == "primary"]
    shares = preferential_shares(family, primary=primary, primary_share=primary_share)
    return alpha * next(shares[name] for name, other in family.items() if other == role)
