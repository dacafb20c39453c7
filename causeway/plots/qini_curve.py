"""What is gained by treating first whom a model names first."""

from __future__ import annotations

from collections.abc import Sequence

from causeway.effects.heterogeneity.uplift import CurvePoint
from causeway.plots.canvas import BLUE, GREY, INK, add_titles, new_figure, say_in_row, to_png


def qini_curve_plot(
    curve: Sequence[CurvePoint],
    *,
    title: str,
    unit: str,
    qini: float | None = None,
    ci_low: float | None = None,
    ci_high: float | None = None,
    p_value: float | None = None,
) -> bytes:
    """PNG of the gain by share treated in the model's order, above the line of treating at random.

    `unit` is that of the outcome, per unit of all; qini is the area between the two.
    """
    figure, axes = new_figure(620, 480)
    parts = []
    if qini is not None:
        interval = "" if ci_low is None or ci_high is None else f" ({ci_low:.3g} to {ci_high:.3g})"
        parts.append(f"area above chance {qini:.3g}{interval}")
    if p_value is not None:
        parts.append(f"p = {p_value:.3f} against a random order")
    add_titles(axes, title, "; ".join(parts))
    if not curve:
        say_in_row(axes, 0, "one effect for everybody: there is no order")
        axes.set_ylim(0.6, -0.6)
        axes.set_yticks([])
    else:
        shares = [100 * point.share for point in curve]
        axes.plot(shares, [point.gain_of_chance for point in curve], color=GREY, linestyle="--", label="at random")
        axes.plot(shares, [point.gain for point in curve], color=BLUE, linewidth=2.2, label="in the model's order")
        axes.legend(loc="best", frameon=False, fontsize=10)
        axes.grid(color=GREY, alpha=0.15)
    axes.set_xlim(0, 100)
    axes.set_xlabel("units treated (%)", color=INK)
    axes.set_ylabel(f"gain per unit of all ({unit})", color=INK)
    return to_png(figure)
