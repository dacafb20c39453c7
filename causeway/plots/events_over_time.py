"""When events happened, by type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from causeway.plots.canvas import CYCLE, GREY, INK, add_titles, new_figure, shorten, to_png

MAX_TYPES = len(CYCLE)
OTHER = "other types"


def events_over_time_plot(days: Sequence[date], counts: Mapping[str, Sequence[int]], *, title: str) -> bytes:
    """PNG of events per day, stacked by type: `counts[type][i]` events on `days[i]`, days ascending.

    The most frequent types keep a colour and a pattern each, the rest share one. Raises ValueError for
    counts that do not match the days.
    """
    if any(len(series) != len(days) for series in counts.values()):
        raise ValueError(f"one count per day is expected: {len(days)} days")
    ordered = sorted(counts, key=lambda kind: (-sum(counts[kind]), kind))
    kept = ordered if len(ordered) <= MAX_TYPES else ordered[: MAX_TYPES - 1]
    series = {kind: np.asarray(counts[kind], dtype=np.float64) for kind in kept}
    rest = [kind for kind in ordered if kind not in series]
    if rest:
        series[OTHER] = np.sum([np.asarray(counts[kind], dtype=np.float64) for kind in rest], axis=0)
    total = int(sum(values.sum() for values in series.values()))

    figure, axes = new_figure(900, 380)
    period = f", {days[0]:%d %b %Y} to {days[-1]:%d %b %Y}" if days else ""
    add_titles(axes, title, f"{total:,} events{period}")
    if not days or not series:
        axes.annotate("no events", (0.5, 0.5), xycoords="axes fraction", ha="center", color=INK)
    else:
        _draw(axes, days, series)
        figure.legend(loc="outside right upper", frameon=False, fontsize=10, title="type", alignment="left")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=GREY, alpha=0.2)
    axes.set_axisbelow(True)
    axes.set_ylabel("events per day", color=INK)
    axes.set_xlabel("day on which the event occurred (UTC)", color=INK)
    return to_png(figure)


def _draw(axes: Any, days: Sequence[date], series: Mapping[str, npt.NDArray[np.float64]]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    positions = date2num(days)  # type: ignore[no-untyped-call]
    bottom = np.zeros(len(days))
    axes.margins(x=0.01)
    patterns = ("", "///", "...", "xxx", "\\\\\\", "++")
    for place, (kind, values) in enumerate(series.items()):
        axes.bar(
            positions, values, bottom=bottom, width=1.0, color=CYCLE[place], hatch=patterns[place],
            edgecolor="white", linewidth=0.2, label=shorten(kind, 24),
        )  # fmt: skip
        bottom += values
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    formatter = ConciseDateFormatter(locator, show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
