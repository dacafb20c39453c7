"""How the example answers of a route are written down for its description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.openapi.models import Example
from pydantic import BaseModel


def shown(examples: Mapping[str, Any], media_type: str = "application/json") -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that answers 200 as in ``examples``, which are named for people."""
    named = {name.replace(" ", "_"): {"summary": name, "value": value} for name, value in examples.items()}
    return {200: {"content": {media_type: {"examples": named}}}}


def body_of(model: type[BaseModel], examples: Mapping[str, Example]) -> dict[str, Any]:
    """The request body of an operation that is written out: JSON as ``model``, with ``examples``."""
    return {"required": True, "content": {"application/json": {"schema": _schema(model), "examples": dict(examples)}}}


def shown_as(model: type[BaseModel], examples: Mapping[str, Any], description: str) -> dict[str, Any]:
    """The response of an operation that is written out: JSON as ``model``, as in ``examples``."""
    content = shown(examples)[200]["content"]["application/json"]
    return {"description": description, "content": {"application/json": {"schema": _schema(model), **content}}}


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
