"""An interval that may be looked at every day: the asymptotic confidence sequence of an effect."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from causeway.statistics.burn_in import DEFAULT_BURN_IN, BurnIn
from causeway.statistics.critical_value import Alternative, sides_of, with_critical_value
from causeway.statistics.effect import Effect
from causeway.statistics.normal_mixture import always_valid_p_value, critical_value, tuned_rho


def confidence_sequence(
    effect: Effect,
    *,
    planned_n: float,
    n: int | None = None,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
    null: float = 0.0,
    burn_in: BurnIn = DEFAULT_BURN_IN,
) -> Effect:
    """The effect at one look with the interval and the p-value that hold at all looks together.

    The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024; arXiv 2103.06476,
    theorem 2.2): effect +- std_error * q(n) with the boundary of Robbins' normal mixture. With probability
    1 - alpha (in large samples) the true effect is inside at every look, however many there are and whatever
    decides when to stop. Looks need not be planned; each one stands on its own, so nothing is kept between
    them. The relative effect has Fieller's interval with the same q(n), valid in the same way.

    It is assumed that units arrive one after another and bring their outcome with them (or that a look counts
    units whose window is over); where all units are there from the start and their outcomes grow, the sequence
    was still conservative in simulation, but no theorem says so.

    effect: of any method whose estimate is asymptotically normal; an undefined one is given back as it is.
    planned_n: units of both arms at which the sequence is to be narrowest, normally those of the planned end;
    it may be wrong, that costs width and not validity, but it must not be chosen from the data.
    n: independent pieces behind the effect, default effect.n + effect.n_control. For a cluster-robust effect
    give clusters, here and in planned_n. The burn-in counts the effect's own units, and wants n to be at least
    twice burn_in.arm.
    alternative: "greater" tests effect <= null, "less" tests effect >= null. One-sided, ci_low and ci_high are
    each a one-sided bound at alpha: read the one on your side; together they are a 1 - 2 alpha interval.
    null: the effect that p_value tests, such as minus the margin of a non-inferiority test.
    burn_in: see BurnIn. Status too_few_units before, and for a ratio whose denominator is so weak that the fixed
    method gave up the normal approximation too.

    Raises ValueError for an unusable alpha, planned_n, n or alternative.

    >>> look = Effect("ok", 5000, 5000, 10.5, 10.0, 0.5, 0.1, 0.304, 0.696, 6e-7)
    >>> always = confidence_sequence(look, planned_n=20_000)
    >>> round(always.ci_low, 3), round(always.ci_high, 3), round(always.p_value, 6)
    (0.192, 0.808, 9.7e-05)
    """
    pieces = effect.n + effect.n_control if n is None else n
    if pieces < 0 or not math.isfinite(null):
        raise ValueError(f"n must not be negative and null must be a number: {pieces}, {null}")
    sides = sides_of(alternative)
    rho = tuned_rho(planned_n, alpha=alpha, sides=sides)
    settings: dict[str, Any] = {
        "sequential": "asymptotic_confidence_sequence",
        "alpha": alpha,
        "alternative": alternative,
        "null": null,
        "n": pieces,
        "planned_n": planned_n,
        "rho": rho,
    }
    if not burn_in.ready(effect) or pieces < 2 * burn_in.arm:
        return burn_in.undefined(effect, settings)
    assert effect.effect is not None and effect.std_error is not None
    z = (effect.effect - null) / effect.std_error
    return with_critical_value(
        effect,
        float(critical_value(pieces, rho=rho, alpha=alpha, sides=sides)),
        p_value=float(always_valid_p_value(-z if alternative == "less" else z, pieces, rho=rho, sides=sides)),
        settings=settings,
    )


def running_intersection(looks: Iterable[Effect]) -> list[Effect]:
    """The looks of one sequence, in order, each with the intersection of all intervals so far.

    If the effect is the same at every look, the truth is in all intervals at once with probability 1 - alpha,
    so the intersection is as valid and narrower; the p-value is the smallest so far. Where the effect drifts
    with time it is not valid, which is why it is not the default. The point estimate may lie outside.
    A look without an effect stays as it is. Once the intersection is empty (the effect has drifted, or the one
    error in 1 / alpha has happened) the status is not_estimable. Absolute and relative intervals are
    intersected separately; a look without a relative interval leaves that of the looks before untouched.

    looks: results of `confidence_sequence` with the same settings but n.

    >>> first = Effect("ok", 200, 200, 1.1, 1.0, 0.1, 0.1, -0.3, 0.5, 1.0)
    >>> second = Effect("ok", 400, 400, 1.3, 1.0, 0.3, 0.1, -0.1, 0.7, 0.2)
    >>> [(look.ci_low, look.ci_high, look.p_value) for look in running_intersection([first, second])]
    [(-0.3, 0.5, 1.0), (-0.1, 0.5, 0.2)]
    """
    low, high, p_value = -math.inf, math.inf, 1.0
    relative_low, relative_high = -math.inf, math.inf
    found: list[Effect] = []
    for look in looks:
        if look.ci_low is None or look.ci_high is None or look.p_value is None:
            found.append(look)
            continue
        low, high, p_value = max(low, look.ci_low), min(high, look.ci_high), min(p_value, look.p_value)
        settings = {**look.settings, "running_intersection": True}
        if look.relative_ci_low is not None and look.relative_ci_high is not None:
            relative_low = max(relative_low, look.relative_ci_low)
            relative_high = min(relative_high, look.relative_ci_high)
        if low > high:
            found.append(
                Effect("not_estimable", look.n, look.n_control, look.mean, look.mean_control, settings=settings)
            )
            continue
        shown = math.isfinite(relative_low) and look.relative_effect is not None and relative_low <= relative_high
        found.append(
            replace(
                look,
                ci_low=low,
                ci_high=high,
                p_value=p_value,
                relative_effect=look.relative_effect if shown else None,
                relative_ci_low=relative_low if shown else None,
                relative_ci_high=relative_high if shown else None,
                settings=settings,
            )
        )
    return found
