"""The rules of a verdict, applied: what each looked at, and whether it withholds, warns or is content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from causeway.declarations.study_rules import Consequence

Severity = Literal["fine", "caution", "withhold"]
RULES = (
    "identification",
    "data",
    "overlap",
    "balance",
    "negative_controls",
    "refutations",
    "instability",
    "weak_instrument",
    "clusters_ignored",
    "post_treatment",
    "extrapolation",
    "left_out",
)
"""Each is an asset check."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One rule: what it saw, as a number where it is one, the limit, and a sentence for reading.

    plain: the sentence without numbers that would give the effect away, where `detail` has such.
    """

    rule: str
    severity: Severity
    observed: float | None
    limit: float | None
    detail: str
    plain: str | None = None

    def without_numbers(self) -> Judged:
        """For an answer that is withheld."""
        return replace(self, detail=self.plain or self.detail, plain=None)


def consequence(broken: bool, then: Consequence) -> Severity:
    """What a broken rule means."""
    if not broken or then == "ignore":
        return "fine"
    return "withhold" if then == "withhold" else "caution"


def graded(observed: float, caution: float, withhold: float, *, above: bool = True) -> Severity:
    """By two limits; above: what is larger than a limit breaks it, otherwise what is smaller."""
    sign = 1.0 if above else -1.0
    if sign * observed > sign * withhold:
        return "withhold"
    return "caution" if sign * observed > sign * caution else "fine"


def verdict_of(judged: Sequence[Judged]) -> tuple[Literal["credible", "caution", "withheld"], tuple[str, ...]]:
    """The verdict and its reasons: those that withhold, where any does, before those that warn."""
    blocking = [each for each in judged if each.severity == "withhold"]
    if blocking:
        other = [each for each in judged if each.severity == "caution"]
        return "withheld", tuple(each.without_numbers().detail for each in (*blocking, *other))
    warning = [each.detail for each in judged if each.severity == "caution"]
    return ("caution", tuple(warning)) if warning else ("credible", ())
