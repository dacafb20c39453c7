"""What would be left of the effect, by how strong something unmeasured is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from causeway.effects.sensitivity.bias_bounds import Benchmark
from causeway.effects.sensitivity.contour import Contour
from causeway.plots.canvas import (
    BLUE,
    FAINT,
    GREY,
    INK,
    VERMILION,
    add_titles,
    new_figure,
    shorten,
    to_png,
    with_decimals,
)

LEVELS = 7
MAX_BENCHMARKS = 8


def sensitivity_contour_plot(
    contour: Contour | None,
    *,
    title: str,
    unit: str,
    benchmarks: Sequence[Benchmark] = (),
    robustness_value: float | None = None,
) -> bytes:
    """PNG of contour lines of the effect's bound over both strengths; the thick line is where it reaches the null.

    benchmarks: confounders as strong as observed covariates; at most eight, the strongest, are drawn; those beyond the
    picture are counted in the subtitle. robustness_value: marked on the diagonal. None, or an axis of fewer than two
    strengths, is a picture that says that there is nothing to draw.
    """
    figure, axes = new_figure(760, 560)
    if contour is None or min(len(contour.outcome_strengths), len(contour.treatment_strengths)) < 2:
        add_titles(axes, title, "an estimate that is withheld has no contour")
        axes.annotate("nothing to draw", (0.5, 0.5), xycoords="axes fraction", ha="center", color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        return to_png(figure)
    x, y = np.array(contour.treatment_strengths), np.array(contour.outcome_strengths)
    effects = np.array(contour.effects)
    known = [(each.name, each.strength) for each in benchmarks if each.strength is not None]
    inside = [(name, s) for name, s in known if s.treatment <= x.max() and s.outcome <= y.max()]
    drawn = sorted(inside, key=lambda each: (-each[1].confounding, each[0]))[:MAX_BENCHMARKS]
    resolution = float(np.ptp(effects)) / LEVELS
    parts = [f"effect {with_decimals(contour.effect, max(resolution, abs(contour.effect) / 100))} {unit}"]
    if robustness_value is not None:
        parts.append(f"robustness value {robustness_value:.1%}")
    if len(benchmarks) > len(drawn):
        missing = len(benchmarks) - len(drawn)
        parts.append(f"{missing} benchmark{'s' if missing > 1 else ''} not shown")
    add_titles(axes, title, "; ".join(parts))
    if resolution > 0:
        levels = [level for level in _levels(effects) if level != contour.null]
        lines = axes.contour(x, y, effects, levels=levels, colors=GREY, linewidths=1, linestyles="solid")
        axes.clabel(lines, fontsize=9, fmt=lambda value: with_decimals(value, resolution), colors=INK)
    treatment, outcome = _crossing(contour)
    if len(treatment):
        axes.fill_between(treatment, outcome, y.max(), color=FAINT, alpha=0.7, linewidth=0, zorder=0)
        axes.plot(treatment, outcome, color=VERMILION, linewidth=2.2, zorder=3, label="no effect is left")
    if robustness_value is not None and robustness_value <= min(x.max(), y.max()):
        axes.plot(
            robustness_value, robustness_value, "o", color=VERMILION, markerfacecolor="white", markersize=8, zorder=4,
            markeredgewidth=2, label="robustness value",
        )  # fmt: skip
    for place, (name, strength) in enumerate(drawn):
        axes.plot(
            strength.treatment, strength.outcome, "D", color=BLUE, markersize=6, zorder=5,
            label="as strong as an observed covariate" if place == 0 else None,
        )  # fmt: skip
        axes.annotate(
            shorten(name, 24), (strength.treatment, strength.outcome), xytext=(6, 5), textcoords="offset points",
            fontsize=9, color=INK, zorder=6,
        )  # fmt: skip
    axes.set_xlim(x.min(), x.max())
    axes.set_ylim(y.min(), y.max())
    axes.set_xlabel("share of what is left of the treatment that it explains", color=INK)
    axes.set_ylabel("share of what is left of the outcome", color=INK)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=10)
    return to_png(figure)


def _levels(effects: npt.NDArray[np.float64]) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    return [float(level) for level in MaxNLocator(LEVELS).tick_values(effects.min(), effects.max())]


def _crossing(contour: Contour) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The line of no effect within the picture: the product of the outcome's strength and the treatment's odds is the
    same all along it.
    """
    known = [(d, c) for d, c in zip(contour.treatment_strengths, contour.crossing, strict=True) if c is not None]
    if not known:
        return np.empty(0), np.empty(0)
    strength, crossing = known[-1]
    product = crossing * strength / (1 - strength)
    highest = max(contour.outcome_strengths)
    first = max(product / (highest + product), min(contour.treatment_strengths))
    last = max(contour.treatment_strengths)
    if first >= last:
        return np.empty(0), np.empty(0)
    treatment = np.linspace(first, last, 200)
    return treatment, product * (1 - treatment) / treatment
