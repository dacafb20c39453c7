"""What the route of events takes and gives, as its description shows it.

Events are judged one by one in ``judging``, many thousand a second: these models only say the same in OpenAPI.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.bodies import Instant, Name, Properties, UnitId
from api.events.reading import MAX_EVENTS


class Event(BaseModel):
    """Something that happened to a unit."""

    model_config = ConfigDict(extra="forbid")

    source: Name = Field(description="Who says so.", examples=["web_shop"])
    id: Name = Field(
        description="Unique in its source: an event that is sent again is stored once, however late it comes.",
        examples=["order-20931"],
    )
    type: Name = Field(
        description="The kind of event. If it is declared, the properties are held against its schema; if not, they "
        "are taken as they are.",
        examples=["outcome"],
    )
    unit_id: UnitId = Field(examples=["customer-17"])
    occurred_at: Instant = Field(description="When it happened, with the offset from UTC.")
    sent_at: Instant | None = Field(
        default=None,
        description="When it was sent, by the sender's clock: set it anew when the event is sent again. It tells how "
        "far that clock is off, and is no part of what makes two events equal.",
    )
    schema_version: int | None = Field(
        default=None,
        ge=1,
        lt=2**31,
        strict=True,
        description="Version of the type's schema that the properties follow; the newest one if it is left out.",
    )
    properties: Properties


class EventBatch(BaseModel):
    """Events to be stored; one that is not as described is set aside and does not hold up the others."""

    model_config = ConfigDict(extra="forbid")

    events: list[Any] = Field(min_length=1, max_length=MAX_EVENTS)


class CloudEvent(BaseModel):
    """A CloudEvent 1.0 in JSON; what it says more than this is kept as an extension."""

    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"]
    id: Name
    source: Name
    type: Name
    subject: UnitId = Field(description="The unit.")
    time: Instant = Field(description="When it happened.")
    sentat: Instant | None = Field(default=None, description="When it was sent, by the sender's clock.")
    dataschema: str | None = Field(
        default=None,
        description="Ends in the version of the type's schema.",
        examples=["https://schemas.example.com/order/2"],
        pattern=r"(^|[/:@=#.-])v?[0-9]{1,9}$",
    )
    datacontenttype: str | None = Field(default=None, examples=["application/json"])
    data: Properties


class EventOutcome(BaseModel):
    """What became of one event."""

    position: int = Field(description="Place of the event in the batch, from 0.")
    id: str | None = Field(description="The event's id; null if it has none that could be read.")
    outcome: Literal["accepted", "duplicate", "conflict", "invalid", "retry"] = Field(
        description="accepted: stored; duplicate: it was stored before; conflict: another event of its source and id "
        "was, and stays; invalid: set aside; retry: another request is storing it at this moment, send it again."
    )
    code: str | None = Field(default=None, description="Why it is not stored, in a word that does not change.")
    reason: str | None = Field(default=None, description="Why it is not stored, in words.")


class BatchOutcome(BaseModel):
    """What became of each event, in the order of the batch."""

    accepted: int
    duplicate: int
    conflict: int
    invalid: int
    retry: int
    events: list[EventOutcome]
