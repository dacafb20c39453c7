"""Does the effect differ between the levels of a declared segment, and which levels stand out?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from causeway.statistics.comparison import check_alpha
from causeway.statistics.effect import Effect, Status
from causeway.statistics.linear_hypothesis import linear_hypothesis
from causeway.statistics.multiple_testing import benjamini_hochberg, holm

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LevelDifference:
    """The effect in one level less the effect in all other levels of the segment, in the units of the effect.

    effect: in the level; effect_others: mean of the others' effects, each with the weight 1 / std_error**2.
    df: degrees of freedom of std_error, None if it is taken as known.
    p_value: two-sided; p_value_adjusted: Benjamini & Hochberg over the levels of this segment.
    """

    level: str
    effect: float
    effect_others: float
    difference: float
    std_error: float
    df: float | None
    ci_low: float
    ci_high: float
    p_value: float
    p_value_adjusted: float


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Whether the effect is the same in all levels of a segment.

    status: "ok", or why nothing was tested; then every number is None and there are no levels.
    p_value: of equal effects, by Welch's F; q, df: Cochran's statistic and its degrees of freedom; p_value_cochran: of
    q by chi-square, as if the standard errors were known.
    i_squared: share of the spread between levels that chance does not explain (Higgins & Thompson 2002), 0 to 1.
    pooled_effect, pooled_std_error: mean of the levels' effects with the weights 1 / std_error**2.
    levels: each against all others.
    p_value_qualitative: of "no level's effect has the other sign" (Gail & Simon 1985).
    reversed_levels: levels whose effect differs from zero (Holm over the levels, at alpha) with the sign opposite to
    the overall effect's. simpson: the overall effect has one sign and the effect of every level the other.
    """

    status: Status
    p_value: float | None = None
    q: float | None = None
    df: int | None = None
    p_value_cochran: float | None = None
    i_squared: float | None = None
    pooled_effect: float | None = None
    pooled_std_error: float | None = None
    levels: tuple[LevelDifference, ...] = ()
    p_value_qualitative: float | None = None
    reversed_levels: tuple[str, ...] = ()
    simpson: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SegmentFinding:
    """What a screen over segments says of one of them; p_value_adjusted is None where nothing could be tested."""

    p_value_adjusted: float | None
    found: bool
    levels_found: tuple[str, ...]


def heterogeneity(levels: Mapping[str, Effect], *, overall: Effect | None = None, alpha: float = 0.05) -> Heterogeneity:
    """Test of equal effects over the levels of a segment, and each level against all others.

    Cochran's (1954) Q = sum w (e - pooled)**2 with w = 1 / std_error**2 is chi-square if the standard errors are
    known. They are estimated, so the p-value is that of Welch's (1951) F on the effects, with each effect's own
    degrees of freedom (`settings["df"]` of the Effect, infinite if it has none). Levels hold different units, so
    their effects are independent; that is not so for overlapping segments or clusters that span levels.
    A level against the others: difference of its effect and the others' pooled one, with Satterthwaite's degrees of
    freedom.

    levels: effect by level; those without an effect are left out (`settings["left_out"]`, with their status).
    overall: effect in all units, whose sign is what levels are held against; the pooled effect where it is missing.
    Statuses: no_units (no level at all), not_estimable (fewer than two levels with an effect).

    >>> def level(effect):
    ...     bounds = {"ci_low": effect - 1, "ci_high": effect + 1, "p_value": 0.5}
    ...     return Effect("ok", 100, 100, effect=effect, std_error=0.5, **bounds)
    >>> found = heterogeneity({"new": level(3.0), "old": level(1.0)})
    >>> round(found.q, 6), found.df, round(found.p_value, 4), found.levels[0].difference
    (8.0, 1, 0.0047, 2.0)
    """
    check_alpha(alpha)
    usable = {name: found for name, found in levels.items() if found.std_error and found.effect is not None}
    settings: dict[str, Any] = {
        "alpha": alpha,
        "left_out": {name: found.status for name, found in levels.items() if name not in usable},
    }
    if len(usable) < 2:
        reason = "two levels with an effect are wanted"
        return Heterogeneity("not_estimable" if levels else "no_units", settings={**settings, "reason": reason})
    effects = np.array([found.effect for found in usable.values()], dtype=np.float64)
    errors = np.array([found.std_error for found in usable.values()], dtype=np.float64)
    dfs = np.array([float(found.settings.get("df", math.inf)) for found in usable.values()])
    k = len(usable)
    # In units of the largest standard error, which frees the squares from the outcome's scale.
    unit = float(errors.max())
    e, v = effects / unit, (errors / unit) ** 2
    test = linear_hypothesis(e.tolist(), v.tolist(), dfs.tolist(), np.column_stack([-np.ones(k - 1), np.eye(k - 1)]))
    if test is None:
        reason = "the standard errors differ by too many orders of magnitude"
        return Heterogeneity("not_estimable", settings={**settings, "reason": reason})
    weights = 1 / v
    pooled = float(weights @ e / weights.sum())
    overall_effect = pooled if overall is None or overall.effect is None else overall.effect
    z = e / np.sqrt(v)
    p_of_level = holm(dict(zip(usable, (2 * stats.t.sf(np.abs(z), dfs)).tolist(), strict=True)))
    opposite = {name: found.effect is not None and found.effect * overall_effect < 0 for name, found in usable.items()}
    return Heterogeneity(
        "ok",
        p_value=test.p_value,
        q=test.wald,
        df=k - 1,
        p_value_cochran=test.p_value_wald,
        i_squared=max(0.0, 1 - (k - 1) / test.wald) if test.wald > 0 else 0.0,
        pooled_effect=unit * pooled,
        pooled_std_error=unit / math.sqrt(float(weights.sum())),
        levels=_against_others(list(usable), e, v, dfs, unit=unit, alpha=alpha),
        p_value_qualitative=_gail_simon(z),
        reversed_levels=tuple(name for name in usable if opposite[name] and p_of_level[name] <= alpha),
        simpson=all(opposite.values()),
        settings={**settings, "df_denominator": test.df_denominator if math.isfinite(test.df_denominator) else None},
    )


def screen_segments(segments: Mapping[str, Heterogeneity], *, q: float = 0.05) -> dict[str, SegmentFinding]:
    """Which of the declared segments show different effects, with the false discovery rate at q.

    Benjamini & Hochberg over the segments. Within a segment that was found, levels are tested against q R / m with R
    of m segments found, which keeps the expected share of false levels, averaged over the segments found, at q
    (Benjamini & Bogomolov 2014). A segment that could not be tested counts in m.
    """
    check_alpha(q)
    adjusted = benjamini_hochberg({name: segment.p_value for name, segment in segments.items()})
    found = {name for name, p in adjusted.items() if p is not None and p <= q}
    level_q = q * len(found) / max(len(segments), 1)
    return {
        name: SegmentFinding(
            adjusted[name],
            found=name in found,
            levels_found=tuple(
                level.level for level in segment.levels if name in found and level.p_value_adjusted <= level_q
            ),
        )
        for name, segment in segments.items()
    }


def _against_others(
    names: list[str], e: Array, v: Array, dfs: Array, *, unit: float, alpha: float
) -> tuple[LevelDifference, ...]:
    """Each level against the pooled others; effects, variances and degrees of freedom by level, in `unit`."""
    # Row i: the weights of the others, and of level i itself 0.
    weights = np.where(np.eye(len(e), dtype=bool), 0.0, 1 / v)
    total = weights.sum(axis=1)
    share = weights / total[:, None]
    others = share @ e
    variance = v + 1 / total
    # Satterthwaite over the level itself and each of the others, in shares of the variance.
    parts = (share * share * v + np.diag(v)) / variance[:, None]
    inverse_df = (parts * parts / dfs).sum(axis=1)
    df = np.divide(1.0, inverse_df, out=np.full(len(e), np.inf), where=inverse_df > 0)
    difference, std_error = e - others, np.sqrt(variance)
    half_width = stats.t.isf(alpha / 2, df) * std_error
    p_values = (2 * stats.t.sf(np.abs(difference) / std_error, df)).tolist()
    adjusted = benjamini_hochberg(dict(zip(names, p_values, strict=True)))
    return tuple(
        LevelDifference(
            level=name,
            effect=unit * float(e[i]),
            effect_others=unit * float(others[i]),
            difference=unit * float(difference[i]),
            std_error=unit * float(std_error[i]),
            df=float(df[i]) if np.isfinite(df[i]) else None,
            ci_low=unit * float(difference[i] - half_width[i]),
            ci_high=unit * float(difference[i] + half_width[i]),
            p_value=p_values[i],
            p_value_adjusted=adjusted[name] or 0.0,
        )
        for i, name in enumerate(names)
    )


def _gail_simon(z: Array) -> float:
    """p-value of "no qualitative interaction" from the standardised effects (Gail & Simon 1985).

    The smaller of the sums of squares of the positive and of the negative z, against the mixture of chi-squares with
    binomial weights; 1 where all have one sign.
    """
    smaller = min(float(np.sum(z[z > 0] ** 2)), float(np.sum(z[z < 0] ** 2)))
    if smaller == 0:
        return 1.0
    h = np.arange(1, len(z))
    return float(np.sum(stats.binom.pmf(h, len(z) - 1, 0.5) * stats.chi2.sf(smaller, h)))
