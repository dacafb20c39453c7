"""What the routes of assignments take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.bodies import Instant, Key, Properties, UnitId

Context = Annotated[
    Properties,
    Field(
        description="Attributes of the unit, which targeting looks at; an experiment that deals out clusters finds the "
        "unit's cluster here, and one with a fallback the id under which the unit was known before.",
        examples=[{"channel": "Phone"}],
    ),
]


Reason = Annotated[
    Literal["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "DEFAULT", "UNKNOWN", "ERROR"],
    Field(description="What decided, as OpenFeature says it."),
]


class Asked(BaseModel):
    """A unit, an experiment, and what is known of the unit."""

    model_config = ConfigDict(extra="forbid")

    experiment: Key = Field(examples=["email_campaign"])
    unit_id: UnitId = Field(description="The unit; the targetingKey of its context.", examples=["customer-17"])
    context: Context
    at: Instant | None = Field(
        default=None, description="The time of which ramps and switchback windows are taken; now when left out."
    )


class AssignmentRequest(Asked):
    """Asks for the variant of one unit in one experiment."""

    properties: Properties = Field(deprecated=True, description="Former name of context; context wins.")
    log_exposure: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Whether the unit sees its variant now: an exposure event is stored, once."
    )


class Assignment(BaseModel):
    """The variant that a unit was given and keeps, or why it has none."""

    experiment: str
    unit_id: str
    variant: str | None = Field(description="Null if the unit is not in the experiment.")
    config: Any = Field(description="The variant's configuration; that of the control if the unit has no variant.")
    in_experiment: bool = Field(description="Whether the unit is counted; one with a forced variant is not.")
    status: str = Field(
        description="What decided, in a word that does not change: assigned (by its hash), sticky (it was stored "
        "before), forced; or why it has no variant: not_running, disabled, not_targeted, prerequisite, layer, holdout, "
        "coverage, no_unit, closed_to_new_units, blocked_by_version, variant_withdrawn."
    )
    reason: Reason
    policy_version: str | None = Field(
        description="Version of what decided the assignment; null if it was decided elsewhere, as in a landed file."
    )
    bucket_version: int
    bucket: int | None = Field(description="Where the hash put the unit; null if it was not hashed.")
    window_start: datetime | None = Field(description="Start of the switchback window for which the variant holds.")
    assigned_at: datetime | None = Field(description="When it was given for the first time; null if nothing is stored.")
    source: str | None = Field(description='"api", or the source that brought the assignment.')
    sticky: bool = Field(description="Whether the variant is one that was stored before this request.")
    exposure_logged: bool = Field(description="Whether an exposure to this variant is stored, now or before.")


class UnitAssignment(BaseModel):
    """The stored assignment of a unit in one experiment: that of the highest bucket version and last window."""

    experiment: str
    unit_id: str
    variant: str
    assigned_at: datetime = Field(description="When it was given for the first time.")
    source: str = Field(description='"api", or the source that brought the assignment.')
    policy_version: str | None
    bucket_version: int
    window_start: datetime | None


class UnitAssignments(BaseModel):
    """What is stored of a unit, in the order of the experiments' keys."""

    unit_id: str
    assignments: list[UnitAssignment]


class ExplainRequest(Asked):
    """Asks why a unit gets what it gets from an experiment or a flag. Nothing is stored."""

    experiment: Key = Field(description="Key of the experiment, or of any flag.", examples=["email_campaign"])


class ExplainedStep(BaseModel):
    """What became of one rule: of the flag itself, or of a flag that it depends on."""

    flag: str
    rule_index: int = Field(description="Place of the rule in its flag, from 0.")
    rule_id: str
    outcome: Literal["matched", "not_matched", "not_reached"]
    status: str | None = Field(description="Why, in a word that does not change; null if it was not reached.")
    why: str = Field(description="Why, in words.")
    detail: dict[str, Any] = Field(description="What was looked at.")


class ExplainedEvaluation(BaseModel):
    """What the unit would be answered now, and every rule that was looked at on the way, or not come to."""

    flag: str
    unit_id: str
    value: Any
    variant: str | None
    in_experiment: bool
    status: str = Field(description="What decided, in a word that does not change.")
    why: str = Field(description="What decided, in words.")
    reason: Reason
    experiment: str | None = Field(description="The experiment that decided, or was the last one tried.")
    policy_version: str
    randomization_unit: str | None = Field(description="What was hashed: the unit, or its cluster.")
    unit_attribute: str | None = Field(description="The attribute that it was found in.")
    hasher: str | None
    bucket: int | None = Field(description="Where the hash put the unit.")
    hash_value: float | None = Field(description="The same as a number from 0 to below 1.")
    layer: str | None = Field(description="The layer in which the experiment's buckets lie.")
    holdout: str | None = Field(description="The holdout that holds the unit out.")
    is_holdout: bool
    window_start: datetime | None
    sticky: bool = Field(description="Whether a stored assignment decided.")
    sticky_source: str | None = Field(description="The attribute under which that was stored.")
    assigned_at: datetime | None = Field(description="When the stored assignment was given.")
    source: str | None = Field(description="Where the stored assignment came from.")
    steps: list[ExplainedStep]
