"""What a decision is made from: of each metric and variant the one comparison that counts, and the time since when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from causeway.statistics.effect import Effect

Interval = Literal["always_valid", "group_sequential", "fixed_horizon"]


@dataclass(frozen=True, slots=True)
class Headline:
    """The comparison by which one metric of one variant is judged.

    interval: how the effect's interval allows for looks before the end. adjusted_p_value, is_significant: over the
    family of primary and secondary metrics and variants; None for guardrails, which are judged by their intervals.
    """

    effect: Effect
    interval: Interval = "always_valid"
    method: str = "difference_in_means"
    adjusted_p_value: float | None = None
    is_significant: bool | None = None
    chance_to_beat: float | None = None
    expected_loss: float | None = None

    @property
    def is_ok(self) -> bool:
        """Whether there is an effect."""
        return self.effect.status == "ok"

    def numbers(self) -> dict[str, Any]:
        """Everything that the rule and a reader of its record look at, as JSON values."""
        effect = self.effect
        return {
            "method": self.method,
            "interval": self.interval,
            "status": effect.status,
            "n": effect.n,
            "n_control": effect.n_control,
            "effect": effect.effect,
            "ci_low": effect.ci_low,
            "ci_high": effect.ci_high,
            "p_value": effect.p_value,
            "adjusted_p_value": self.adjusted_p_value,
            "is_significant": self.is_significant,
            "relative_effect": effect.relative_effect,
            "relative_ci_low": effect.relative_ci_low,
            "relative_ci_high": effect.relative_ci_high,
            "chance_to_beat": self.chance_to_beat,
            "expected_loss": self.expected_loss,
        }


ByVariant = Mapping[str, Headline]


@dataclass(frozen=True, slots=True)
class RunTime:
    """How long a trial has run when it is judged. No clock is read: known_at is what counts as now.

    first_exposure_at, known_at: None where that is not known. ends_on: the declared last day, in UTC.
    """

    first_exposure_at: datetime | None = None
    known_at: datetime | None = None
    ends_on: date | None = None

    @property
    def days(self) -> float | None:
        """Days from the first exposure until now; None if one of them is not known."""
        if self.first_exposure_at is None or self.known_at is None:
            return None
        return max((self.known_at - self.first_exposure_at) / timedelta(days=1), 0.0)

    @property
    def has_ended(self) -> bool:
        """Whether the declared end is over; with none declared there is none to wait for."""
        if self.ends_on is None:
            return True
        return self.known_at is not None and self.known_at >= self._end()

    def _end(self) -> datetime:
        return datetime.combine(self.ends_on or date.max, time(), UTC) + timedelta(days=1)

    def as_json(self) -> dict[str, Any]:
        """For the record: whole days and dates, so that the same trial on the same day has the same record."""
        return {
            "first_exposure_at": None
            if self.first_exposure_at is None
            else self.first_exposure_at.astimezone(UTC).isoformat(),
            "known_on": None if self.known_at is None else self.known_at.astimezone(UTC).date().isoformat(),
            "days": None if self.days is None else int(self.days),
            "ends_on": None if self.ends_on is None else self.ends_on.isoformat(),
            "has_ended": self.has_ended,
        }
