"""What is gained by the share of units that is treated, against treating as many at random, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from causeway.plots.axis_ticks import axis_ticks
from causeway.plots.svg import Drawing

LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 13.0, 97.0, 26.0, 226.0, 266


@dataclass(frozen=True, slots=True)
class SharePoint:
    """At `share` of the units (0 to 1): what it is worth by prediction, with an interval where there is one, and at
    random.
    """

    share: float
    value: float
    at_random: float
    low: float | None = None
    high: float | None = None


def share_curves(
    points: Sequence[SharePoint],
    *,
    description: str,
    tick: Callable[[float], str],
    chosen: tuple[float, float] | None = None,
) -> Drawing:
    """The curve with its band, a dashed line for as many at random, a ring at the `chosen` share and value.

    >>> points = [SharePoint(0.0, 0.0, 0.0), SharePoint(1.0, 2.0, 2.0)]
    >>> share_curves(points, description="words", tick=str).markup().count('class="curve')
    2
    """
    drawing = Drawing(HEIGHT, description)
    if not points:
        drawing.text(50, HEIGHT / 2, "there is nothing to draw", "quiet", anchor="middle")
        return drawing
    values = [0.0] + [value for point in points for value in (point.value, point.at_random)]
    values += [bound for point in points for bound in (point.low, point.high) if bound is not None]
    values += [chosen[1]] if chosen else []
    pad = 0.06 * (max(values) - min(values)) or 1.0
    low, high = min(values) - pad, max(values) + pad

    def down(value: float) -> float:
        return TOP + (BOTTOM - TOP) * (high - value) / (high - low)

    def across(share: float) -> float:
        return LEFT + (RIGHT - LEFT) * share

    def stretched(of: Callable[[SharePoint], float]) -> list[tuple[float, float]]:
        return [(1000 * point.share, 1000 * (high - of(point)) / (high - low)) for point in points]

    ticks = axis_ticks(low, high, 5)
    for value in ticks:
        drawing.line(0, down(value), 100, down(value), "zero" if value == 0 else "rule")
    place = (LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP)
    if any(point.low is not None and point.high is not None for point in points):
        lower = stretched(lambda point: point.value if point.low is None else point.low)
        upper = stretched(lambda point: point.value if point.high is None else point.high)
        drawing.curves(*place, bands=[[*upper, *reversed(lower)]])
    drawing.curves(*place, curves=[stretched(lambda point: point.at_random)], kind="chance")
    drawing.curves(*place, curves=[stretched(lambda point: point.value)])
    if chosen is not None:
        drawing.mark(across(chosen[0]), down(chosen[1]), "open")
    drawing.line(LEFT, 9, LEFT + 6, 9, "span good")
    drawing.text(LEFT + 6, 13, "by predicted effect", "quiet", shift=8)
    drawing.line(58, 9, 64, 9, "dashed")
    drawing.text(64, 13, "at random", "quiet", shift=8)
    for value in ticks:
        drawing.text(0, down(value) - 3, tick(value), "quiet")
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        drawing.text(across(share), BOTTOM + 17, f"{100 * share:.0f} %", "quiet", anchor=anchor)
    drawing.text(across(0.5), BOTTOM + 35, "share of the units that is treated", "quiet", anchor="middle")
    return drawing
