"""Predicted against observed outcome of the twins of control units."""

from __future__ import annotations

from collections.abc import Sequence

from causeway.plots.canvas import BLUE, GREY, INK, add_titles, new_figure, to_png
from causeway.twins.calibration_bins import CalibrationBin


def calibration_plot(bins: Sequence[CalibrationBin], *, title: str, unit: str, r_squared: float | None = None) -> bytes:
    """PNG of mean outcome by mean prediction, 95 % intervals, and the line on which a calibrated twin lies.

    `bins` come from `calibration_bins`; `unit` is that of the outcome; `r_squared` is out of fold.
    """
    figure, axes = new_figure(620, 560)
    units = sum(group.n for group in bins)
    subtitle = f"{units:,} control units in {len(bins)} groups"
    if r_squared is not None:
        subtitle += f"; out-of-fold R² = {r_squared:.3f}"
    add_titles(axes, title, subtitle)
    if not bins:
        axes.annotate("no control unit has an outcome", (0.5, 0.5), xycoords="axes fraction", ha="center", color=INK)
    else:
        margins = [1.96 * (group.std_error or 0.0) for group in bins]
        predicted, observed = [group.predicted for group in bins], [group.observed for group in bins]
        low = min(*predicted, *(value - margin for value, margin in zip(observed, margins, strict=True)))
        high = max(*predicted, *(value + margin for value, margin in zip(observed, margins, strict=True)))
        pad = 0.05 * (high - low) or 1.0
        span = (low - pad, high + pad)
        axes.plot(span, span, color=GREY, linestyle="--", linewidth=1.2, label="perfectly calibrated")
        axes.errorbar(
            predicted, observed, yerr=margins, fmt="o", color=BLUE, ecolor=BLUE, elinewidth=1.6, capsize=3,
            markersize=6, label="observed mean, 95 % interval",
        )  # fmt: skip
        axes.set_xlim(span)
        axes.set_ylim(span)
        axes.legend(loc="upper left", frameon=False, fontsize=10)
    axes.set_aspect("equal")
    axes.grid(color=GREY, alpha=0.15)
    axes.set_xlabel(f"predicted under control ({unit})", color=INK)
    axes.set_ylabel(f"observed ({unit})", color=INK)
    return to_png(figure)
