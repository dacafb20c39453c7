"""A share of seeded runs, with its Monte-Carlo error said exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy import special


@dataclass(frozen=True, slots=True)
class RunShare:
    """In how many of `runs` independent runs something happened.

    share: hits / runs. mc_error: its standard error. low, high: the interval of Clopper & Pearson (1934) at
    `confidence`, which covers the true share at least that often, also near 0 and 1.

    Raises ValueError without a run, or with more hits than runs.

    >>> seen = RunShare(8, 10)
    >>> seen.share, round(seen.low, 4), round(seen.high, 4)
    (0.8, 0.4439, 0.9748)
    """

    hits: int
    runs: int
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not (0 <= self.hits <= self.runs and self.runs > 0 and 0 < self.confidence < 1):
            raise ValueError(f"a share of runs needs 0 <= hits <= runs, and a run: {self}")

    @property
    def share(self) -> float:
        """hits / runs."""
        return self.hits / self.runs

    @property
    def mc_error(self) -> float:
        """Standard error of the share; never 0, as if one run more had gone either way."""
        smoothed = (self.hits + 0.5) / (self.runs + 1)
        return math.sqrt(smoothed * (1 - smoothed) / self.runs)

    @property
    def low(self) -> float:
        """Lower end of the Clopper-Pearson interval."""
        tail = (1 - self.confidence) / 2
        return 0.0 if self.hits == 0 else float(special.betaincinv(self.hits, self.runs - self.hits + 1, tail))

    @property
    def high(self) -> float:
        """Upper end of the Clopper-Pearson interval."""
        tail = (1 - self.confidence) / 2
        left = self.runs - self.hits
        return 1.0 if left == 0 else float(special.betainccinv(self.hits + 1, left, tail))

    def as_document(self) -> dict[str, Any]:
        """The share as JSON values."""
        return {
            "share": self.share,
            "low": self.low,
            "high": self.high,
            "confidence": self.confidence,
            "hits": self.hits,
            "runs": self.runs,
        }
