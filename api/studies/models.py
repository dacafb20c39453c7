"""What the routes of studies give."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

_TARGET = (
    "Whose effect: ATE, ATT, ATC, LATE, ATO (overlap-weighted), ATE_trimmed (and ATT_, ATC_), slope, or association."
)
_ESTIMAND = "What the number is an answer to, in words."


class StudyEstimate(BaseModel):
    """The effect by one method; null, and all that derives from it, unless status is ok."""

    model_config = ConfigDict(extra="forbid")

    method: str
    target: str = Field(description=_TARGET)
    estimand: str = Field(description=_ESTIMAND)
    status: str
    n: int = Field(description="Units that the method used.")
    effect: float | None
    std_error: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    reason: str | None = Field(description="Why there is no number.")
    settings: dict[str, Any] = Field(description="What was really done.")


class StudyEstimand(BaseModel):
    """What is asked, and whether the graph lets it be answered."""

    model_config = ConfigDict(extra="forbid")

    target: str
    in_words: str
    identified: bool
    adjustment_set: list[str]
    by: str | None = Field(description="backdoor, instrument or front_door.")


class StudyRule(BaseModel):
    """One rule of the verdict, and what it saw."""

    model_config = ConfigDict(extra="forbid")

    rule: str
    severity: Literal["fine", "caution", "withhold"]
    observed: float | None
    limit: float | None
    detail: str
    plain: str | None = None


class StudyRefutation(BaseModel):
    """An attempt to break the headline. A low p-value means that a problem was found."""

    model_config = ConfigDict(extra="forbid")

    name: str
    method: str
    new_effect: float | None
    p_value: float | None
    problem_found: bool | None = Field(description="null: it could not be carried out.")
    detail: str


class StudyFurther(BaseModel):
    """The same question about another outcome, or about a segment."""

    model_config = ConfigDict(extra="forbid")

    outcome: str
    segment: str = Field(description="Such as region=north; empty: everybody.")
    verdict: str
    reasons: list[str]
    headline: StudyEstimate | None
    n: int
    n_left_out: int
    provenance_id: str | None


class StudyResult(BaseModel):
    """The effect of a treatment by one method; null, and all that derives from it, unless status is ok."""

    model_config = ConfigDict(extra="forbid")

    outcome: str
    segment: str
    verdict: str | None = Field(description="credible, caution or withheld.")
    method: str
    target: str | None = Field(description=_TARGET)
    estimand: str | None = Field(description=_ESTIMAND)
    is_headline: bool = Field(description="Whether the verdict is about this estimate.")
    position: int
    status: str
    effect: float | None
    std_error: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    n: int | None
    n_left_out: int | None = Field(description="Rows that could not be used.")
    reasons: list[Any]
    refutations: Any = Field(description="Attempts to refute the effect, and what came of them.")
    diagnostics: dict[str, Any] = Field(
        description="Overlap, balance, negative controls, instruments, nuisances, graph."
    )
    provenance_id: str | None


class StudyResults(BaseModel):
    """Everything that is served about a study."""

    model_config = ConfigDict(extra="forbid")

    study: str
    tenant: str
    status: Literal["ok", "withheld", "pending"] = Field(
        description="withheld: there is no number, see reasons; pending: nothing is materialised yet."
    )
    outcome: str | None
    verdict: Literal["credible", "caution", "withheld"] | None
    reasons: list[str]
    estimand: StudyEstimand | None
    estimates: list[StudyEstimate]
    headline: StudyEstimate | None = Field(description="The estimate that the verdict is about.")
    n: int | None = Field(description="Units used.")
    n_left_out: int | None
    left_out: dict[str, int] = Field(description="Rows that could not be used, by reason.")
    rules: list[StudyRule]
    refutations: list[StudyRefutation]
    diagnostics: dict[str, Any] = Field(
        description="overlap, balance, negative_controls, instrument, nuisance, graph, data."
    )
    sensitivity: dict[str, Any] = Field(description="e_value, e_value_ci, robustness_value and what they rest on.")
    heterogeneity: dict[str, Any] = Field(description="How the effect differs between units, where that was asked.")
    provenance_id: str | None
    further: list[StudyFurther] = Field(description="Other outcomes, and segments.")
    results: list[StudyResult] = Field(description="All methods of all outcomes and segments, a row each.")
    snapshot_id: str = Field(description="Changes when, and only when, the results change.")
