"""What treating more units is worth, net of what it costs."""

from __future__ import annotations

from collections.abc import Sequence

from causeway.effects.heterogeneity.policy import CurvePoint
from causeway.plots.canvas import BLUE, GREY, INK, VERMILION, add_titles, new_figure, say_in_row, to_png


def policy_curve_plot(
    curve: Sequence[CurvePoint],
    *,
    title: str,
    unit: str,
    share: float | None = None,
    value: float | None = None,
) -> bytes:
    """PNG of the net value by share treated, the most worthwhile units first, with pointwise intervals.

    `unit` is that of value and cost, per unit of all. share, value: of the policy chosen, marked if given.
    """
    figure, axes = new_figure(620, 480)
    chosen = share is not None and value is not None
    add_titles(axes, title, f"the policy treats {share:.0%} of the units" if chosen else "")
    if not curve:
        say_in_row(axes, 0, "withheld")
        axes.set_ylim(0.6, -0.6)
        axes.set_yticks([])
    else:
        shares = [100 * point.share for point in curve]
        low = [point.value if point.ci_low is None else point.ci_low for point in curve]
        high = [point.value if point.ci_high is None else point.ci_high for point in curve]
        axes.fill_between(shares, low, high, color=BLUE, alpha=0.15, linewidth=0, label="interval at each share")
        axes.plot(shares, [point.value_at_random for point in curve], color=GREY, linestyle="--", label="at random")
        axes.plot(shares, [point.value for point in curve], color=BLUE, linewidth=2.2, label="by predicted effect")
        if share is not None and value is not None:
            axes.plot(100 * share, value, "D", color=VERMILION, markersize=9, label="the policy", clip_on=False)
        axes.axhline(0, color=GREY, linewidth=1)
        axes.legend(loc="best", frameon=False, fontsize=10)
        axes.grid(color=GREY, alpha=0.15)
    axes.set_xlim(0, 100)
    axes.set_xlabel("units treated (%)", color=INK)
    axes.set_ylabel(f"value per unit of all ({unit})", color=INK)
    return to_png(figure)
