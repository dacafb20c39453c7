"""What the routes of decisions take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.bodies import Name
from api.kill_switches.models import Words

Decided = Literal["ship", "stop", "continue"]
Recommendation = Literal["ship", "stop", "continue", "withheld"]


class DecisionRequest(BaseModel):
    """A decision that somebody takes."""

    model_config = ConfigDict(extra="forbid")

    decision: Decided = Field(description="ship, stop or continue.")
    variant: Annotated[str, Field(strict=True, min_length=1, max_length=300)] | None = Field(
        default=None, description="What is shipped; the variant that the rule names when left out."
    )
    actor: Name = Field(description="Who decides.", examples=["mira@example.org"])
    reason: Words | None = Field(default=None, description="Why, in your own words.")
    override: bool = Field(default=False, strict=True, description="Decide although checks fail. Needs a reason.")

    @model_validator(mode="after")
    def _says_what_it_must(self) -> DecisionRequest:
        if self.variant is not None and self.decision != "ship":
            raise PydanticCustomError("variant", "only what is shipped has a variant")
        if self.override and not (self.reason or "").strip():
            raise PydanticCustomError("reason", "an override needs a reason")
        return self


class FailingCheck(BaseModel):
    """Something that speaks against a decision."""

    check: str = Field(description="A closed gate, a condition of the declared rule, or its recommendation.")
    variant: str | None = Field(description="The variant that it is about; null for all of them.")
    detail: str


class RecordedDecision(BaseModel):
    """A decision on record. It is never changed; a later one takes its place."""

    decision_id: str
    experiment: str
    decision: Decided
    variant: str | None = Field(description="What is shipped.")
    actor: str = Field(description="Who decided.")
    recorded_by: str = Field(description="The public part of the key with which it was sent.")
    reason: str | None
    is_override: bool = Field(description="Whether it was taken against failing checks.")
    failing_checks: list[FailingCheck]
    recommendation: Recommendation | None = Field(description="What the declared rule said; null: nothing yet.")
    inputs: dict[str, Any] = Field(description="What the rule made that of: numbers, gates, conditions, run time.")
    snapshot_id: str | None = Field(description="Of the results as they were served; null: none were.")
    decided_at: datetime


class DecisionTaken(RecordedDecision):
    """A decision as it went on record, and what is left to do."""

    next_step: str = Field(description="Nothing was changed for any unit: what to do so that it is.")


class DecisionPage(BaseModel):
    """Decisions of an experiment, the newest first."""

    decisions: list[RecordedDecision]
    next: str | None = Field(description="Cursor of the next page; null on the last one.")


class DecisionRefused(BaseModel):
    """The problem document of a decision that the declared rule does not agree with."""

    type: str = Field(examples=["urn:causeway:problem:checks-failing"])
    title: str
    status: int
    detail: str
    instance: str
    errors: list[Any] = Field(description="Empty: no field is to blame.")
    recommendation: Recommendation | None
    failing_checks: list[FailingCheck]
