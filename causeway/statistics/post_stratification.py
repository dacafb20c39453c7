"""Adjustment for a category known before the treatment: compare within strata, and weigh them as they occur."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from causeway.statistics.comparison import EstimatedMean, check_alpha, compare_means, satterthwaite_df
from causeway.statistics.effect import Effect, Status
from causeway.statistics.moments import Moments

SMALLEST = 10
Stratum = tuple[Moments, Moments]
"""Moments of the treated and of the control of one stratum."""


def post_stratified_difference(
    treated: Mapping[str, Moments],
    control: Mapping[str, Moments],
    *,
    smallest: int = SMALLEST,
    alpha: float = 0.05,
) -> Effect:
    """Difference of means within strata, weighted by the share W_k of both arms' units in stratum k.

    Effect sum W_k (y_tk - y_ck) with variance sum W_k**2 (s_tk**2 / n_tk + s_ck**2 / n_ck) given the numbers of units
    (Miratrix, Sekhon & Yu 2013, section 2.2). The shares are estimates where units are a sample: that adds
    sum W_k (effect_k - effect)**2 / N. Effects of strata scatter by chance as well, so this part is too large by a
    share of the variance of at most K strata / N units; with `smallest` = 10 that is 5 %, half of that in the width.
    Satterthwaite's degrees of freedom over all parts.

    A stratum is too small if the smaller arm can expect fewer than `smallest` units of it, by the units of both arms
    together, or if an arm has fewer than two. Those too small are merged; if they are still too small, the smallest of
    the remaining strata joins them (by units of both arms, then by name), until they are enough. What each arm got
    decides only where there would be no variance at all: merging strata because they are out of balance would give up
    the adjustment where it is needed, and make the standard error too small.

    treated, control: moments of the outcome by stratum; a stratum may be missing in an arm. smallest: at least 2.
    alpha: error rate of the two-sided interval, between 0 and 1. Raises ValueError otherwise.
    Statuses: no_units, too_few_units (an arm of one unit), zero_variance (constant within every stratum and arm).
    settings: variance, strata (how many were compared), merged (names of those merged into one, in order),
    r_squared (share of the variance within arms that the strata explain), variance_ratio (squared standard error over
    that of the plain difference), effect_unadjusted, mean_unadjusted, mean_control_unadjusted, smallest.

    >>> treated = {"new": Moments(50, 3.0, 49.0), "old": Moments(50, 8.0, 49.0)}
    >>> control = {"new": Moments(60, 2.0, 59.0), "old": Moments(40, 7.0, 39.0)}
    >>> result = post_stratified_difference(treated, control)
    >>> round(result.effect, 9), result.settings["effect_unadjusted"], round(result.settings["variance_ratio"], 3)
    (1.0, 1.5, 0.141)
    """
    check_alpha(alpha)
    if smallest < 2:
        raise ValueError(f"a variance wants two units of each arm in a stratum: smallest = {smallest}")
    both = {
        name: (treated.get(name, Moments.empty()), control.get(name, Moments.empty()))
        for name in sorted(treated.keys() | control.keys())
    }
    arm, arm_control = (sum((stratum[i] for stratum in both.values()), Moments.empty()) for i in (0, 1))
    if min(arm.n, arm_control.n) < 2:
        status: Status = "too_few_units" if min(arm.n, arm_control.n) else "no_units"
        return Effect(status, arm.n, arm_control.n, settings={"alpha": alpha})

    n = arm.n + arm_control.n
    groups = _merged(both, smallest)
    strata = [_together(both, names) for names in groups]
    merged = next((names for names in groups if len(names) > 1), [])
    weights = [(t.n + c.n) / n for t, c in strata]
    mean = sum(w * t.mean_y for w, (t, _) in zip(weights, strata, strict=True))
    mean_control = sum(w * c.mean_y for w, (_, c) in zip(weights, strata, strict=True))
    parts = [_variance(w, t) for w, (t, _) in zip(weights, strata, strict=True)]
    parts_control = [_variance(w, c) for w, (_, c) in zip(weights, strata, strict=True)]
    v, v_control = sum(part for part, _ in parts), sum(part for part, _ in parts_control)
    if v == v_control == 0:
        return Effect(
            "zero_variance", arm.n, arm_control.n, mean, mean_control, settings={"alpha": alpha, "merged": merged}
        )
    gaps = [(t.mean_y - mean, c.mean_y - mean_control) for t, c in strata]
    v_shares = sum(w * (gap - gap_control) ** 2 for w, (gap, gap_control) in zip(weights, gaps, strict=True)) / n
    shares = [sum(w * gap[i] * gap[j] for w, gap in zip(weights, gaps, strict=True)) / n for i, j in _PAIRS]
    v_effect = v + v_control + v_shares
    v_unadjusted = arm.m2_y / (arm.n - 1) / arm.n + arm_control.m2_y / (arm_control.n - 1) / arm_control.n
    within = sum(t.m2_y + c.m2_y for t, c in strata)
    return compare_means(
        EstimatedMean(arm.n, mean, v + shares[0]),
        EstimatedMean(arm_control.n, mean_control, v_control + shares[1]),
        std_error=math.sqrt(v_effect),
        covariance=shares[2],
        df=satterthwaite_df(*parts, *parts_control, (v_shares, n - 1)),
        alpha=alpha,
        settings={
            "variance": "post_stratified_superpopulation",
            "strata": len(strata),
            "merged": merged,
            "smallest": smallest,
            "r_squared": 1 - within / (arm.m2_y + arm_control.m2_y),
            "variance_ratio": v_effect / v_unadjusted,
            "effect_unadjusted": arm.mean_y - arm_control.mean_y,
            "mean_unadjusted": arm.mean_y,
            "mean_control_unadjusted": arm_control.mean_y,
        },
    )


@dataclass(frozen=True, slots=True)
class StratumInfluence:
    """What the units of one stratum contribute to the errors of the two post-stratified means.

    stratum: its name, or the first of those that it was merged with. A unit of the treated contributes
    own (y - mean) to the treated mean, one of the control own_control (y - mean_control) to the control mean, and any
    unit shift to the one and shift_control to the other: the strata's shares are estimates, too. leverage,
    leverage_control: n_g**2 times these is what cluster g with n_g units of the arm in the stratum adds to the trace
    that `ClusterInfluence.of_sums` wants.
    """

    stratum: str
    own: float
    own_control: float
    mean: float
    mean_control: float
    shift: float
    shift_control: float
    leverage: float
    leverage_control: float


def stratum_influences(
    treated: Mapping[str, Moments], control: Mapping[str, Moments], *, smallest: int = SMALLEST
) -> dict[str, StratumInfluence]:
    """By stratum as it was given, for an effect of `post_stratified_difference` on the same moments that is "ok".

    The influence function of sum W_k y_k (the saturated regression of Lin 2013, with the part that Negi & Wooldridge
    2021 add for the shares), so that its squares summed over clusters are the cluster-robust variance.
    """
    names = sorted(treated.keys() | control.keys())
    both = {name: (treated.get(name, Moments.empty()), control.get(name, Moments.empty())) for name in names}
    groups = _merged(both, smallest)
    strata = [_together(both, group) for group in groups]
    n, n_control = (sum(stratum[i].n for stratum in strata) for i in (0, 1))
    weights = [_units(stratum) / (n + n_control) for stratum in strata]
    means = [sum(w * s[i].mean_y for w, s in zip(weights, strata, strict=True)) for i in (0, 1)]
    return {
        name: StratumInfluence(
            stratum=group[0],
            own=weight / t.n,
            own_control=weight / c.n,
            mean=t.mean_y,
            mean_control=c.mean_y,
            shift=(t.mean_y - means[0]) / (n + n_control),
            shift_control=(c.mean_y - means[1]) / (n + n_control),
            leverage=1 / t.n / n,
            leverage_control=1 / c.n / n_control,
        )
        for group, weight, (t, c) in zip(groups, weights, strata, strict=True)
        for name in group
    }


_PAIRS = ((0, 0), (1, 1), (0, 1))


def _variance(weight: float, arm: Moments) -> tuple[float, float]:
    """Variance of weight times the mean of one arm in one stratum, with its degrees of freedom."""
    return weight**2 * (arm.var_y or 0.0) / arm.n, max(arm.n - 1, 1)


def _merged(both: Mapping[str, Stratum], smallest: int) -> list[list[str]]:
    """The strata to compare, by the names that each is made of; at most one is made of several, and it is the last."""
    treated, control = (sum(stratum[i].n for stratum in both.values()) for i in (0, 1))
    fewest = smallest * (treated + control) / min(treated, control)

    def too_small(stratum: Stratum) -> bool:
        return _units(stratum) < fewest or min(arm.n for arm in stratum) < 2

    joining = [name for name, stratum in both.items() if too_small(stratum)]
    by_size = sorted(both.keys() - set(joining), key=lambda name: (_units(both[name]), name))
    while joining and by_size and too_small(_together(both, joining)):
        joining.append(by_size.pop(0))
    return [[name] for name in sorted(by_size)] + ([joining] if joining else [])


def _together(both: Mapping[str, Stratum], names: list[str]) -> Stratum:
    treated, control = (sum((both[name][i] for name in names), Moments.empty()) for i in (0, 1))
    return treated, control


def _units(stratum: Stratum) -> int:
    return stratum[0].n + stratum[1].n
