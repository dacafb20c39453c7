"""The same effect, judged by another critical value: the last step of every sequential method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from causeway.statistics.effect import Effect
from causeway.statistics.relative_effect import relative_effect

Sides = Literal[1, 2]
Alternative = Literal["two-sided", "greater", "less"]
"""What is tested: "greater" doubts effect <= null, "less" doubts effect >= null."""


def sides_of(alternative: Alternative) -> Sides:
    """How many sides share alpha. Raises ValueError for an unknown alternative."""
    if alternative not in get_args(Alternative):
        raise ValueError(f"alternative must be one of {', '.join(get_args(Alternative))}: {alternative}")
    return 2 if alternative == "two-sided" else 1


def with_critical_value(
    effect: Effect, critical_value: float, *, p_value: float, settings: Mapping[str, Any]
) -> Effect:
    """The effect with the interval effect +- critical_value * std_error, and Fieller's relative one.

    effect: status "ok"; its estimate, standard error, means and counts stay as they are.
    critical_value: in standard errors, above 0. p_value: of the method that chose it.
    settings: added to those of the effect; the fixed-horizon ones that no longer hold (df) are dropped.
    The relative interval needs `settings["variance_of_means"]` as `compare_means` leaves it; without it the
    relative numbers are None and relative_status says "variances_unknown".

    Raises ValueError where there is no effect to judge.

    >>> from causeway.statistics import Moments, difference_in_means
    >>> fixed = difference_in_means(Moments.from_arrays([4.0, 5.0, 6.0]), Moments.from_arrays([1.0, 2.0, 3.0]))
    >>> wider = with_critical_value(fixed, 3.0, p_value=0.2, settings={"method": "example"})
    >>> wider.effect, round(wider.ci_low, 4), round(wider.ci_high, 4), wider.p_value
    (3.0, 0.5505, 5.4495, 0.2)
    """
    if effect.effect is None or effect.std_error is None:
        raise ValueError(f"there is no effect to judge: {effect}")
    half_width = critical_value * effect.std_error
    kept = {key: value for key, value in effect.settings.items() if key != "df"}
    variances = effect.settings.get("variance_of_means")
    relative_status = "variances_unknown"
    relative: tuple[float | None, float | None, float | None] = (None, None, None)
    if variances is not None and effect.mean is not None and effect.mean_control is not None:
        found = relative_effect(
            effect.mean,
            effect.mean_control,
            variance=variances["mean"],
            variance_control=variances["mean_control"],
            covariance=variances["covariance"],
            critical_value=critical_value,
        )
        relative_status, relative = found.status, (found.effect, found.ci_low, found.ci_high)
    return Effect(
        "ok",
        effect.n,
        effect.n_control,
        effect.mean,
        effect.mean_control,
        effect.effect,
        effect.std_error,
        effect.effect - half_width,
        effect.effect + half_width,
        p_value,
        *relative,
        settings={**kept, **settings, "critical_value": critical_value, "relative_status": relative_status},
    )
