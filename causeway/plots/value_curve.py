"""What a budget brings: net value of the best plan by what may be spent."""

from __future__ import annotations

from collections.abc import Sequence

from causeway.plots.canvas import BLUE, GREY, INK, add_titles, new_figure, to_png


def value_curve_plot(
    curve: Sequence[tuple[float, float | None, float | None]], *, budget: float | None, title: str
) -> bytes:
    """PNG of net value against budget; curve: (budget, cost, net value), None where the constraints cannot be met.

    The upright line is the declared budget. A figure without any point says so.
    """
    figure, axes = new_figure(760, 400)
    met = [(spent, net) for spent, _, net in curve if net is not None]
    unmet = len(curve) - len(met)
    add_titles(axes, title, f"{unmet} of {len(curve)} budgets cannot meet the constraints" if unmet else "")
    if not met:
        axes.annotate("there is no plan", (0.5, 0.5), xycoords="axes fraction", ha="center", color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        return to_png(figure)
    axes.plot([spent for spent, _ in met], [net for _, net in met], color=BLUE, linewidth=2.2, marker="o", markersize=4)
    if budget is not None:
        axes.axvline(budget, color=GREY, linewidth=1, linestyle="--")
        axes.annotate("budget", (budget, 0), xycoords=("data", "axes fraction"), xytext=(5, 5),
                      textcoords="offset points", fontsize=10, color=INK)  # fmt: skip
    axes.grid(axis="y", color=GREY, alpha=0.2)
    axes.set_xlabel("budget", color=INK)
    axes.set_ylabel("worth less cost", color=INK)
    return to_png(figure)
