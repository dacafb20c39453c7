"""How an effect and its confidence sequence went, look by look, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from causeway.plots.axis_ticks import axis_ticks
from causeway.plots.svg import Drawing

HEIGHT, TOP, BOTTOM = 230, 8, 200
LEFT, RIGHT, FIXED = 1.0, 92.0, 96.0
"""In per cent of the width: the curves from LEFT to RIGHT, the interval of the last look at FIXED."""

WIDEST = 5.0
"""Bands more than this many times as wide as the last one may leave the picture: those of the first few units would
flatten all the rest."""


@dataclass(frozen=True, slots=True)
class Look:
    """The effect up to and including a day with its always-valid interval; without numbers there was none to give."""

    day: date
    effect: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None


@dataclass(frozen=True, slots=True)
class FixedInterval:
    """The fixed-horizon estimate at the last look."""

    effect: float
    ci_low: float
    ci_high: float


def effect_over_time(
    looks: Sequence[Look],
    *,
    description: str,
    tick: Callable[[float], str],
    fixed: FixedInterval | None = None,
    margin: float | None = None,
    minimum: float | None = None,
) -> Drawing:
    """A line for the effect, a band for its confidence sequence, and the fixed-horizon interval at the right.

    `looks` ascend by day; days without numbers leave a gap. The axis is that of the later looks: wide first bands are
    cut (see `leaves_the_picture`). `margin` and `minimum` as in `forest_panel`; `tick` words a number of the axis.
    Raises ValueError for looks out of order.

    >>> looks = [Look(date(2024, 1, day), 1.0, 1.0 - 1 / day, 1.0 + 1 / day) for day in range(1, 9)]
    >>> effect_over_time(looks, description="visits", tick=str).markup().count("band")
    1
    """
    days = [look.day for look in looks]
    if any(later <= earlier for earlier, later in pairwise(days)):
        raise ValueError("the looks must ascend by day")
    drawing = Drawing(HEIGHT, description)
    limits = _limits(looks, fixed, [bound for bound in (margin, minimum) if bound is not None])
    if limits is None:
        drawing.text(50, HEIGHT / 2, "no look has an effect to draw", "quiet", anchor="middle")
        return drawing
    low, high = limits

    def down(value: float) -> float:
        return TOP + (BOTTOM - TOP) * (high - value) / (high - low)

    first, length = days[0].toordinal(), max(1, days[-1].toordinal() - days[0].toordinal())

    def along(day: date) -> float:
        return 1000 * (day.toordinal() - first) / length

    ticks = axis_ticks(low, high, 5)
    for value in ticks:
        drawing.line(0, down(value), 100, down(value), "zero" if value == 0 else "rule")
    if margin is not None:
        drawing.line(0, down(margin), 100, down(margin), "margin")
    if minimum is not None:
        drawing.line(0, down(minimum), 100, down(minimum), "minimum")
    bands, curves = [], []
    for run in _runs(looks):
        # A look between two days without one would be a point: half a day on either side shows it.
        side = 500 / length if len(run) == 1 else 0.0
        upper = [(along(look.day), _stretched(look_high, low, high)) for look, _, _, look_high in run]
        lower = [(along(look.day), _stretched(look_low, low, high)) for look, _, look_low, _ in run]
        middle = [(along(look.day), _stretched(effect, low, high)) for look, effect, _, _ in run]
        if side:
            upper, lower, middle = (
                [(points[0][0] - side, points[0][1]), (points[0][0] + side, points[0][1])]
                for points in (upper, lower, middle)
            )
        bands.append([*upper, *reversed(lower)])
        curves.append(middle)
    drawing.curves(LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP, bands=bands, curves=curves)
    if fixed is not None:
        drawing.line(FIXED, down(fixed.ci_low), FIXED, down(fixed.ci_high), "span tick")
        for bound in (fixed.ci_low, fixed.ci_high):
            drawing.line(FIXED - 1.2, down(bound), FIXED + 1.2, down(bound), "tick")
        drawing.mark(FIXED, down(fixed.effect), "open")
    for value in ticks:
        drawing.text(0, down(value) - 3, tick(value), "quiet")
    drawing.text(LEFT, HEIGHT - 8, day_in_words(days[0]), "quiet")
    if len(days) > 1:
        drawing.text(RIGHT, HEIGHT - 8, day_in_words(days[-1]), "quiet", anchor="end")
    return drawing


def leaves_the_picture(looks: Sequence[Look], fixed: FixedInterval | None = None) -> bool:
    """Whether the band of some look is cut at the edge."""
    limits = _limits(looks, fixed, [])
    return limits is not None and any(
        look_low < limits[0] or look_high > limits[1] for run in _runs(looks) for _, _, look_low, look_high in run
    )


def day_in_words(day: date) -> str:
    """The day as it is said.

    >>> day_in_words(date(2024, 3, 1))
    '1 Mar 2024'
    """
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day.day} {months[day.month - 1]} {day.year}"


_Run = list[tuple[Look, float, float, float]]


def _runs(looks: Sequence[Look]) -> Iterator[_Run]:
    """Looks with numbers that follow each other without one between them that has none."""
    run: _Run = []
    for look in looks:
        if look.effect is None or look.ci_low is None or look.ci_high is None:
            if run:
                yield run
            run = []
        else:
            run.append((look, look.effect, look.ci_low, look.ci_high))
    if run:
        yield run


def _limits(looks: Sequence[Look], fixed: FixedInterval | None, lines: Sequence[float]) -> tuple[float, float] | None:
    numbers = [each for run in _runs(looks) for each in run]
    if not numbers:
        return None
    last = numbers[-1][3] - numbers[-1][2]
    kept = [(low, high) for _, _, low, high in numbers if high - low <= WIDEST * last]
    values = [0.0, *lines, *(bound for pair in kept for bound in pair)]
    if fixed is not None:
        values += [fixed.ci_low, fixed.ci_high]
    low, high = min(values), max(values)
    pad = 0.06 * (high - low) or 1.0
    return low - pad, high + pad


def _stretched(value: float, low: float, high: float) -> float:
    # Far outside, browsers lose precision; the place is cut off there anyway.
    return min(3000.0, max(-2000.0, 1000 * (high - value) / (high - low)))
