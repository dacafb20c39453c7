"""What the routes of assignments take and give."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from api.bodies import Key, Properties, UnitId


class AssignmentRequest(BaseModel):
    """Asks for the variant of one unit in one experiment."""

    model_config = ConfigDict(extra="forbid")

    experiment: Key = Field(examples=["email_campaign"])
    unit_id: UnitId = Field(examples=["customer-17"])
    properties: Properties


class Assignment(BaseModel):
    """The variant that a unit was given, and keeps."""

    experiment: str
    unit_id: str
    variant: str
    assigned_at: datetime = Field(description="When it was given for the first time.")
    source: str = Field(description='"api", or the source that brought the assignment.')


class UnitAssignments(BaseModel):
    """The first assignment of a unit in each experiment, in the order of the experiments' keys."""

    unit_id: str
    assignments: list[Assignment]
