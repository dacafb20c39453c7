"""Do the groups overlap? The propensities of treated units above the line, of controls below it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from causeway.plots.canvas import BLUE, GREY, INK, VERMILION, add_titles, new_figure, to_png

BINS = 50


def propensity_overlap_plot(
    propensity: npt.NDArray[np.float64],
    treated: npt.NDArray[np.bool_],
    *,
    title: str,
    limits: tuple[float, float] | None = None,
    weights: npt.NDArray[np.float64] | None = None,
) -> bytes:
    """PNG of two mirrored histograms of P(T = 1 | x), (n,), each in shares of its group, so that a rare treatment stays
    visible.

    limits: where the sample is trimmed, drawn as lines, what is outside in grey and counted in the subtitle. weights:
    sampling weights. Propensities that are not finite are left out and counted.
    """
    figure, axes = new_figure(760, 400)
    known = np.isfinite(propensity)
    weight = np.ones(len(propensity)) if weights is None else weights
    low, high = (-np.inf, np.inf) if limits is None else limits
    outside = known & ((propensity < low) | (propensity > high))
    parts = [f"{int(np.sum(known & treated)):,} treated, {int(np.sum(known & ~treated)):,} controls"]
    if limits is not None:
        counts = f"{int(np.sum(outside & treated)):,} and {int(np.sum(outside & ~treated)):,}"
        parts.append(f"{counts} of them outside {low:g} to {high:g}")
    if not known.all():
        parts.append(f"{int(np.sum(~known)):,} without a propensity")
    add_titles(axes, title, "; ".join(parts))
    edges = np.linspace(0, 1, BINS + 1)
    tallest = 0.0
    for arm, sign, colour, label in ((True, 1, VERMILION, "treated"), (False, -1, BLUE, "control")):
        members = known & (treated == arm)
        total = float(weight[members].sum())
        if total <= 0:
            continue
        shares = np.histogram(np.clip(propensity[members], 0, 1), edges, weights=weight[members])[0] / total
        tallest = max(tallest, float(shares.max()))
        axes.bar(
            edges[:-1], sign * 100 * shares, np.diff(edges), align="edge", color=colour, alpha=0.8, linewidth=0,
            label=label, zorder=2,
        )  # fmt: skip
    for limit, edge in ((low, 0.0), (high, 1.0)):
        if np.isfinite(limit):
            axes.axvline(limit, color=INK, linewidth=1.2, linestyle="--", zorder=3)
            axes.axvspan(min(limit, edge), max(limit, edge), color=GREY, alpha=0.18, linewidth=0, zorder=1)
    axes.axhline(0, color=INK, linewidth=1, zorder=4)
    axes.set_xlim(0, 1)
    top = 115 * tallest or 1.0
    axes.set_ylim(-top, top)
    # Both directions are shares: no share is negative.
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.set_xlabel("propensity: probability of treatment given the confounders", color=INK)
    axes.set_ylabel("% of the group", color=INK)
    if tallest > 0:
        figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=10)
    return to_png(figure)
