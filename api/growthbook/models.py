"""What the route of GrowthBook's payload gives."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class SdkPayload(BaseModel):
    """Features by their key, in GrowthBook's form, and the saved groups that their conditions name."""

    status: Literal[200]
    features: dict[str, Any]
    savedGroups: dict[str, Any] = Field(default_factory=dict)
    left_out: dict[str, str] = Field(
        description="Flags and experiments that are not among the features, as no SDK could find their variants; each "
        "with the reason."
    )
