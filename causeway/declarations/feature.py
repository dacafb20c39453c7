"""A feature: one number or category per unit, made from the events before a moment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from causeway.declarations.declaration import Declaration, Number, Prose, Text, reject


class FeatureDeclaration(Declaration):
    """A feature as declared under ``kind: feature``."""

    kind: Literal["feature"] = Field(title="kind")
    name: Prose | None = Field(default=None, description="title for people")
    owner: Prose | None = Field(default=None, description="who answers for it")
    unit: Text = Field(description="what it describes, such as customer")
    event: Text = Field(description="type of the event that it is made from")
    column: Text | None = Field(default=None, description="property of the event; not needed to count")
    aggregation: Literal["count", "sum", "mean", "latest"] = Field(
        title="aggregation", description="count, sum, mean or latest"
    )
    lookback_days: Annotated[Number, Field(gt=0, le=36_500)] | None = Field(
        default=None, description="days before the moment that count; all of them when left out"
    )

    @field_validator("aggregation")
    @classmethod
    def _a_value_needs_a_column(cls, aggregation: str, info: ValidationInfo) -> str:
        if aggregation != "count" and "column" in info.data and info.data["column"] is None:
            reject([(("aggregation",), f"{aggregation} needs a column to take its values from")])
        return aggregation
