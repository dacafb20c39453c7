"""Where an effect may lie when the interval is found by testing every value: a set, and not always a bounded one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["bounded", "several_pieces", "two_rays", "unbounded", "empty", "not_estimable"]


@dataclass(frozen=True, slots=True)
class ConfidenceSet:
    """Values that a test at `alpha` does not reject, in units of the effect.

    pieces: intervals from low to high, None for an end at infinity. kind: "bounded", one interval; "several_pieces",
    bounded ones, or rays with an interval between; "two_rays", all but an interval in the middle (or one ray);
    "unbounded", every value; "empty", no value: the instruments contradict each other; "not_estimable".
    p_value: of no effect. in_words: the set.
    """

    kind: Kind
    pieces: tuple[tuple[float | None, float | None], ...]
    alpha: float
    p_value: float | None = None

    @property
    def in_words(self) -> str:
        level = f"{100 * (1 - self.alpha):g} %"
        if self.kind == "not_estimable":
            return "no set could be made"
        if self.kind == "empty":
            return f"no effect at all agrees with the instruments at {level}: they contradict each other"
        if self.kind == "unbounded":
            return f"every effect agrees with the data at {level}: the instruments say nothing about it"
        parts = " or ".join(_interval_in_words(*piece) for piece in self.pieces)
        tail = "" if self.kind == "bounded" else ": the instruments are too weak for an interval"
        if self.kind == "several_pieces":
            tail = ": not one interval"
        return f"{parts} at {level}{tail}"

    def contains(self, value: float) -> bool:
        """Is it in the set?"""
        return any((low is None or low <= value) and (high is None or value <= high) for low, high in self.pieces)


def _interval_in_words(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high:.4g}"
    return f"at least {low:.4g}" if high is None else f"between {low:.4g} and {high:.4g}"


def set_of(pieces: list[tuple[float, float]], alpha: float, p_value: float | None) -> ConfidenceSet:
    """Name the set that consists of `pieces`, ordered and apart, with infinite ends as infinities."""
    whole = [(None if low == -math.inf else low, None if high == math.inf else high) for low, high in pieces]
    infinite = sum(end is None for piece in whole for end in piece)
    kind: Kind
    if not whole:
        kind = "empty"
    elif whole == [(None, None)]:
        kind = "unbounded"
    elif infinite == 0:
        kind = "bounded" if len(whole) == 1 else "several_pieces"
    else:
        kind = "two_rays" if len(whole) == infinite else "several_pieces"
    return ConfidenceSet(kind, tuple(whole), alpha, p_value)


def ratio_set(
    numerator: float,
    denominator: float,
    covariance: tuple[float, float, float],
    *,
    critical_value: float,
    alpha: float,
    p_value: float | None = None,
) -> ConfidenceSet:
    """Values b for which |numerator - b denominator| is within `critical_value` of its standard errors.

    covariance: variance of the numerator, covariance of the two, variance of the denominator. After Fieller 1954 (J. R.
    Stat. Soc. B 16, 175-185); for one instrument this is the set of Anderson & Rubin 1949. The inequality is quadratic,
    so the set is exact: bounded if the denominator is significant at `alpha`, otherwise two rays or the whole line,
    never empty.

    >>> ratio_set(2.0, 1.0, (0.04, 0.0, 0.01), critical_value=1.96, alpha=0.05).in_words
    'between 1.509 and 2.651 at 95 %'
    >>> ratio_set(2.0, 0.1, (0.04, 0.0, 0.01), critical_value=1.96, alpha=0.05).kind
    'two_rays'
    """
    squared = critical_value**2
    v_numerator, between, v_denominator = covariance
    # Around the ratio itself, so that nothing large cancels.
    centre = numerator / denominator if denominator != 0 else 0.0
    rest = numerator - centre * denominator
    v_centre = v_numerator - 2 * centre * between + centre**2 * v_denominator
    between_centre = between - centre * v_denominator
    # a d**2 + 2 b d + c <= 0 for b = centre + d.
    a = denominator**2 - squared * v_denominator
    b = squared * between_centre - rest * denominator
    c = rest**2 - squared * v_centre
    discriminant = b * b - a * c
    if a == 0 and b == 0:
        pieces = [(-math.inf, math.inf)] if c <= 0 else []
    elif a == 0:
        end = centre - c / (2 * b)
        pieces = [(-math.inf, end)] if b > 0 else [(end, math.inf)]
    elif discriminant <= 0:
        pieces = [(-math.inf, math.inf)] if a < 0 else [(centre - b / a, centre - b / a)]
    else:
        # The stable form of the two roots.
        q = -(b + math.copysign(math.sqrt(discriminant), b))
        roots = sorted((centre + q / a, centre + c / q))
        pieces = [(roots[0], roots[1])] if a > 0 else [(-math.inf, roots[0]), (roots[1], math.inf)]
    return set_of(pieces, alpha, p_value)
