"""The E-value: how strongly something unmeasured would have to act on treatment and outcome to explain an effect."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from causeway.statistics.effect import Status

Scale = Literal["risk_ratio", "standardised_difference"]
# VanderWeele & Ding 2017, of a difference of one standard deviation to a log risk ratio (after Chinn 2000).
LOG_RATIO_PER_SD = 0.91


@dataclass(frozen=True, slots=True)
class EValue:
    """`point` for the estimate, `limit` for the end of its interval nearer to no effect, which is 1 where the interval
    holds it; both at least 1, as risk ratios, and None unless `status` is "ok". `ratio`: the risk ratio that the effect
    was taken for; `scale`: how it was found.
    """

    status: Status
    scale: Scale
    ratio: float | None = None
    point: float | None = None
    limit: float | None = None


def e_value(
    *, effect: float, ci_low: float, ci_high: float, mean_control: float, sd: float, is_conversion: bool
) -> EValue:
    """E = RR + sqrt(RR (RR - 1)), of 1 / RR for a ratio below one (VanderWeele & Ding 2017, Ann. Intern. Med. 167,
    268-274): both associations, with treatment and with outcome given the covariates, must reach it.

    effect, ci_low, ci_high: a difference in the outcome's units and its interval. A conversion (an outcome of 0 and
    1) has the risk ratio 1 + effect / mean_control, the control mean taken as known. Anything else has
    RR = exp(0.91 d) with d = effect / sd, sd the outcome's standard deviation within groups (their approximation).

    Statuses: not_estimable (a control mean that is not in (0, 1], a risk that the effect would push below zero, a
    ratio beyond floating point), zero_variance (sd of zero). Raises ValueError for an interval that does not hold its
    effect.
    """
    if not ci_low <= effect <= ci_high:
        raise ValueError(f"the interval {ci_low} to {ci_high} does not hold the effect {effect}")
    scale: Scale = "risk_ratio" if is_conversion else "standardised_difference"
    if is_conversion and not 0 < mean_control <= 1:
        return EValue("not_estimable", scale)
    if not is_conversion and not sd > 0:
        return EValue("zero_variance", scale)

    def ratio(difference: float) -> float:
        if is_conversion:
            return 1 + difference / mean_control
        log_ratio = LOG_RATIO_PER_SD * difference / sd
        return math.exp(log_ratio) if abs(log_ratio) < 300 else math.inf

    near = ci_low if effect > 0 else ci_high
    holds_none = ci_low <= 0 <= ci_high
    risk, edge = ratio(effect), 1.0 if holds_none else ratio(near)
    if not (0 < risk < math.inf and 0 < edge < math.inf):
        return EValue("not_estimable", scale)
    return EValue("ok", scale, risk, _of_ratio(risk), _of_ratio(edge))


def _of_ratio(ratio: float) -> float:
    above = max(ratio, 1 / ratio)
    return above + math.sqrt(above * (above - 1))
