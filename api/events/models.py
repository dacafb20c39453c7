"""What the route of events takes and gives."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from api.bodies import Instant, Name, Properties, UnitId

MAX_EVENTS = 1000


class Event(BaseModel):
    """Something that happened to a unit."""

    model_config = ConfigDict(extra="forbid")

    source: Name = Field(description="Who says so.", examples=["web_shop"])
    id: Name = Field(
        description="Unique in its source: an event that is sent again is stored once.",
        examples=["order-20931"],
    )
    type: Name = Field(description="The kind of event.", examples=["outcome"])
    unit_id: UnitId = Field(examples=["customer-17"])
    occurred_at: Instant = Field(description="When it happened, with the offset from UTC.")
    sent_at: Instant | None = Field(default=None, description="When it was sent, by the sender's clock.")
    properties: Properties


class EventBatch(BaseModel):
    """Events to be stored; one that is not as described is set aside and does not hold up the others."""

    model_config = ConfigDict(extra="forbid")

    # Each event is judged by itself while the batch is stored, so that one bad event is one bad answer.
    events: list[SkipValidation[Event]] = Field(min_length=1, max_length=MAX_EVENTS)


class EventOutcome(BaseModel):
    """What became of one event."""

    position: int = Field(description="Place of the event in the batch, from 0.")
    id: str | None = Field(description="The event's id; null if it has none that could be read.")
    outcome: Literal["accepted", "duplicate", "invalid"] = Field(
        description="accepted: stored; duplicate: its source and id were there before; invalid: set aside."
    )
    code: str | None = Field(default=None, description="Why it is invalid, in a word that does not change.")
    reason: str | None = Field(default=None, description="Why it is invalid, in words.")


class BatchOutcome(BaseModel):
    """What became of each event, in the order of the batch."""

    accepted: int
    duplicate: int
    invalid: int
    events: list[EventOutcome]
