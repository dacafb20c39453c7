"""Balance of the confounders between two groups, before and after adjustment (Love 2002)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from causeway.plots.canvas import BLUE, FAINT, GREY, INK, VERMILION, add_titles, new_figure, shorten, to_png

MAX_COVARIATES = 40
IMBALANCED = 0.1


def love_plot(
    before: Mapping[str, float | None], after: Mapping[str, float | None] | None = None, *, title: str
) -> bytes:
    """PNG of absolute standardised mean differences, the worst on top; the line at 0.1 is the usual limit.

    A covariate that does not vary has no difference (None) and is named in the subtitle. At most forty are
    drawn.
    """
    differences = {name: abs(value) for name, value in before.items() if value is not None and math.isfinite(value)}
    ordered = sorted(differences, key=lambda name: (-differences[name], name))[:MAX_COVARIATES]
    figure, axes = new_figure(760, 170 + 25 * max(1, len(ordered)))
    beyond = sum(value > IMBALANCED for value in differences.values())
    parts = [f"{beyond} of {len(differences)} beyond {IMBALANCED}"]
    if len(differences) > len(ordered):
        parts.append(f"the worst {len(ordered)} are shown")
    if len(differences) < len(before):
        parts.append(f"{len(before) - len(differences)} without variation")
    add_titles(axes, title, "; ".join(parts))
    axes.axvspan(0, IMBALANCED, color=FAINT, alpha=0.6, linewidth=0)
    axes.axvline(IMBALANCED, color=GREY, linewidth=1, linestyle="--")
    axes.plot(
        [differences[name] for name in ordered], range(len(ordered)), "o", color=VERMILION, markersize=7,
        markerfacecolor="white", markeredgewidth=2, label="before adjustment", clip_on=False, zorder=3,
    )  # fmt: skip
    if after is not None:
        known = [(after[name], place) for place, name in enumerate(ordered) if after.get(name) is not None]
        axes.plot(
            [abs(value) for value, _ in known if value is not None], [place for _, place in known], "s",
            color=BLUE, markersize=6, label="after adjustment", clip_on=False, zorder=4,
        )  # fmt: skip
        figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=10)
    axes.set_ylim(max(1, len(ordered)) - 0.5, -0.5)
    axes.set_yticks(range(len(ordered)), [shorten(name, 40) for name in ordered])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=GREY, alpha=0.15)
    axes.set_xlim(0, 1.08 * max([*differences.values(), 2 * IMBALANCED]))
    axes.set_xlabel("absolute standardised mean difference (standard deviations)", color=INK)
    return to_png(figure)
