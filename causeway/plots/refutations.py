"""Attempts to break an estimate, each with the effect that it came to, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from causeway.plots.axis_ticks import axis_ticks
from causeway.plots.svg import Drawing, breadth, fitted

LEFT, RIGHT = 3.0, 97.0
LONGEST_LINE = 40
STEP = 42


@dataclass(frozen=True, slots=True)
class Attempt:
    """`problem_found` is None where it could not be carried out; `words` says what came of it."""

    name: str
    words: str
    problem_found: bool | None
    new_effect: float | None = None


def refutations_panel(
    attempts: Sequence[Attempt],
    *,
    title: str,
    tick: Callable[[float], str],
    effect: float | None = None,
    ci_low: float | None = None,
    ci_high: float | None = None,
) -> Drawing:
    """Each attempt's new effect against the estimate, the line within the band of its interval, and against zero.

    A disc: no problem found; a diamond: a problem. An attempt without a number is a line of words. What a new effect
    should be depends on the attempt: none where the treatment was made up, the estimate where the data were varied.

    >>> drawn = refutations_panel([Attempt("placebo", "problem found", True, 2.0)], title="t", tick=str, effect=1.0)
    >>> "mark bad" in drawn.markup()
    True
    """
    bounds = [bound for bound in (effect, ci_low, ci_high) if bound is not None]
    found = [attempt.new_effect for attempt in attempts if attempt.new_effect is not None]
    values = [0.0, *bounds, *found]
    low, high = min(values), max(values)
    pad = 0.04 * (high - low) or 1.0
    low, high = low - pad, high + pad

    def across(value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (value - low) / (high - low)

    has_axis = len(values) > 1
    bottom = STEP * len(attempts) + 6
    spoken = "; ".join(f"{attempt.name}: {attempt.words}" for attempt in attempts)
    drawing = Drawing(bottom + (24 if has_axis else 2), f"Attempts to refute {title}. {spoken}.")
    ticks = axis_ticks(low, high, 4) if has_axis else ()
    if has_axis:
        if ci_low is not None and ci_high is not None:
            drawing.bar(across(ci_low), 2, across(ci_high) - across(ci_low), bottom - 2, "interval")
        for value in ticks:
            drawing.line(across(value), 2, across(value), bottom, "rule")
        drawing.line(across(0.0), 2, across(0.0), bottom, "zero")
        if effect is not None:
            drawing.line(across(effect), 2, across(effect), bottom, "minimum")
    for position, attempt in enumerate(attempts):
        top = STEP * position
        room = max(8.0, LONGEST_LINE - breadth(attempt.words) - 1)
        drawing.text(0, top + 16, fitted(attempt.name, room), "name", hint=attempt.name)
        drawing.text(100, top + 16, fitted(attempt.words, LONGEST_LINE - 8), "number", anchor="end")
        if attempt.new_effect is not None:
            kind = {True: "bad", False: "good", None: "open"}[attempt.problem_found]
            drawing.mark(across(attempt.new_effect), top + STEP - 12, kind)
    for value in ticks:
        place, words = across(value), tick(value)
        half = 1.3 * len(words)
        anchor = "start" if place < half else "end" if place > 100 - half else "middle"
        drawing.text(place, bottom + 16, words, "quiet", anchor=anchor)
    return drawing
