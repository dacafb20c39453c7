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
    """PNG of absolute standardised mean differences before adjustment and, if given, after it, on one axis; the
    covariate that is worst at either on top; the line at 0.1 is the usual limit.

    A covariate that does not vary has no difference (None) and is named in the subtitle. At most forty are
    drawn.
    """
    later = {} if after is None else _known(after)
    differences = _known(before)
    names = [name for name in {**before, **(after or {})} if name in differences or name in later]
    worst = {name: max(differences.get(name, 0.0), later.get(name, 0.0)) for name in names}
    ordered = sorted(names, key=lambda name: (-worst[name], name))[:MAX_COVARIATES]
    figure, axes = new_figure(760, 170 + 25 * max(1, len(ordered)))
    add_titles(axes, title, _in_words(differences, None if after is None else later, before, len(ordered)))
    axes.axvspan(0, IMBALANCED, color=FAINT, alpha=0.6, linewidth=0)
    axes.axvline(IMBALANCED, color=GREY, linewidth=1, linestyle="--")
    places = {name: place for place, name in enumerate(ordered)}
    both = [name for name in ordered if name in differences and name in later]
    axes.hlines(
        [places[name] for name in both], [differences[name] for name in both], [later[name] for name in both],
        color=GREY, linewidth=1, alpha=0.6, zorder=2,
    )  # fmt: skip
    shown = [name for name in ordered if name in differences]
    axes.plot(
        [differences[name] for name in shown], [places[name] for name in shown], "o", color=VERMILION, markersize=7,
        markerfacecolor="white", markeredgewidth=2, label="before adjustment", clip_on=False, zorder=3,
    )  # fmt: skip
    if after is not None:
        shown = [name for name in ordered if name in later]
        axes.plot(
            [later[name] for name in shown], [places[name] for name in shown], "s",
            color=BLUE, markersize=6, label="after adjustment", clip_on=False, zorder=4,
        )  # fmt: skip
        figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=10)
    axes.set_ylim(max(1, len(ordered)) - 0.5, -0.5)
    axes.set_yticks(range(len(ordered)), [shorten(name, 40) for name in ordered])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=GREY, alpha=0.15)
    axes.set_xlim(0, 1.08 * max([*worst.values(), 2 * IMBALANCED]))
    axes.set_xlabel("absolute standardised mean difference (standard deviations)", color=INK)
    return to_png(figure)


def _known(differences: Mapping[str, float | None]) -> dict[str, float]:
    return {name: abs(value) for name, value in differences.items() if value is not None and math.isfinite(value)}


def _in_words(
    before: Mapping[str, float], after: Mapping[str, float] | None, declared: Mapping[str, float | None], drawn: int
) -> str:
    beyond = f"{sum(value > IMBALANCED for value in before.values())} of {len(before)} beyond {IMBALANCED}"
    if after is not None:
        beyond += f" before, {sum(value > IMBALANCED for value in after.values())} of {len(after)} after"
    parts = [beyond]
    if len({**before, **(after or {})}) > drawn:
        parts.append(f"the worst {drawn} are shown")
    if len(before) < len(declared):
        parts.append(f"{len(declared) - len(before)} without variation")
    return "; ".join(parts)
