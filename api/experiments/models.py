"""What the routes of experiments take and give."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.problems import FieldError

FilterText = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]

Status = Literal["draft", "running", "paused", "stopped", "archived"]
Interval = Literal["fixed_horizon", "always_valid", "group_sequential"]
INTERVAL = (
    "fixed_horizon: holds if it is read once, at the declared end; always_valid: at all looks together;"
    " group_sequential: at the planned ones."
)
ResultStatus = Literal["ok", "no_units", "too_few_units", "zero_variance", "no_covariates", "not_estimable", "withheld"]


class ResultFilter(BaseModel):
    """Which rows of results are asked for. A filter that is not among these is refused, not passed over."""

    model_config = ConfigDict(extra="forbid")

    metric: FilterText | None = Field(default=None, description="Only this metric.")
    segment: FilterText | None = Field(
        default=None, description='Only this segment, written "column=value"; empty: everybody.'
    )
    method: FilterText | None = Field(default=None, description="Only this method.")


class LookFilter(BaseModel):
    """Which looks are asked for."""

    model_config = ConfigDict(extra="forbid")

    metric: FilterText | None = Field(default=None, description="Only this metric.")


class LifeCycleStep(BaseModel):
    """When an experiment came to a status and version."""

    status: Status
    version: int
    at: datetime


class ExperimentSummary(BaseModel):
    """An experiment as declared, and where it stands."""

    experiment: str = Field(description="Key of the experiment.")
    name: str | None
    hypothesis: str | None
    owner: str | None
    unit: str
    control: str
    variants: dict[str, float] = Field(description="Weight of each variant.")
    status: Status = Field(description="Where it is in its life cycle.")
    version: int = Field(description="Raised when what decides the variants changes while it runs.")
    stage: Literal["pending", "not_started", "running", "ended"] = Field(
        description="Where its results are: pending (nothing materialised yet), or by its first and last day."
    )
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
    declaration_hash: str = Field(description="Of the declaration; the ETag is made of it.")
    declared_in: str | None = Field(description="The file that declares it; null: it was declared over HTTP.")
    declaration: dict[str, Any] = Field(description="The whole declaration, with every default filled in.")
    life_cycle: list[LifeCycleStep] = Field(description="Every status and version that it had, oldest first.")


class RegisteredExperiment(BaseModel):
    """An experiment as it came into force."""

    experiment: str = Field(description="Key of the experiment.")
    status: Status
    version: int
    declaration: dict[str, Any] = Field(description="The whole declaration, with every default filled in.")
    declaration_hash: str
    declared_in: str | None
    declared_at: datetime
    life_cycle: list[LifeCycleStep]


class Difference(BaseModel):
    """One value that would be another."""

    path: str = Field(examples=["variants.on"])
    before: Any = Field(description="Null if there is none.")
    after: Any = Field(description="Null if there would be none.")


class Plan(BaseModel):
    """What a write would do, had it not been a dry run."""

    experiment: str
    action: Literal["create", "change", "none"]
    changes: list[Difference]
    problems: list[FieldError] = Field(description="What keeps it from being done; empty if nothing does.")


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
    interval: Interval = Field(description=INTERVAL)
    is_headline: bool = Field(description="Whether the metric and variant are judged by this row.")
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
    adjusted_p_value: float | None = Field(
        description="Of a headline: corrected for the family of primary and secondary metrics and the variants."
    )
    is_significant: bool | None = Field(
        description="Of a headline: whether that is at most alpha; null of guardrails, which are no part of the family."
    )
    chance_to_beat: float | None = Field(
        description="Of a headline: posterior probability that the variant is better than control."
    )
    expected_loss: float | None = Field(
        description="Of a headline: posterior expected loss in units of the metric, were the variant shipped."
    )
    reasons: list[Any]
    settings: dict[str, Any] = Field(description="What was really done.")
    provenance_id: str | None = Field(description="How the row was made: causeway reproduce <provenance_id>.")


class Look(BaseModel):
    """The effect of one variant on one metric as it stood at the end of a day.

    Unless status is ok, the effect and everything that is derived from it is null.
    """

    model_config = ConfigDict(extra="forbid")

    metric: str
    metric_role: Literal["primary", "secondary", "guardrail"]
    variant: str
    control: str
    day: date = Field(description="UTC day, up to whose end everything is in the effect.")
    method: str
    interval: Interval = Field(description=INTERVAL)
    status: ResultStatus
    n: int
    n_control: int
    mean: float | None
    mean_control: float | None
    effect: float | None
    std_error: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    relative_effect: float | None
    relative_ci_low: float | None
    relative_ci_high: float | None
    alpha: float | None = Field(description="Error rate of the interval over all looks together.")
    provenance_id: str | None


class ExperimentLooks(BaseModel):
    """Every look at every effect of an experiment; none while a gate is closed."""

    model_config = ConfigDict(extra="forbid")

    experiment: str
    looks: list[Look] = Field(description="By metric, variant and day.")


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
