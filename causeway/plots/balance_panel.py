"""Balance of the confounders before and after adjustment (Love 2002), as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from causeway.plots.axis_ticks import axis_ticks
from causeway.plots.svg import Drawing, fitted

LEFT, RIGHT = 46.0, 97.0
STEP, TOP, LONGEST_NAME = 24, 22, 17
MAX_ROWS = 40


@dataclass(frozen=True, slots=True)
class Difference:
    """Standardised mean differences of one covariate, absolute; None where it does not vary."""

    covariate: str
    before: float | None
    after: float | None = None


def balance_panel(
    differences: Sequence[Difference], *, title: str, tick: Callable[[float], str], limit: float = 0.1
) -> Drawing:
    """Each covariate's difference before adjustment, a ring, and after it: a disc up to the limit, a diamond beyond.

    The largest before adjustment on top; at most forty are drawn, the description says so.

    >>> drawn = balance_panel([Difference("age", 0.4, 0.02), Difference("sex", 0.2, 0.3)], title="t", tick=str).markup()
    >>> [drawn.count(f"mark {kind}") for kind in ("open", "good", "bad")]
    [3, 2, 1]
    """
    known = [each for each in differences if each.before is not None or each.after is not None]
    shown = sorted(known, key=lambda each: (-max(each.before or 0.0, each.after or 0.0), each.covariate))[:MAX_ROWS]
    values = [value for each in shown for value in (each.before, each.after) if value is not None]
    high = 1.05 * max([*values, 2 * limit])
    bottom = TOP + STEP * max(1, len(shown))
    beyond = sum((each.after or 0.0) > limit for each in known)
    more = f" The {len(shown)} largest of {len(known)} are drawn." if len(known) > len(shown) else ""
    drawing = Drawing(
        bottom + 24,
        f"Balance of {title}: standardised mean differences before and after adjustment. {beyond} of {len(known)} are"
        f" beyond {tick(limit)} after it.{more}",
    )

    def across(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * value / high

    drawing.bar(across(0), TOP, across(limit) - across(0), bottom - TOP, "chosen")
    # The legend is one line: rings were before, filled marks are after.
    drawing.mark(2, 9, "open")
    drawing.text(2, 13, "before", "quiet", shift=10)
    drawing.mark(24, 9, "good")
    drawing.text(24, 13, "after", "quiet", shift=10)
    ticks = axis_ticks(0.0, high, 4)
    for value in ticks:
        drawing.line(across(value), TOP, across(value), bottom, "zero" if value == 0 else "rule")
    for position, each in enumerate(shown):
        level = TOP + STEP * position + STEP / 2
        drawing.text(0, level + 4, fitted(each.covariate, LONGEST_NAME), "name", hint=each.covariate)
        if each.before is not None and each.after is not None:
            drawing.line(across(each.before), level, across(each.after), level, "rule")
        if each.before is not None:
            drawing.mark(across(each.before), level, "open")
        if each.after is not None:
            drawing.mark(across(each.after), level, "bad" if each.after > limit else "good")
    if not shown:
        drawing.text(0, TOP + 16, "no covariate varies", "quiet")
    for value in ticks:
        drawing.text(across(value), bottom + 16, tick(value), "quiet", anchor="middle")
    return drawing
