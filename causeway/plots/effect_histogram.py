"""How the predicted effects of units spread around the average effect, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from causeway.plots.axis_ticks import axis_ticks
from causeway.plots.svg import Drawing

LEFT, RIGHT, TOP, BOTTOM = 2.0, 98.0, 26.0, 186.0


def effect_histogram(
    edges: Sequence[float],
    counts: Sequence[float],
    *,
    description: str,
    tick: Callable[[float], str],
    average: float | None = None,
    ci_low: float | None = None,
    ci_high: float | None = None,
) -> Drawing:
    """Bars of the units by their predicted effect, a stroke at the average effect within the band of its interval.

    Bars below zero have the colour and the words of the other side. ValueError unless there is one edge more than
    counts.

    >>> effect_histogram([-1.0, 0.0, 1.0], [3, 5], description="words", tick=str, average=0.2).markup().count("bar bad")
    1
    """
    if len(edges) != len(counts) + 1 or not counts:
        raise ValueError("a histogram has one edge more than counts, and one count at least")
    known = [bound for bound in (average, ci_low, ci_high) if bound is not None]
    low, high = min(0.0, edges[0], *known), max(0.0, edges[-1], *known)
    pad = 0.02 * (high - low) or 1.0
    low, high = low - pad, high + pad
    drawing = Drawing(int(BOTTOM) + 40, description)

    def across(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (value - low) / (high - low)

    ticks = axis_ticks(low, high, 4)
    for value in ticks:
        drawing.line(across(value), TOP, across(value), BOTTOM, "rule")
    if ci_low is not None and ci_high is not None:
        drawing.bar(across(ci_low), TOP, across(ci_high) - across(ci_low), BOTTOM - TOP, "interval")
    tallest = max([1e-12, *counts])
    for at, count in enumerate(counts):
        if count <= 0:
            continue
        left, right = across(edges[at]), across(edges[at + 1])
        height = max(0.8, (BOTTOM - TOP) * count / tallest)
        below = edges[at] + edges[at + 1] < 0
        drawing.bar(left, BOTTOM - height, 0.92 * (right - left), height, "bar bad" if below else "bar")
    drawing.line(across(0.0), TOP, across(0.0), BOTTOM, "zero")
    drawing.line(LEFT, BOTTOM, RIGHT, BOTTOM, "zero")
    if average is not None:
        place = across(average)
        drawing.line(place, TOP - 6, place, BOTTOM, "tick")
        anchor = "start" if place < 20 else "end" if place > 80 else "middle"
        drawing.text(place, TOP - 10, "average", "name", anchor=anchor)
    for value in ticks:
        place, words = across(value), tick(value)
        half = 1.3 * len(words)
        anchor = "start" if place < half else "end" if place > 100 - half else "middle"
        drawing.text(place, BOTTOM + 17, words, "quiet", anchor=anchor)
    drawing.text(50, BOTTOM + 34, "predicted effect of a unit", "quiet", anchor="middle")
    return drawing
