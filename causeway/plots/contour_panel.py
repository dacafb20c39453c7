"""What would be left of the effect, by how strong something unmeasured is, as SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from causeway.plots.svg import Drawing, fitted

LEFT, RIGHT, TOP, BOTTOM, HEIGHT = 11.0, 84.0, 30.0, 270.0, 312
LEFT_OVER = (0.75, 0.5, 0.25, 0.0)
POINTS = 60


@dataclass(frozen=True, slots=True)
class Known:
    """Something observed whose strength is known: shares in [0, 1] of the treatment and of the outcome."""

    name: str
    treatment: float
    outcome: float


def contour_panel(
    *,
    effect: float,
    null: float,
    scale: float,
    most_treatment: float,
    most_outcome: float,
    description: str,
    tick: Callable[[float], str],
    known: Sequence[Known] = (),
    robustness_value: float | None = None,
) -> Drawing:
    """Lines along which three quarters, half, a quarter and nothing is left of the effect; beyond the last, a shade.

    The bias is at most scale sqrt(y d / (1 - d)) with shares y of the outcome and d of the treatment (Cinelli & Hazlett
    2020, J. R. Statist. Soc. B 82, 39-67, eq. 14; Chernozhukov et al. 2022, NBER 30302, theorem 2), so each line is
    y = (lost / scale)^2 (1 - d) / d. Rings are what was observed; the diamond on the diagonal is the robustness value.
    ValueError for a scale or an axis that is not positive.
    """
    if not (scale > 0 and 0 < most_treatment < 1 and 0 < most_outcome <= 1):
        raise ValueError("a contour needs a positive scale and axes between zero and one")
    drawing = Drawing(HEIGHT, description)

    def across(treatment: float) -> float:
        return LEFT + (RIGHT - LEFT) * treatment / most_treatment

    def down(outcome: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * outcome / most_outcome

    place = (LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP)
    for share in (0.0, 0.5, 1.0):
        drawing.line(LEFT, down(share * most_outcome), RIGHT, down(share * most_outcome), "rule")
        drawing.line(across(share * most_treatment), TOP, across(share * most_treatment), BOTTOM, "rule")
    labels: list[tuple[float, str, str]] = []
    for left in LEFT_OVER:
        needed = ((1 - left) * (effect - null) / scale) ** 2
        line = _line(needed, most_treatment, most_outcome)
        if not line:
            continue
        if left == 0:
            drawing.curves(*place, bands=[[*line, (1000.0, 0.0)]], kind="lost")
        drawing.curves(*place, curves=[line], kind="nothing" if left == 0 else "level")
        level = down(needed * (1 - most_treatment) / most_treatment) + 4
        if all(abs(level - other) >= 15 for other, _, _ in labels):
            labels.append((level, tick(null + left * (effect - null)), "name" if left == 0 else "quiet"))
    taken: list[tuple[float, float]] = []
    for each in sorted(known, key=lambda one: -math.sqrt(one.outcome * one.treatment)):
        if each.treatment > most_treatment or each.outcome > most_outcome:
            continue
        x, y = across(each.treatment), down(each.outcome)
        drawing.mark(x, y, "open")
        # The names stand where they cover nobody else's; all of them are in the table.
        if x < 55 and all(abs(y - other) >= 16 for _, other in taken):
            taken.append((x, y))
            drawing.text(x, y - 3, fitted(each.name, 16), "", hint=each.name, shift=9)
    if robustness_value is not None and 0 < robustness_value <= min(most_treatment, most_outcome):
        drawing.mark(across(robustness_value), down(robustness_value), "bad")
    for level, text, kind in labels:
        drawing.text(RIGHT + 1.5, level, text, kind)
    drawing.text(0, 13, "share of what is left of the outcome", "quiet")
    for share in (0.0, 0.5, 1.0):
        drawing.text(0, down(share * most_outcome) + (0 if share == 0 else 4), _percent(share * most_outcome), "quiet")
        anchor = "middle" if share else "start"
        drawing.text(
            across(share * most_treatment), BOTTOM + 17, _percent(share * most_treatment), "quiet", anchor=anchor
        )
    drawing.text(LEFT, BOTTOM + 35, "share of what is left of the treatment", "quiet")
    return drawing


def _line(needed: float, most_treatment: float, most_outcome: float) -> list[tuple[float, float]]:
    """Points of y = needed (1 - d) / d in the picture, of 0 to 1000 both ways; none where all is outside."""
    # Where the line enters from above.
    first = needed / (needed + most_outcome)
    if not 0 < first < most_treatment:
        return []
    steps = [first + (most_treatment - first) * at / POINTS for at in range(POINTS + 1)]
    return [(1000 * d / most_treatment, 1000 * (1 - needed * (1 - d) / d / most_outcome)) for d in steps]


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
