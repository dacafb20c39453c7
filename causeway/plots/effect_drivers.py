"""Which modifiers move the predicted effect most, and which way."""

from __future__ import annotations

from collections.abc import Sequence

from causeway.effects.heterogeneity.drivers import Direction, Driver
from causeway.plots.canvas import BLUE, GREY, INK, ORANGE, add_titles, new_figure, say_in_row, shorten, to_png

MOST = 20
# A hatch beside the colour: colour is never the only sign.
LOOKS: dict[Direction, tuple[str, str, str]] = {
    "rises": (BLUE, "", "effect rises with it"),
    "falls": (ORANGE, "////", "effect falls with it"),
    "mixed": (GREY, "..", "no one direction"),
}


def effect_drivers_plot(drivers: Sequence[Driver], *, title: str, unit: str, reason: str = "") -> bytes:
    """PNG of mean absolute contributions, in units of the outcome, the largest on top; at most twenty.

    `reason` stands where there are no drivers. A column that moves nothing is left out.
    """
    shown = [driver for driver in drivers if driver.direction in LOOKS][:MOST]
    figure, axes = new_figure(760, 170 + 27 * max(1, len(shown)))
    moving = sum(driver.direction in LOOKS for driver in drivers)
    add_titles(axes, title, f"the largest {len(shown)} of {moving}" if moving > len(shown) else "")
    if not shown:
        say_in_row(axes, 0, reason or "no drivers: one effect for everybody")
    for place, driver in enumerate(shown):
        colour, hatch, _ = LOOKS[driver.direction]
        axes.barh(place, driver.importance, 0.66, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
    for direction, (colour, hatch, words) in LOOKS.items():
        if any(driver.direction == direction for driver in shown):
            axes.barh(0, 0, 0, color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=words)
    if shown:
        figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=10)
        axes.set_xlim(0, 1.05 * shown[0].importance)
    else:
        axes.set_xticks([])
    axes.set_ylim(max(1, len(shown)) - 0.5, -0.5)
    axes.set_yticks(range(len(shown)), [shorten(driver.column, 40) for driver in shown])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"mean absolute contribution to the effect ({unit})", color=INK)
    return to_png(figure)
