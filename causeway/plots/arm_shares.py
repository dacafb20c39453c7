"""The units of each arm against its declared weight, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causeway.plots.svg import Drawing, fitted

STEP = 46


@dataclass(frozen=True, slots=True)
class ArmShare:
    """An arm: what it has and what it should have, as shares of all units (0 to 1; None where there are none)."""

    label: str
    words: str
    observed: float | None
    expected: float


def arm_shares(arms: Sequence[ArmShare], *, is_mismatch: bool) -> Drawing:
    """A bar for the units of each arm and a stroke where the declared weights put its end.

    `is_mismatch` says that the sample ratio test failed: the bars change colour, and the description says so.

    >>> arm_shares([ArmShare("a", "51 %, 50 % declared", 0.51, 0.5)], is_mismatch=False).markup().count("trough")
    1
    """
    verdict = "The shares are not as declared. " if is_mismatch else ""
    spoken = "; ".join(f"{arm.label}: {arm.words}" for arm in arms)
    drawing = Drawing(STEP * len(arms) + 4, f"Units by arm against the declared weights. {verdict}{spoken}.")
    widest = max([0.01, *(arm.observed or 0.0 for arm in arms), *(arm.expected for arm in arms)])
    for position, arm in enumerate(arms):
        top = STEP * position
        drawing.text(0, top + 15, fitted(arm.label, 18), "name", hint=arm.label)
        drawing.text(100, top + 15, arm.words, "number", anchor="end")
        drawing.bar(0, top + 23, 100, 12, "trough")
        if arm.observed is not None:
            drawing.bar(0, top + 23, 98 * arm.observed / widest, 12, "bar bad" if is_mismatch else "bar")
        drawing.line(98 * arm.expected / widest, top + 20, 98 * arm.expected / widest, top + 38, "tick")
    return drawing
