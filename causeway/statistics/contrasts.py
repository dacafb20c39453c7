"""One number from many variants: high dose against low, the average of two designs against control, a dose trend."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from causeway.statistics.cluster_influence import ClusterInfluence, with_clusters
from causeway.statistics.comparison import EstimatedMean, check_alpha, compare_means, satterthwaite_df
from causeway.statistics.effect import Effect, Status
from causeway.statistics.joint_moments import JointMoments
from causeway.statistics.moments import Moments

# Coefficients are declared by hand or made from doses; rounding of this share of the largest is not a mistake.
SUM_TOLERANCE = 1e-9


def linear_contrast(
    arms: Mapping[str, EstimatedMean],
    coefficients: Mapping[str, float],
    *,
    dfs: Mapping[str, float] | None = None,
    alpha: float = 0.05,
) -> Effect:
    """The contrast sum(c_k m_k) of independent arms, with Welch-Satterthwaite degrees of freedom.

    Variance sum(c_k**2 v_k), df = (sum c_k**2 v_k)**2 / sum((c_k**2 v_k)**2 / df_k) (Satterthwaite 1946; Welch 1947):
    {"high": 1, "low": -1} is Welch's t test of the two. Since the coefficients sum to zero, a contrast compares the
    weighted mean of the arms with a positive coefficient (`mean`) with that of the arms with a negative one
    (`mean_control`); both have the weight W = sum of the positive coefficients (`settings["weight"]`), so
    effect = W (mean - mean_control). The relative effect is mean / mean_control - 1, whatever W is. `n` and
    `n_control` count the units on the two sides.

    arms: estimated mean by variant, n units and the variance of the mean. coefficients: by variant; a variant that is
    not named has 0. dfs: degrees of freedom of each arm's variance, n - 1 where not given.
    Arms whose estimates share something (a covariate's pooled mean) are not independent: not for them. For clusters
    there is `contrast_with_clusters`.
    Statuses: no_units, too_few_units (an arm with a coefficient has none, or one), zero_variance.
    Raises ValueError if the coefficients do not sum to zero, are all zero or not finite, or name an unknown variant.

    >>> arms = {"low": EstimatedMean(50, 10.0, 0.04), "high": EstimatedMean(50, 11.0, 0.05)}
    >>> found = linear_contrast(arms, {"high": 1, "low": -1})
    >>> found.effect, round(found.std_error, 3), found.settings["coefficients"]
    (1.0, 0.3, {'high': 1.0, 'low': -1.0})
    """
    check_alpha(alpha)
    used = _checked(coefficients, arms)
    sides = {True: dict[str, float](), False: dict[str, float]()}
    for name, coefficient in used.items():
        sides[coefficient > 0][name] = abs(coefficient)
    weight = sum(sides[True].values())
    settings: dict[str, Any] = {"variance": "welch", "contrast": contrast_name(used), "coefficients": used}
    settings["weight"] = weight
    n, n_control = (sum(arms[name].n for name in side) for side in (sides[True], sides[False]))
    parts = [
        (used[name] ** 2 * arms[name].variance, (dfs or {}).get(name, float(arms[name].n - 1)))
        for name in used
        if arms[name].n > 1
    ]
    smallest = min(arms[name].n for name in used)
    status: Status = "ok"
    if smallest < 2:
        status = "no_units" if smallest == 0 else "too_few_units"
    elif not any(variance > 0 for variance, _ in parts):
        status = "zero_variance"
    if status != "ok":
        return Effect(status, n, n_control, settings={**settings, "alpha": alpha})

    treated, control = (_side(arms, side, weight) for side in (sides[True], sides[False]))
    std_error = math.sqrt(sum(variance for variance, _ in parts))
    found = compare_means(
        treated, control, std_error=std_error / weight, df=satterthwaite_df(*parts), alpha=alpha, settings=settings
    )
    return _times(found, weight)


@dataclass(frozen=True, slots=True)
class ArmContribution:
    """What the units of one arm contribute to the error of the side of a contrast on which it is.

    A cluster with n units, outcomes y and denominators d in all contributes own (y - ratio d) to its side, counts for
    share n there, and adds n**2 leverage to the trace that `ClusterInfluence.of_sums` wants.
    """

    is_positive: bool
    own: float
    ratio: float
    share: float
    leverage: float


def arm_contributions(
    arms: Mapping[str, JointMoments],
    coefficients: Mapping[str, float],
    *,
    outcome: str = "outcome",
    denominator: str | None = None,
) -> dict[str, ArmContribution]:
    """By variant, for a contrast of these arms' means, or of ratios of sums, that is "ok" for independent units.

    A side is the weighted mean of its arms, as heavy as sum(w**2 / n) makes it: so many units count for it.
    """
    used = _checked(coefficients, {name: EstimatedMean(arm.n, 0.0, 0.0) for name, arm in arms.items()})
    weight = sum(value for value in used.values() if value > 0)
    shares = {name: abs(value) / weight for name, value in used.items()}
    units = {
        side: 1 / sum(shares[name] ** 2 / arms[name].n for name in used if (used[name] > 0) is side)
        for side in (True, False)
    }
    found = {}
    for name, share in shares.items():
        arm, side = arms[name], units[used[name] > 0]
        per_unit = 1.0 if denominator is None else arm.mean(denominator)
        found[name] = ArmContribution(
            is_positive=used[name] > 0,
            own=share / arm.n / per_unit,
            ratio=arm.mean(outcome) / per_unit,
            share=share / arm.n * side,
            leverage=share**2 / arm.n * side / arm.n**2,
        )
    return found


def contrast_with_clusters(effect: Effect, found: ClusterInfluence, *, alpha: float = 0.05) -> Effect:
    """A contrast of `linear_contrast` with the interval that holds if units of a cluster are alike: `with_clusters`.

    found: by `arm_contributions`, the positive side for the treated. Arms may share clusters.
    """
    if effect.status != "ok" or effect.std_error is None:
        return with_clusters(effect, found, alpha=alpha)
    weight = effect.settings["weight"]
    return _times(with_clusters(replace(effect, std_error=effect.std_error / weight), found, alpha=alpha), weight)


def _times(found: Effect, weight: float) -> Effect:
    """The t test and the relative effect do not depend on the weight."""
    if weight == 1 or None in (found.effect, found.std_error, found.ci_low, found.ci_high):
        return found
    scaled = {name: weight * getattr(found, name) for name in ("effect", "std_error", "ci_low", "ci_high")}
    return replace(found, **scaled)


def trend_coefficients(doses: Mapping[str, float]) -> dict[str, float]:
    """Coefficients of the least-squares slope of the arms' means on their doses: outcome per unit of dose.

    c_k = (d_k - mean d) / sum (d - mean d)**2, every arm counting the same whatever its size.
    Raises ValueError unless there are two different, finite doses.

    >>> trend_coefficients({"none": 0, "half": 5, "full": 10})
    {'none': -0.1, 'half': 0.0, 'full': 0.1}
    """
    if not all(math.isfinite(dose) for dose in doses.values()) or len(set(doses.values())) < 2:
        raise ValueError(f"a trend needs two different, finite doses: {dict(doses)}")
    centre = math.fsum(doses.values()) / len(doses)
    spread = math.fsum((dose - centre) ** 2 for dose in doses.values())
    return {name: (dose - centre) / spread for name, dose in doses.items()}


def estimated_mean(arm: Moments) -> EstimatedMean:
    """The mean of one arm and its variance s**2 / n, as contrasts want it; variance 0.0 below two units."""
    return EstimatedMean(arm.n, arm.mean_y, (arm.var_y or 0.0) / max(arm.n, 1))


def contrast_name(coefficients: Mapping[str, float]) -> str:
    """A contrast as people write it, the positive side first.

    >>> contrast_name({"control": -1.0, "a": 0.5, "b": 0.5})
    '0.5 a + 0.5 b - control'
    """
    terms = sorted(coefficients.items(), key=lambda term: term[1] < 0)
    written = " ".join(
        f"{'-' if value < 0 else '+'} {'' if abs(value) == 1 else f'{abs(value):g} '}{name}" for name, value in terms
    )
    return written.removeprefix("+ ")


def _checked(coefficients: Mapping[str, float], arms: Mapping[str, EstimatedMean]) -> dict[str, float]:
    """The coefficients that are not zero, as floats."""
    unknown = sorted(set(coefficients) - set(arms))
    if unknown:
        raise ValueError(f"the contrast names unknown variants: {unknown}")
    if not all(math.isfinite(value) for value in coefficients.values()):
        raise ValueError(f"coefficients must be finite: {dict(coefficients)}")
    used = {name: float(value) for name, value in coefficients.items() if value != 0}
    if not used:
        raise ValueError("a contrast needs coefficients that are not zero")
    if abs(math.fsum(used.values())) > SUM_TOLERANCE * max(abs(value) for value in used.values()):
        raise ValueError(f"the coefficients of a contrast sum to zero: {used}")
    return used


def _side(arms: Mapping[str, EstimatedMean], side: Mapping[str, float], weight: float) -> EstimatedMean:
    return EstimatedMean(
        n=sum(arms[name].n for name in side),
        value=math.fsum(share / weight * arms[name].value for name, share in side.items()),
        variance=sum((share / weight) ** 2 * arms[name].variance for name, share in side.items()),
    )
