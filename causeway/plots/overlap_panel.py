"""Do the arms overlap? Propensities of the treated above the line, of the others below it, as SVG."""

from __future__ import annotations

from collections.abc import Sequence

from causeway.plots.svg import Drawing

LEFT, RIGHT, TOP, HALF = 2.0, 98.0, 6, 84


def overlap_panel(treated: Sequence[float], control: Sequence[float], *, title: str) -> Drawing:
    """Mirrored histograms from counts in equal bins of the propensity from 0 to 1, each arm in shares of its own units,
    so that a rare treatment stays visible. Both need the same number of bins; ValueError otherwise.

    >>> overlap_panel([1.0, 3.0], [2.0, 2.0], title="t").markup().count("<rect")
    4
    """
    if len(treated) != len(control) or not treated:
        raise ValueError("both arms need the same bins, and one at least")
    shares = [[count / (sum(arm) or 1.0) for count in arm] for arm in (treated, control)]
    tallest = max([1e-12, *shares[0], *shares[1]])
    bottom = TOP + 2 * HALF
    drawing = Drawing(
        bottom + 42,
        f"Overlap of {title}: propensities of {sum(treated):,.0f} treated and {sum(control):,.0f} controls."
        f" {_spoken(treated, control)}",
    )
    width = (RIGHT - LEFT) / len(treated)
    for at, (above, below) in enumerate(zip(*shares, strict=True)):
        left, up, down = LEFT + width * at, HALF * above / tallest, HALF * below / tallest
        if above > 0:
            drawing.bar(left + 0.08 * width, TOP + HALF - max(up, 0.8), 0.84 * width, max(up, 0.8), "bar")
        if below > 0:
            drawing.bar(left + 0.08 * width, TOP + HALF, 0.84 * width, max(down, 0.8), "bar other")
    drawing.line(LEFT, TOP + HALF, RIGHT, TOP + HALF, "zero")
    drawing.text(LEFT, TOP + 10, "treated", "name")
    drawing.text(LEFT, bottom - 2, "control", "name")
    for share, words in ((0.0, "0"), (0.25, "0.25"), (0.5, "0.5"), (0.75, "0.75"), (1.0, "1")):
        place = LEFT + (RIGHT - LEFT) * share
        drawing.line(place, bottom + 2, place, bottom + 6, "zero")
        drawing.text(place, bottom + 20, words, "quiet", anchor="middle")
    drawing.text(50, bottom + 37, "probability of treatment, given the confounders", "quiet", anchor="middle")
    return drawing


def _spoken(treated: Sequence[float], control: Sequence[float]) -> str:
    ranges = []
    for name, arm in (("treated", treated), ("controls", control)):
        seen = [at for at, count in enumerate(arm) if count > 0]
        if seen:
            ranges.append(f"{name} from {seen[0] / len(arm):.2f} to {(seen[-1] + 1) / len(arm):.2f}")
    return "; ".join(ranges) + "." if ranges else "There is nobody."
