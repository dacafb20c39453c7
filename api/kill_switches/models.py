"""What the routes of kill switches take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _storable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text must not hold half of a surrogate pair") from None
    return text


Words = Annotated[
    str,
    StringConstraints(strict=True, max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$"),
    AfterValidator(_storable),
]


class KillSwitchRequest(BaseModel):
    """Why something is switched off."""

    model_config = ConfigDict(extra="forbid")

    reason: Words | None = Field(default=None, description="In your own words.", examples=["Checkout fails on phones."])


class KillSwitch(BaseModel):
    """Something that is switched off: a flag answers its default, an experiment its control, to every unit."""

    key: str = Field(description="Key of the flag or experiment.")
    engaged_at: datetime
    engaged_by: str = Field(description="The public part of the key of whoever switched it off.")
    reason: str | None


class KillSwitchList(BaseModel):
    """Everything that is switched off now, in the order of its keys."""

    kill_switches: list[KillSwitch]
