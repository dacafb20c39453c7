"""Effects of segments, before and after they were shrunk towards each other."""

from __future__ import annotations

from causeway.actions.kpi import Intervention
from causeway.plots.canvas import BLUE, GREY, INK, VERMILION, add_titles, new_figure, say_in_row, shorten, to_png

MAX_SEGMENTS = 30


def segment_gaps_plot(found: Intervention, *, title: str) -> bytes:
    """PNG: of each segment the effect on those not treated today with its 95 % interval (grey), and the shrunk one.

    That is blue, or vermilion where the verdict is a caution; the largest is on top. A segment without numbers
    says why. At most thirty are drawn.
    """
    beliefs = {gap.segment: found.belief(gap.segment) for gap in found.gaps}
    ordered = sorted(found.gaps, key=lambda gap: -belief[0] if (belief := beliefs[gap.segment]) else float("inf"))
    shown = ordered[:MAX_SEGMENTS]
    figure, axes = new_figure(820, 170 + 34 * max(1, len(shown)))
    without = sum(belief is None for belief in beliefs.values())
    parts = ["grey: as estimated; coloured: shrunk towards each other"]
    if len(ordered) > len(shown):
        parts.append(f"the first {len(shown)} of {len(ordered)}")
    if without:
        parts.append(f"{without} without numbers")
    add_titles(axes, title, "; ".join(parts))
    axes.axvline(0, color=GREY, linewidth=1, linestyle="--", zorder=1)
    for place, gap in enumerate(shown):
        belief = beliefs[gap.segment]
        if gap.effect is None or belief is None:
            say_in_row(axes, place, shorten("; ".join(gap.reasons) or gap.status, 70))
            continue
        axes.plot([gap.effect.ci_low, gap.effect.ci_high], [place - 0.15] * 2, color=GREY, linewidth=1.5)
        axes.plot(gap.effect.value, place - 0.15, "o", color=GREY, markersize=5)
        colour = VERMILION if gap.verdict == "caution" else BLUE
        axes.plot(belief[1:], [place + 0.15] * 2, color=colour, linewidth=2.5)
        axes.plot(belief[0], place + 0.15, "o", color=colour, markersize=6)
    axes.set_ylim(max(1, len(shown)) - 0.5, -0.5)
    axes.set_yticks(range(len(shown)), [shorten(f"{gap.segment} (n={gap.n:,})", 40) for gap in shown])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("effect of treating one unit that is not treated today", color=INK)
    return to_png(figure)
