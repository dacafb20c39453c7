"""What the routes of experiments take and give."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

FilterText = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]

ResultStatus = Literal["ok", "no_units", "too_few_units", "zero_variance", "no_covariates", "not_estimable", "withheld"]


class ResultFilter(BaseModel):
    """Which rows of results are asked for. A filter that is not among these is refused, not passed over."""

    model_config = ConfigDict(extra="forbid")

    metric: FilterText | None = Field(default=None, description="Only this metric.")
    segment: FilterText | None = Field(
        default=None, description='Only this segment, written "column=value"; empty: everybody.'
    )
    method: FilterText | None = Field(default=None, description="Only this method.")


class ExperimentSummary(BaseModel):
    """An experiment as declared, and where it stands."""

    experiment: str = Field(description="Key of the experiment.")
    name: str | None
    hypothesis: str | None
    owner: str | None
    unit: str
    control: str
    variants: dict[str, float] = Field(description="Weight of each variant.")
    status: str = Field(description="pending (declared, not materialised yet), not_started, running or ended.")
    units: int | None = Field(description="Units assigned; null while pending.")
    gates_passed: bool | None = Field(description="Whether every blocking check passed; null while pending.")
    decision: str | None
    starts_on: date | None
    ends_on: date | None
    declared_at: datetime
    computed_at: datetime | None = Field(description="When the served figures were made; null while pending.")


class Experiment(ExperimentSummary):
    """An experiment with its metrics and the reasons of its decision."""

    metrics: list[dict[str, Any]]
    covariates: list[str]
    segments: list[str]
    decision_reasons: list[Any]
    declaration_hash: str


class ExperimentPage(BaseModel):
    """Experiments in the order of their keys."""

    experiments: list[ExperimentSummary]
    next: str | None = Field(description="Cursor of the next page; null on the last one.")


class HealthCheck(BaseModel):
    """The verdict of one check on the experiment's data."""

    model_config = ConfigDict(extra="forbid")

    passed: bool | None
    blocking: bool = Field(description="Whether results are withheld unless it passes.")
    p_value: float | None
    observed: Any
    expected: Any
    detail: str | None


class Gates(BaseModel):
    """Whether results may be shown."""

    model_config = ConfigDict(extra="forbid")

    passed: bool | None = Field(description="Null while no check has been made.")
    closed: list[str] = Field(description="The blocking checks that did not pass.")


class Result(BaseModel):
    """The effect of one variant against control, on one metric, in one segment, by one method.

    Unless status is ok, the effect and everything that is derived from it is null.
    """

    model_config = ConfigDict(extra="forbid")

    metric: str
    metric_role: Literal["primary", "secondary", "guardrail"]
    segment: str | None = Field(description='"column=value", or null for everybody.')
    variant: str
    control: str
    method: str
    status: ResultStatus
    n: int | None
    n_control: int | None
    mean: float | None
    mean_control: float | None
    effect: float | None = Field(description="Difference of the means, in units of the metric.")
    std_error: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    relative_effect: float | None = Field(description="Effect divided by the mean of control.")
    relative_ci_low: float | None
    relative_ci_high: float | None
    reasons: list[Any]
    settings: dict[str, Any] = Field(description="What was really done.")
    provenance_id: str | None = Field(description="How the row was made: causeway reproduce <provenance_id>.")


class ExperimentResults(BaseModel):
    """Everything that is served about an experiment's effects."""

    model_config = ConfigDict(extra="forbid")

    experiment: str
    tenant: str
    status: Literal["ok", "withheld", "pending"] = Field(
        description="withheld: a gate is closed, for the reasons given; pending: nothing is materialised yet."
    )
    gates: Gates
    health: dict[str, HealthCheck] = Field(description="Verdicts by name of the check.")
    reasons: list[Any]
    results: list[Result]
    snapshot_id: str = Field(description="Changes when, and only when, results or health change.")
    computed_at: datetime | None
