"""What the method finds when the treatment is shuffled: nothing, if it can be trusted."""

from __future__ import annotations

from typing import Any

from causeway.plots.canvas import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    VERMILION,
    add_titles,
    new_figure,
    say_in_row,
    to_png,
    with_decimals,
)


def placebo_plot(
    *,
    effect: float | None,
    ci_low: float | None,
    ci_high: float | None,
    new_effect: float | None,
    p_value: float | None,
    problem_found: bool | None,
    title: str,
    unit: str,
) -> bytes:
    """PNG of the estimate with its interval above the mean effect under a shuffled treatment, in units of
    the outcome.

    Missing numbers are said in words: an estimate that is withheld, a placebo that could not be carried out.
    """
    figure, axes = new_figure(900, 250)
    verdict = {
        True: "the placebo found a problem: effects appear where there are none",
        False: "no problem found: without a treatment the effect vanishes",
        None: "the placebo could not be carried out",
    }[problem_found]
    add_titles(axes, title, verdict if p_value is None else f"{verdict} (p = {p_value:.3f})")
    drawn = [0.0]
    resolution = (ci_high - ci_low) / 2 if ci_low is not None and ci_high is not None else abs(new_effect or 0.0)
    if effect is None or ci_low is None or ci_high is None:
        say_in_row(axes, 0, "withheld")
    else:
        axes.plot([ci_low, ci_high], [0, 0], color=BLUE, linewidth=2.5)
        axes.plot(effect, 0, "o", color=BLUE, markersize=9)
        _label(axes, with_decimals(effect, (ci_high - ci_low) / 2), effect, 0)
        drawn += [ci_low, ci_high]
    if new_effect is None:
        say_in_row(axes, 1, "not carried out")
    else:
        colour = VERMILION if problem_found else ORANGE
        axes.plot(new_effect, 1, "D", color=colour, markersize=9)
        _label(axes, with_decimals(new_effect, resolution), new_effect, 1)
        drawn.append(new_effect)
    margin = 0.12 * (max(drawn) - min(drawn)) or 1.0
    axes.set_xlim(min(drawn) - margin, max(drawn) + margin)
    axes.axvline(0, color=GREY, linewidth=1, zorder=0)
    axes.set_ylim(1.6, -0.6)
    axes.set_yticks([0, 1], ["estimate, with interval", "treatment shuffled, mean"])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"effect ({unit})", color=INK)
    if len(drawn) == 1:
        axes.set_xticks([0])
    return to_png(figure)


def _label(axes: Any, text: str, x: float, y: float) -> None:
    axes.annotate(text, (x, y), xytext=(0, 9), textcoords="offset points", ha="center", fontsize=10, color=INK)
