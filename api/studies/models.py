"""What the routes of studies give."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class StudyResult(BaseModel):
    """The effect of a treatment by one method; null, and all that derives from it, unless status is ok."""

    model_config = ConfigDict(extra="forbid")

    verdict: str | None = Field(description="credible, caution or withheld.")
    method: str
    target: str | None = Field(description="ATE, ATT, ATC or LATE.")
    estimand: str | None = Field(description="The expression that identifies the effect.")
    status: str
    effect: float | None
    std_error: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    n: int | None
    n_left_out: int | None = Field(description="Units that the method could not use.")
    reasons: list[Any]
    refutations: Any = Field(description="Attempts to refute the effect, and what came of them.")
    diagnostics: dict[str, Any] = Field(description="Identification, balance and overlap.")
    provenance_id: str | None


class StudyResults(BaseModel):
    """Everything that is served about an observational study."""

    model_config = ConfigDict(extra="forbid")

    study: str
    tenant: str
    status: Literal["ok", "withheld", "pending"] = Field(
        description="withheld: refuted or not identified, see reasons; pending: nothing is materialised yet."
    )
    verdict: str | None = Field(description="The verdict that all results share; null if they differ.")
    reasons: list[Any]
    results: list[StudyResult]
    snapshot_id: str = Field(description="Changes when, and only when, the results change.")
