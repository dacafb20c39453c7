"""A saved group: a named list of values that conditions can ask for with $inGroup."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from causeway.declarations.declaration import Declaration, Prose
from causeway.declarations.values import JsonValue


def _text_or_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise PydanticCustomError("not_a_member", "expected a text or a number")
    return value


Member = Annotated[JsonValue, BeforeValidator(_text_or_number)]


class SavedGroupDeclaration(Declaration):
    """A saved group as declared under ``kind: saved_group``."""

    kind: Literal["saved_group"] = Field(title="kind")
    name: Prose | None = Field(default=None, description="title for people")
    owner: Prose | None = Field(default=None, description="who answers for it")
    values: tuple[Member, ...] = Field(description="the values in the group, such as ids of customers")
