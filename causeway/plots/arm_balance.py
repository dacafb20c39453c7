"""Did the variants get their share of the units?"""

from __future__ import annotations

from collections.abc import Mapping

from causeway.plots.canvas import BLUE, GREY, INK, VERMILION, add_titles, new_figure, shorten, to_png

MISMATCH = 0.001


def arm_balance_plot(
    counts: Mapping[str, int], weights: Mapping[str, float], *, title: str, p_value: float | None = None
) -> bytes:
    """PNG of units per variant (`counts`) beside the number that the declared weights promise, in units.

    `p_value` is that of the sample ratio test; below 0.001 the bars change colour and the subtitle says so.
    Variants are those of `weights`, then any others that were seen.
    """
    variants = [*weights, *(variant for variant in counts if variant not in weights)]
    units, total_weight = sum(counts.values()), sum(weights.values())
    mismatch = p_value is not None and p_value < MISMATCH
    figure, axes = new_figure(900, 150 + 46 * max(1, len(variants)))
    subtitle = f"{units:,} units"
    if p_value is not None:
        subtitle += f"; sample ratio test p = {p_value:.3g}{': the shares are not as declared' if mismatch else ''}"
    add_titles(axes, title, subtitle)
    for position, variant in enumerate(variants):
        observed = counts.get(variant, 0)
        expected = units * weights.get(variant, 0.0) / total_weight if total_weight > 0 else 0.0
        axes.barh(
            position, observed, height=0.62, color=VERMILION if mismatch else BLUE, alpha=0.85,
            label="observed" if position == 0 else None,
        )  # fmt: skip
        axes.plot(
            [expected, expected], [position - 0.42, position + 0.42], color=INK, linewidth=2.5,
            label="expected from the weights" if position == 0 else None,
        )  # fmt: skip
        deviation = f"{observed / expected - 1:+.1%}" if expected > 0 else "none expected"
        axes.annotate(
            f"{observed:,}  ({deviation})", (1.02, position), xycoords=("axes fraction", "data"), va="center",
            fontsize=10, color=INK, annotation_clip=False,
        )  # fmt: skip
    axes.set_ylim(len(variants) - 0.4, -0.6)
    axes.set_yticks(range(len(variants)), [shorten(variant, 24) for variant in variants])
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlim(left=0)
    axes.set_xlabel("units (deviation from the expected number)", color=INK)
    axes.grid(axis="x", color=GREY, alpha=0.2)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=10)
    return to_png(figure)
