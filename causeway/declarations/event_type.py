"""An event type: what the properties of its events look like, in every version, and how long they are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import jsonschema_rs
from pydantic import ConfigDict, Field, field_validator

from causeway.declarations.declaration import Declaration, Path, Prose, WholeNumber, reject
from causeway.declarations.values import JsonObject

SEVEN_YEARS = 2557
"""Days of seven years, leap days included."""

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class EventTypeDeclaration(Declaration):
    """An event type as declared under ``kind: event_type``; its key is the type of the events."""

    model_config = ConfigDict(serialize_by_alias=True)

    kind: Literal["event_type"] = Field(title="kind")
    name: Prose | None = Field(default=None, description="title for people")
    owner: Prose | None = Field(default=None, description="who answers for it")
    description: Prose | None = Field(default=None, description="what an event of this type says")
    version: Annotated[WholeNumber, Field(ge=1, le=1_000_000_000)] = Field(
        default=1, description="version of the schema; a changed schema needs a higher one"
    )
    properties_schema: JsonObject = Field(
        default={}, alias="schema", description="JSON Schema (2020-12) of the events' properties"
    )
    retention_days: Annotated[WholeNumber, Field(ge=1, le=36_500)] = Field(
        default=SEVEN_YEARS, description="days after receipt that events of this type are kept"
    )

    @field_validator("properties_schema")
    @classmethod
    def _is_a_schema(cls, schema: dict[str, Any]) -> dict[str, Any]:
        reject([(("schema", *path), sentence) for path, sentence in problems_of_schema(schema)])
        return schema


def problems_of_schema(schema: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """What keeps ``schema`` from being a JSON Schema that stands by itself: nothing is fetched from elsewhere."""
    problems: list[tuple[Path, str]] = [
        (path, f"{reference!r} lies outside the schema; only references that begin with # are followed")
        for path, reference in _references(schema, ())
        if not reference.startswith("#")
    ]
    if problems:
        return problems
    try:
        properties_validator(schema)
    except jsonschema_rs.ValidationError as error:
        return [(tuple(error.instance_path), f"is not valid JSON Schema: {error.message[:200]}")]
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        return [((), f"is not valid JSON Schema: {str(error).splitlines()[0][:200]}")]
    return []


def properties_validator(schema: Mapping[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """A validator of events' properties; its regular expressions take linear time, whatever an event says.

    jsonschema_rs.ValidationError, ValueError or ReferencingError for what is no schema.
    """
    return jsonschema_rs.Draft202012Validator(
        dict(schema),
        validate_formats=True,
        retriever=_nothing_is_fetched,
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def _nothing_is_fetched(uri: str) -> Any:
    raise ValueError(f"{uri} lies outside the schema")


def _references(part: object, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key in _REFERENCES and isinstance(value, str):
                yield (*path, key), value
            else:
                yield from _references(value, (*path, key))
    elif isinstance(part, list):
        for index, value in enumerate(part):
            yield from _references(value, (*path, index))
