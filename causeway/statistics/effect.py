"""The result of comparing one variant with the control: the numeric columns of a result row."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "no_units", "too_few_units", "zero_variance", "no_covariates", "not_estimable", "withheld"]


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect with its uncertainty, or the reason why there is none.

    status: "ok", or why nothing was estimated; then every number from `effect` to `relative_ci_high` is None.
    n, n_control: units with an outcome in the variant and in the control.
    mean, mean_control: means in the units of the outcome (covariate-adjusted ones for the adjusted method).
    effect, std_error, ci_low, ci_high: in the units of the outcome; p_value: two-sided.
    relative_*: as a share of the control mean, 0.1 is +10 %; None with status "ok" where the control mean is
    not separated from zero (`settings["relative_status"]` says so).
    settings: what was really done; JSON values only.

    Raises ValueError for a number that is not finite, and for a status that contradicts the numbers.
    """

    status: Status
    n: int
    n_control: int
    mean: float | None = None
    mean_control: float | None = None
    effect: float | None = None
    std_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p_value: float | None = None
    relative_effect: float | None = None
    relative_ci_low: float | None = None
    relative_ci_high: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        inference = (self.effect, self.std_error, self.ci_low, self.ci_high, self.p_value)
        relative = (self.relative_effect, self.relative_ci_low, self.relative_ci_high)
        for value in (self.mean, self.mean_control, *inference, *relative):
            if value is not None and not math.isfinite(value):
                raise ValueError(f"undefined is None with a status, never nan or infinity: {self}")
        if self.status == "ok" and None in inference:
            raise ValueError(f"status ok without an effect: {self}")
        if self.status != "ok" and any(value is not None for value in inference + relative):
            raise ValueError(f"status {self.status} with an effect: {self}")

    def withheld(self, *reasons: str) -> Effect:
        """The row once a gate has failed: only the counts stay, for two means would give the effect away."""
        return Effect("withheld", self.n, self.n_control, settings={"reasons": list(reasons)})
