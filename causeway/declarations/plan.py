"""How an experiment is planned while it is a draft: from which history, for how long, and with how much simulation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from causeway.declarations.declaration import Date, DeclaredPart, Number, Text, WholeNumber, reject
from causeway.declarations.event_filter import EventFilter

HISTORY_DAYS = 56
"""Length of the history when none is declared."""

PLANNED_DAYS = 28
"""Length of the experiment when nothing declares one."""

PlannedCovariate = Literal["twin", "own_past", "none"]


class History(DeclaredPart):
    """The days of the past that stand for the days to come."""

    model_config = ConfigDict(serialize_by_alias=True)

    start: Date = Field(alias="from", description="first day (UTC)")
    end: Date = Field(alias="to", description="last day (UTC)")

    @field_validator("end")
    @classmethod
    def _ends_after_it_starts(cls, end: Date, info: ValidationInfo) -> Date:
        start = info.data.get("start")
        if start is not None and end < start:
            reject([(("to",), f"{end} is before the first day, {start}")])
        return end


class Eligible(DeclaredPart):
    """What a unit of the history must have done to count as one that would have entered."""

    event: Text | None = Field(default=None, description="type of the event with which a unit would have entered")
    where: EventFilter = Field(default={}, description="what a property of the event must be, such as {page: cart}")


class Simulated(DeclaredPart):
    """How much is simulated, and from which seed."""

    runs: Annotated[WholeNumber, Field(ge=50, le=100_000)] = Field(
        default=300, description="simulated experiments for each power of a metric that has no formula"
    )
    replays: Annotated[WholeNumber, Field(ge=50, le=1_000_000)] = Field(
        default=1_000, description="replays of the history without an effect, for each way of analysing a metric"
    )
    seed: Annotated[WholeNumber, Field(ge=0, le=2**32 - 1)] = Field(default=0, description="seed of all of it")


class HistoryPlan(DeclaredPart):
    """What power, duration and the true error rate are worked out from."""

    history: History | None = Field(
        default=None, description="days of the past, such as {from: 2024-01-01, to: 2024-02-29}"
    )
    eligible: Eligible = Field(default=Eligible(), description="which units would have entered, and when")
    days: Annotated[WholeNumber, Field(ge=1, le=3_650)] | None = Field(
        default=None, description="planned length of the experiment in days"
    )
    horizon: Annotated[WholeNumber, Field(ge=7, le=730)] = Field(
        default=90, description="days that are looked ahead for enrolment"
    )
    power: Annotated[Number, Field(ge=0.5, lt=1)] = Field(
        default=0.8, description="chance with which an effect is to be seen"
    )
    covariate: PlannedCovariate | None = Field(
        default=None,
        title="covariate",
        description="what the effect is adjusted for: twin, own_past or none",
    )
    simulate: Simulated = Field(default=Simulated(), description="how much is simulated")
