"""The smallest effect that can be seen, by how long the experiment runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from causeway.design.duration import ReachableEffect
from causeway.plots.canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    add_titles,
    new_figure,
    shorten,
    to_png,
    to_svg,
    with_decimals,
)

LINES = ((ORANGE, "--"), (BLUE, "-"), (GREEN, "-."), (PURPLE, ":"))
# The first days see only giants; a picture that showed them would show nothing else.
TALLEST = 6.0
UNITS_OF_EFFECTS = {"relative": "% of the mean", "absolute": "unit of the metric", "hazard_ratio": "% of the hazard"}


def line_of(interval: str, covariate: str) -> str:
    """The name of the line of one way of analysing a metric.

    >>> line_of("always_valid", "own_past")
    'always valid, own past'
    """
    return interval.replace("_", " ") + ("" if covariate == "none" else f", {covariate.replace('_', ' ')}")


def mde_curve_plot(
    curves: Mapping[str, Sequence[ReachableEffect]],
    *,
    title: str,
    unit: str,
    relevant: float | None = None,
    planned_day: int | None = None,
    percent: bool = True,
    subtitle: str = "",
    svg: bool = False,
) -> bytes:
    """PNG (or SVG) of the smallest effect against days, one line a way of analysing: without or with a covariate.

    curves: by name, at most four, drawn in this order; the band is the interval of the enrolment. relevant: the
    effect that is wanted, a level line; planned_day: a vertical one. percent: effects are shares, drawn as
    percentages. Days without an answer are left out; a figure without any says so. Raises ValueError for more
    than four curves.
    """
    if len(curves) > len(LINES):
        raise ValueError(f"at most {len(LINES)} curves fit into one picture, not {len(curves)}")
    factor = 100.0 if percent else 1.0
    figure, axes = new_figure(900, 420)
    known = {name: [row for row in rows if row.effect is not None] for name, rows in curves.items()}
    ends = [factor * rows[-1].effect for rows in known.values() if rows and rows[-1].effect is not None]
    add_titles(axes, title, subtitle)
    if not ends:
        axes.annotate("no day can be answered for", (0.5, 0.5), xycoords="axes fraction", ha="center", color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        return to_svg(figure) if svg else to_png(figure)
    for (name, rows), (colour, line) in zip(known.items(), LINES, strict=False):
        if rows:
            _draw(axes, name, rows, colour=colour, line=line, factor=factor)
    last = max(rows[-1].day for rows in known.values() if rows)
    highest = TALLEST * min(ends)
    if relevant is not None:
        highest = max(highest, 1.3 * factor * relevant)
        axes.axhline(factor * relevant, color=GREY, linewidth=1, zorder=1)
        axes.annotate(
            f"{with_decimals(factor * relevant, factor * relevant / 10)}\nwanted", (1.01, factor * relevant),
            xycoords=("axes fraction", "data"), va="center", fontsize=10, color=INK, annotation_clip=False,
        )  # fmt: skip
    if planned_day is not None:
        axes.axvline(planned_day, color=GREY, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
        axes.annotate(
            f"planned: day {planned_day}", (planned_day, 0.0), xycoords=("data", "axes fraction"), xytext=(5, 5),
            textcoords="offset points", fontsize=10, color=INK,
        )  # fmt: skip
    axes.set_xlim(0, max(last, planned_day or 0) * 1.02)
    axes.set_ylim(0, highest)
    axes.grid(axis="y", color=GREY, alpha=0.2)
    axes.set_axisbelow(True)
    axes.set_xlabel("days since the start", color=INK)
    axes.set_ylabel(unit, color=INK)
    axes.legend(loc="upper right", frameon=False, fontsize=10)
    return to_svg(figure) if svg else to_png(figure)


def _draw(axes: Any, name: str, rows: Sequence[ReachableEffect], *, colour: str, line: str, factor: float) -> None:
    days = np.array([row.day for row in rows])
    middle = factor * np.array([row.effect for row in rows], dtype=np.float64)
    low, high = (
        factor * np.array([row.effect if bound is None else bound for row, bound in zip(rows, bounds, strict=True)])
        for bounds in ([row.effect_low for row in rows], [row.effect_high for row in rows])
    )
    axes.fill_between(days, low.astype(np.float64), high.astype(np.float64), color=colour, alpha=0.15, linewidth=0)
    axes.plot(days, middle, color=colour, linestyle=line, linewidth=2.2, label=shorten(name, 28))
