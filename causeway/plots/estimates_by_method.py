"""What each method makes of the same question, each beside whose effect it is, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from causeway.plots.forest_panel import PanelRow, forest_panel
from causeway.plots.svg import Drawing


@dataclass(frozen=True, slots=True)
class MethodRow:
    """A method's answer to the question about `target`: ATE, ATT, ATO and so on.

    `words` says the effect with its interval, or why there is none; then there are no numbers either.
    """

    method: str
    target: str
    words: str
    effect: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    is_headline: bool = False


def estimates_by_method(rows: Sequence[MethodRow], *, title: str, tick: Callable[[float], str]) -> Drawing:
    """The headline first, marked in words and by a shade; then those with a number, then those without one.

    A disc is an interval without zero, a ring one with it: neither is good or bad here, where nobody said whether more
    is better.

    >>> rows = [MethodRow("aipw", "ATE", "+1 [0, 2]", 1.0, 0.5, 2.0), MethodRow("matching", "ATE", "too few units")]
    >>> drawn = estimates_by_method(rows, title="weight", tick=str).markup()
    >>> drawn.count("<circle"), "too few units" in drawn
    (1, True)
    """
    ordered = sorted(rows, key=lambda row: (not row.is_headline, row.effect is None))
    return forest_panel([_panel_row(row) for row in ordered], title=title, tick=tick)


def _panel_row(row: MethodRow) -> PanelRow:
    label = f"{row.method} · {row.target}"
    if row.is_headline:
        label = f"{label} · headline"
    if row.effect is None or row.ci_low is None or row.ci_high is None:
        return PanelRow(label, row.words, is_chosen=row.is_headline)
    kind = "good" if row.ci_low > 0 or row.ci_high < 0 else "open"
    return PanelRow(label, row.words, row.effect, row.ci_low, row.ci_high, kind, row.is_headline)
