"""A source of a tenant's events: a simulated world, or a file of events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from causeway.declarations.declaration import (
    Declaration,
    DeclaredPart,
    Number,
    Path,
    Prose,
    Text,
    WholeNumber,
    reject,
)


class Simulation(DeclaredPart):
    """A world whose truth is known."""

    world: Literal["pharma", "planner"] = Field(title="world", description="pharma or planner")
    seed: Annotated[WholeNumber, Field(ge=0, lt=2**63)] = Field(default=1, description="seed of the random numbers")
    scale: Annotated[Number, Field(gt=0, le=100_000)] = Field(
        default=1.0, description="size, 1 being 1,000 health-care professionals and 5,000 patients"
    )


class SourceDeclaration(Declaration):
    """A source as declared under ``kind: source``."""

    kind: Literal["source"] = Field(title="kind")
    name: Prose | None = Field(default=None, description="title for people")
    owner: Prose | None = Field(default=None, description="who answers for it")
    simulate: Simulation | None = Field(default=None, description="{world: pharma, seed: 1, scale: 1.0}")
    mode: Literal["append", "snapshot"] = Field(
        default="append",
        title="mode",
        description="append: the file adds events; snapshot: it holds all of them",
    )
    file: Text | None = Field(default=None, validate_default=True, description="event stream file")

    @field_validator("file")
    @classmethod
    def _one_place(cls, file: str | None, info: ValidationInfo) -> str | None:
        if "simulate" not in info.data:
            return file
        simulated = info.data["simulate"] is not None
        problems: list[tuple[Path, str]] = []
        if simulated == (file is not None):
            problems.append(((), "a source needs exactly one of simulate and file"))
        elif simulated and info.data.get("mode") == "snapshot":
            problems.append((("mode",), "mode is about files; leave it out of a simulated source"))
        reject(problems)
        return file
