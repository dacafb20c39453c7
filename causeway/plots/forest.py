"""Effects with their intervals, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causeway.plots.canvas import (
    BLUE,
    GREY,
    INK,
    VERMILION,
    add_titles,
    new_figure,
    say_in_row,
    shorten,
    to_png,
    with_decimals,
)

MAX_ROWS = 40


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One effect and its interval, in units of the axis; a status other than "ok" has no numbers to show."""

    label: str
    effect: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    status: str = "ok"


def forest_plot(
    rows: Sequence[ForestRow], *, title: str, unit: str, subtitle: str = "", reference: float = 0.0
) -> bytes:
    """PNG of effects against the reference line (no effect), in the order given, the first on top.

    A row without numbers is hatched and says its status. Intervals that exclude the reference are filled,
    the others hollow: colour is never the only sign. At most forty rows are drawn; the subtitle says when
    there are more.
    """
    shown = list(rows[:MAX_ROWS])
    note = f"first {MAX_ROWS} of {len(rows)} rows" if len(rows) > MAX_ROWS else ""
    figure, axes = new_figure(900, 130 + 34 * max(1, len(shown)))
    add_titles(axes, title, "; ".join(part for part in (subtitle, note) if part))
    axes.set_xlim(*_limits(shown, reference))
    axes.axvline(reference, color=GREY, linewidth=1, zorder=1)
    for position, row in enumerate(shown):
        if row.status != "ok" or row.effect is None or row.ci_low is None or row.ci_high is None:
            say_in_row(axes, position, row.status.replace("_", " ") if row.status != "ok" else "no number")
            continue
        half_width = (row.ci_high - row.ci_low) / 2
        number, low, high = (with_decimals(value, half_width) for value in (row.effect, row.ci_low, row.ci_high))
        clear = row.ci_low > reference or row.ci_high < reference
        colour = BLUE if row.effect >= reference else VERMILION
        axes.plot([row.ci_low, row.ci_high], [position, position], color=colour, linewidth=2, zorder=2)
        axes.plot(
            row.effect, position, marker="o", markersize=8, markeredgewidth=2, zorder=3,
            color=colour, markerfacecolor=colour if clear else "white",
        )  # fmt: skip
        axes.annotate(
            f"{number}  [{low}, {high}]",
            (1.02, position), xycoords=("axes fraction", "data"), va="center", fontsize=10, color=INK,
            family="DejaVu Sans Mono", annotation_clip=False,
        )  # fmt: skip
    axes.set_ylim(max(1, len(shown)) - 0.5, -0.5)
    axes.set_yticks(range(len(shown)), [shorten(row.label) for row in shown])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(unit, color=INK)
    return to_png(figure)


def _limits(rows: Sequence[ForestRow], reference: float) -> tuple[float, float]:
    bounds = [bound for row in rows if row.status == "ok" for bound in (row.ci_low, row.ci_high) if bound is not None]
    low, high = min([*bounds, reference]), max([*bounds, reference])
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin
