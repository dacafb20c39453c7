"""What to believe about an effect after the trial: normal prior times normal likelihood, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from scipy import special, stats

from causeway.statistics.comparison import EstimatedMean, check_alpha
from causeway.statistics.effect import Status

Scale = Literal["absolute", "relative"]


@dataclass(frozen=True, slots=True)
class NormalPrior:
    """Belief about the effect before the trial: N(mean, sd**2) on the absolute or the relative scale.

    On the other scale it is multiplied or divided by the control mean as estimated.
    Raises ValueError unless mean is finite and sd positive and finite.
    """

    mean: float
    sd: float
    scale: Scale = "relative"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.sd) and self.sd > 0):
            raise ValueError(f"a proper prior has a finite mean and a positive, finite sd: {self}")


@dataclass(frozen=True, slots=True)
class Posterior:
    """Belief about the effect of a variant against the control: normal with `mean` and `sd`.

    status: "ok", or why there is none; then every number but n and n_control is None.
    scale: "absolute" (units of the outcome) or "relative" (share of the control mean); of every number below.
    ci_low, ci_high: equal-tailed credible interval at 1 - alpha.
    chance_to_beat_control: probability that the variant is better; "better" is larger unless settings say otherwise.
    risk_treated, risk_control: expected loss of choosing the variant, and of choosing the control: how much is given
    away on average, counting nothing where the choice was right. Never negative.
    settings: what was really done; JSON values only.
    """

    status: Status
    n: int
    n_control: int
    scale: Scale
    mean: float | None = None
    sd: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    chance_to_beat_control: float | None = None
    risk_treated: float | None = None
    risk_control: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def posterior(
    treated: EstimatedMean,
    control: EstimatedMean,
    *,
    covariance: float = 0.0,
    scale: Scale = "relative",
    prior: NormalPrior | None = None,
    larger_is_better: bool = True,
    alpha: float = 0.05,
) -> Posterior:
    """Posterior of treated - control, or of treated / control - 1.

    With d and v the estimated effect and its variance, and a prior N(m, s**2): precision 1 / v + 1 / s**2 and mean
    (d / v + m / s**2) over it (Gelman et al. 2013, sec. 2.5). No prior is the flat one: the posterior is N(d, v), and
    its interval the confidence interval by the normal quantile. On the relative scale v is by the delta method:
    (v_t - 2 r c + r**2 v_c) / control mean**2 with r = treated / control mean.
    The loss of choosing the treated is E[max(0, -effect)] and of the control E[max(0, effect)]:
    sd phi(z) + mean Phi(z) with z = mean / sd for the latter (the "expected loss" of Stucchio 2015).

    treated, control: estimated means with the variances of those means; covariance: of the two.
    prior: belief about the effect, on whichever scale; its own scale is kept in settings.
    The likelihood is normal: below about thirty units an arm the posterior is too narrow, as Student's t is not used.
    Statuses: no_units, too_few_units (an arm of one unit), zero_variance, not_estimable (relative scale, or a prior of
    the other scale, and the control mean is not separated from zero at alpha; settings.reason).

    >>> found = posterior(EstimatedMean(100, 11.0, 0.05), EstimatedMean(100, 10.0, 0.04), scale="absolute")
    >>> round(found.chance_to_beat_control, 5), round(found.risk_treated, 6), round(found.risk_control, 6)
    (0.99957, 3.4e-05, 1.000034)
    """
    check_alpha(alpha)
    settings: dict[str, Any] = {"alpha": alpha, "likelihood": "normal", "larger_is_better": larger_is_better}
    settings["prior"] = "flat" if prior is None else {"mean": prior.mean, "sd": prior.sd, "scale": prior.scale}
    quantile = float(stats.norm.isf(alpha / 2))
    base = control.value
    needs_base = scale == "relative" or (prior is not None and prior.scale != scale)

    def without(status: Status, reason: str) -> Posterior:
        return Posterior(status, treated.n, control.n, scale, settings={**settings, "reason": reason})

    if min(treated.n, control.n) == 0:
        return without("no_units", "an arm is empty")
    if min(treated.n, control.n) == 1:
        return without("too_few_units", "an arm has one unit")
    # Above all in units of the control mean, so that small or large units neither under- nor overflow.
    unit = abs(base) if base else math.sqrt(max(treated.variance, control.variance)) or 1.0
    ratio = treated.value / base if scale == "relative" and base else 1.0
    v_treated, v_control, c = (each / unit / unit for each in (treated.variance, control.variance, covariance))
    variance = v_treated - 2 * ratio * c + ratio * ratio * v_control
    if not variance > 0:
        return without("zero_variance", "the estimates have no spread")
    if needs_base and (base == 0 or quantile * math.sqrt(control.variance) >= abs(base)):
        return without("not_estimable", "the control mean is not separated from zero")

    # What one unit of the numbers below is on the scale asked for.
    back = 1.0 if scale == "relative" else unit
    sign = math.copysign(1.0, base)
    estimate = (treated.value - base) / unit * (sign if scale == "relative" else 1.0)
    mean, sd = estimate, math.sqrt(variance)
    if prior is not None:
        prior_unit = 1.0 if prior.scale == "relative" else unit
        turned = 1.0 if prior.scale == scale else sign
        mean, sd = _update(mean, sd, turned * prior.mean / prior_unit, prior.sd / prior_unit)
    # Ten per cent more of a negative mean is less.
    upwards = larger_is_better if scale == "absolute" or base > 0 else not larger_is_better
    gain, loss = _expected_excess(mean, sd), _expected_excess(-mean, sd)
    settings |= {"effect": back * estimate, "std_error": back * math.sqrt(variance)}
    return Posterior(
        "ok",
        treated.n,
        control.n,
        scale,
        mean=back * mean,
        sd=back * sd,
        ci_low=back * (mean - quantile * sd),
        ci_high=back * (mean + quantile * sd),
        chance_to_beat_control=float(special.ndtr((mean if upwards else -mean) / sd)),
        risk_treated=back * (loss if upwards else gain),
        risk_control=back * (gain if upwards else loss),
        settings=settings,
    )


def _update(mean: float, sd: float, prior_mean: float, prior_sd: float) -> tuple[float, float]:
    """Posterior of a normal estimate and a normal prior, weighing each by its share of the precision."""
    total = math.hypot(sd, prior_sd)
    share = (prior_sd / total) ** 2
    return prior_mean + share * (mean - prior_mean), sd * prior_sd / total


def _expected_excess(mean: float, sd: float) -> float:
    """E[max(0, X)] of X ~ N(mean, sd**2)."""
    z = mean / sd
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return max(0.0, sd * density + mean * float(special.ndtr(z)))
