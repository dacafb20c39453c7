"""How the predicted effects of units spread around the average effect."""

from __future__ import annotations

from causeway.effects.influence import Array
from causeway.plots.canvas import BLUE, GREY, INK, ORANGE, add_titles, new_figure, say_in_row, to_png, with_decimals

BINS = 40


def cate_distribution_plot(
    effects: Array | None,
    *,
    average: float | None,
    title: str,
    unit: str,
    ci_low: float | None = None,
    ci_high: float | None = None,
) -> bytes:
    """PNG of the effects (n,), out of fold, in units of the outcome, with the average effect and its interval.

    effects: None where no model beats one effect for everybody; then only the average is drawn. average: None where
    the effect is withheld, and then so are the effects.
    """
    import numpy as np

    figure, axes = new_figure(760, 380)
    if average is None:
        add_titles(axes, title)
        say_in_row(axes, 0, "withheld")
        axes.set_ylim(0.6, -0.6)
        axes.set_xticks([])
    else:
        half_width = abs(average) if ci_low is None or ci_high is None else (ci_high - ci_low) / 2
        said = f"average {with_decimals(average, half_width)} {unit}"
        varies = effects is not None and len(effects) > 0 and float(np.ptp(effects)) > 0
        if effects is not None and varies:
            # A few far effects must not squeeze all others into one bar.
            low, high = np.quantile(effects, (0.001, 0.999))
            axes.hist(np.clip(effects, low, high), bins=BINS, color=BLUE, alpha=0.75, edgecolor="white", linewidth=0.5)
            axes.set_ylabel("units", color=INK)
            said += f"; {np.mean(effects > 0):.0%} of {len(effects):,} units have an effect above zero"
        else:
            said += "; no model beats one effect for everybody"
            axes.set_yticks([])
            axes.set_ylim(0, 1)
        add_titles(axes, title, said)
        if ci_low is not None and ci_high is not None:
            axes.axvspan(ci_low, ci_high, color=ORANGE, alpha=0.25, linewidth=0, label="interval of the average")
        axes.axvline(average, color=ORANGE, linewidth=2.2, label="average effect")
        axes.axvline(0, color=GREY, linewidth=1)
        figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=10)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"effect ({unit})", color=INK)
    return to_png(figure)
