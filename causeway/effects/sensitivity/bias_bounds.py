"""How far omitted variables can move any debiased estimate (Chernozhukov, Cinelli, Newey, Sharma & Syrgkanis 2022).

An estimate of an average E[m(W; g)] is known by its outcome regression g and by its Riesz representer alpha, for which
E[m(W; h)] = E[alpha h]. What leaving out a confounder can do to it is a product of its strengths and of two numbers
that the data give: "Long story short: omitted variable bias in causal machine learning", NBER 30302, theorem 2:

    |bias|^2 <= rho^2 C_Y^2 C_D^2 S^2,  S^2 = sigma^2 nu^2,  sigma^2 = E(Y - g)^2,  nu^2 = E alpha^2
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causeway.effects.influence import Array, Flags, Inference, Labels, Linearised, infer
from causeway.effects.nuisances import Nuisances
from causeway.effects.sensitivity.strength import Strength, robustness
from causeway.statistics.effect import Status

BoundsTarget = Literal["ATE", "ATT", "ATC", "ATO"]


@dataclass(frozen=True, slots=True, eq=False)
class Representation:
    """sigma^2 in squared units of the outcome, nu^2 in squared units of effect per outcome, and what each unit adds to
    their errors, (n,), already divided by n. The estimates are those of NBER 30302: E(Y - g)^2 and
    E[2 m(W; alpha) - alpha^2], which is E alpha^2 to which errors of alpha matter only squared.
    """

    residual_variance: float
    riesz_variance: float
    residual_contributions: Array
    riesz_contributions: Array

    @property
    def scale(self) -> float:
        """S, in units of the outcome."""
        return math.sqrt(self.residual_variance * self.riesz_variance)

    @property
    def scale_contributions(self) -> Array:
        """By the delta method, (n,)."""
        sigma, nu = self.residual_variance, self.riesz_variance
        return (sigma * self.riesz_contributions + nu * self.residual_contributions) / (2 * self.scale)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The effect under confounding of a given strength: its bounds, and the outer ends of their intervals; None unless
    `status` is "ok".
    """

    status: Status
    lower: float | None = None
    upper: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None


def represent(
    *,
    treated: Flags,
    outcome: Array,
    nuisances: Nuisances,
    target: BoundsTarget,
    weights: Array | None = None,
) -> Representation | None:
    """From out-of-fold nuisances; arrays (n,). None where a variance is not positive and finite: a fit without
    residuals, a propensity of 0 or 1.

    alpha is, with T treated, e the propensity and p = E T: for the ATE T / e - (1 - T) / (1 - e); for the ATT
    T / p - (1 - T) e / (1 - e) / p; for the ATC T (1 - e) / e / (1 - p) - (1 - T) / (1 - p); for the ATO, which the
    partially linear model estimates, (T - e) / E(T - e)^2, and g = E[Y | x] + (T - e) theta. weights: sampling weights.
    """
    share = np.full(len(outcome), 1 / len(outcome)) if weights is None else weights / weights.sum()
    t, e = treated.astype(np.float64), nuisances.propensity
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        residual = outcome - np.where(treated, nuisances.outcome_treated, nuisances.outcome_control)
        if target == "ATE":
            alpha, moment = t / e - (1 - t) / (1 - e), 1 / e + 1 / (1 - e)
        elif target == "ATT":
            p = float(share @ t)
            alpha, moment = (t - (1 - t) * e / (1 - e)) / p, t / (1 - e) / p**2
        elif target == "ATC":
            p = float(share @ (1 - t))
            alpha, moment = (t * (1 - e) / e - (1 - t)) / p, (1 - t) / e / p**2
        elif target == "ATO":
            left = t - e
            spread = np.float64(share @ left**2)
            from_mean = outcome - nuisances.outcome
            residual = from_mean - left * (float(share @ (left * from_mean)) / spread)
            alpha = left / spread
            moment = np.full(len(t), 1 / spread)
        else:
            raise ValueError(f"bounds are known for {BoundsTarget}, not for {target!r}")
        squared_norm = 2 * moment - alpha**2
        sigma, nu = float(share @ residual**2), float(share @ squared_norm)
    if not (math.isfinite(sigma) and math.isfinite(nu) and nu > 0) or sigma <= 1e-20 * float(share @ outcome**2):
        return None
    return Representation(sigma, nu, share * (residual**2 - sigma), share * (squared_norm - nu))


@dataclass(frozen=True, slots=True, eq=False)
class OmittedVariables:
    """An estimate and its representation: what confounding of any strength would do to it."""

    found: Linearised
    representation: Representation
    treated: Flags
    clusters: Labels | None = None

    @property
    def scale(self) -> float:
        """S, in units of the outcome."""
        return self.representation.scale

    def bias(self, strength: Strength) -> float:
        """Largest absolute bias, in units of the outcome."""
        return self.scale * strength.confounding

    def bounds(self, strength: Strength, *, alpha: float = 0.05) -> Bounds:
        """theta -+ |rho| C_Y C_D S, and the ends of the intervals of both at alpha (two-sided), which cover the effect
        with at least 1 - alpha (NBER 30302, confidence bounds). The statuses are those of `infer`.
        """
        low, high = (self._at(strength.confounding, sign, alpha) for sign in (-1.0, 1.0))
        bias = self.bias(strength)
        if low.status != "ok" or high.status != "ok":
            return Bounds(low.status if low.status != "ok" else high.status)
        return Bounds("ok", self.found.effect - bias, self.found.effect + bias, low.ci_low, high.ci_high)

    def robustness_value(self, null: float = 0.0) -> float:
        """RV: at this strength with treatment and outcome alike the nearer bound reaches `null`."""
        return robustness(abs(self.found.effect - null) / self.scale)

    def robustness_value_interval(self, *, null: float = 0.0, alpha: float = 0.05) -> float | None:
        """RV_alpha: at this strength the interval of the nearer bound reaches `null`; zero where the estimate's own
        holds it; None where there is no interval.
        """
        from scipy.optimize import brentq

        towards = -1.0 if self.found.effect > null else 1.0

        def distance(value: float) -> float:
            """Of the interval's end from the null, away from it."""
            answer = self._at(Strength(value, value).confounding, towards, alpha)
            if answer.ci_low is None or answer.ci_high is None:
                return math.nan
            return answer.ci_low - null if towards < 0 else null - answer.ci_high

        high = self.robustness_value(null)
        start, end = distance(0.0), distance(high) if high < 1 else math.nan
        if math.isnan(start) or math.isnan(end):
            return None
        return 0.0 if start <= 0 else float(brentq(distance, 0.0, high, xtol=1e-10))

    def _at(self, confounding: float, sign: float, alpha: float) -> Inference:
        moved = Linearised(
            self.found.effect + sign * confounding * self.scale,
            self.found.contributions + sign * confounding * self.representation.scale_contributions,
            self.found.df,
        )
        return infer(moved, self.treated, clusters=self.clusters, alpha=alpha)


@dataclass(frozen=True, slots=True)
class Fit:
    """An estimate with its sigma^2 and nu^2, from all covariates or without a group of them."""

    effect: float
    residual_variance: float
    riesz_variance: float


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A confounder that adds as much as an observed group of covariates does: `name`, its strength, and how far leaving
    the group out moves the estimate. `strength` is None where it would be as strong as all that is left of the
    treatment, stronger than any picture can hold.
    """

    name: str
    strength: Strength | None
    change: float


def benchmark(name: str, *, full: Fit, without: Fit) -> Benchmark:
    """The gains of the group over the other covariates (NBER 30302, benchmarking): of the outcome
    (sigma^2_without - sigma^2) / sigma^2, of the treatment (nu^2 - nu^2_without) / nu^2_without, and
    rho = |change| / sqrt of the product of the two drops, 1 where there is none.

    Gains below zero are the noise of two fits, and count as zero. In a linear model the treatment's is R2 / (1 - R2) of
    the group's partial R2, as in `linear_benchmark`. Raises ValueError for variances that are not positive.
    """
    if not min(full.residual_variance, full.riesz_variance, without.riesz_variance) > 0:
        raise ValueError(f"variances must be positive: {full}, {without}")
    drop_outcome = max(0.0, without.residual_variance - full.residual_variance)
    drop_riesz = max(0.0, full.riesz_variance - without.riesz_variance)
    change = without.effect - full.effect
    product = math.sqrt(drop_outcome * drop_riesz)
    degree = min(1.0, abs(change) / product) if product > 0 else 1.0
    of_treatment = drop_riesz / without.riesz_variance
    if of_treatment >= 1:
        return Benchmark(name, None, change)
    return Benchmark(name, Strength(min(1.0, drop_outcome / full.residual_variance), of_treatment, degree), change)
