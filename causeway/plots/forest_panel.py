"""The effects on one metric above one another, on one axis, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from causeway.plots.axis_ticks import axis_ticks
from causeway.plots.svg import Drawing, breadth, fitted

LEFT, RIGHT = 3.0, 97.0
"""Where the axis begins and ends, in per cent of the width: a marker at either end stays inside."""

LONGEST_LINE = 40
"""Letters of the usual breadth that fit beside each other on a phone."""

MAX_ROWS = 60


@dataclass(frozen=True, slots=True)
class PanelRow:
    """One comparison: its name, the words for its numbers, and the numbers where there are any.

    `words` says the effect with its interval, or why there is none. `kind` is "good", "bad" or "open" (not separated
    from no effect). `is_chosen` puts a shade behind it.
    """

    label: str
    words: str
    effect: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    kind: str = "open"
    is_chosen: bool = False


def forest_panel(
    rows: Sequence[PanelRow],
    *,
    title: str,
    tick: Callable[[float], str],
    margin: float | None = None,
    minimum: float | None = None,
) -> Drawing:
    """Effects with their intervals around the line of no effect, the first row on top.

    `margin` is the effect at the non-inferiority margin (dashed), `minimum` that at the minimum effect of interest
    (dotted), both in the units of the axis and with their sign. `tick` words a number of the axis. At most sixty rows
    are drawn; the description says so.

    >>> forest_panel([PanelRow("b", "+1 [0, 2]", 1.0, 0.0, 2.0)], title="visits", tick=str).markup().count("mark open")
    1
    """
    shown = rows[:MAX_ROWS]
    drawn = [
        (row.effect, row.ci_low, row.ci_high)
        for row in shown
        if row.effect is not None and row.ci_low is not None and row.ci_high is not None
    ]
    lines = [bound for bound in (margin, minimum) if bound is not None]
    values = [0.0, *lines, *(value for numbers in drawn for value in numbers)]
    low, high = min(values), max(values)
    span = high - low or 1.0
    low, high = low - 0.03 * span, high + 0.03 * span

    def across(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (value - low) / (high - low)

    compact = all(breadth(fitted(row.label, 30)) + breadth(row.words) <= LONGEST_LINE for row in shown)
    step = 42 if compact else 60
    bottom = step * len(shown) + 6
    drawing = Drawing(bottom + (24 if drawn else 2), _description(title, shown, len(rows)))
    for position, row in enumerate(shown):
        if row.is_chosen:
            drawing.bar(-0.8, step * position, 101.6, step, "chosen")
    if drawn:
        for value in axis_ticks(low, high, 4):
            drawing.line(across(value), 2, across(value), bottom, "rule")
        if margin is not None:
            drawing.line(across(margin), 2, across(margin), bottom, "margin")
        if minimum is not None:
            drawing.line(across(minimum), 2, across(minimum), bottom, "minimum")
        drawing.line(across(0.0), 2, across(0.0), bottom, "zero")
    for position, row in enumerate(shown):
        top = step * position
        drawing.text(0, top + 16, fitted(row.label, 30 if compact else LONGEST_LINE), "name", hint=row.label)
        if compact:
            drawing.text(100, top + 16, row.words, "number", anchor="end")
        else:
            drawing.text(0, top + 33, fitted(row.words, LONGEST_LINE), "number")
        if row.effect is None or row.ci_low is None or row.ci_high is None:
            continue
        level = top + step - 12
        drawing.line(across(row.ci_low), level, across(row.ci_high), level, f"span {row.kind}")
        drawing.mark(across(row.effect), level, row.kind)
    if drawn:
        for value in axis_ticks(low, high, 4):
            place, words = across(value), tick(value)
            # Half of the words is about this many per cent of a phone's width.
            half = 1.3 * len(words)
            anchor = "start" if place < half else "end" if place > 100 - half else "middle"
            drawing.text(place, bottom + 16, words, "quiet", anchor=anchor)
    return drawing


def _description(title: str, shown: Sequence[PanelRow], total: int) -> str:
    parts = [f"{row.label}: {row.words}" for row in shown]
    more = f". The first {len(shown)} of {total} are drawn" if total > len(shown) else ""
    return f"Forest plot of {title}. {'; '.join(parts) if parts else 'There is nothing to draw'}{more}."
