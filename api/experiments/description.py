"""The bodies of the routes that declare experiments, as the OpenAPI description has them."""

from __future__ import annotations

from typing import Any

from causeway.declarations.experiment import ExperimentDeclaration

REFERENCE = "#/components/schemas/{model}"

_DECLARED: dict[str, Any] = {
    "key": "checkout",
    "unit": "customer",
    "control": "off",
    "variants": {"off": 1, "on": 1},
    "configs": {"off": {"steps": 3}, "on": {"steps": 1}},
    "metrics": [{"key": "paid", "type": "conversion", "column": "paid", "role": "primary"}],
    "targeting": {"country": {"$in": ["DE", "AT"]}},
    "status": "draft",
}

DECLARATION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": REFERENCE.format(model="ExperimentDeclaration")},
                "examples": {"an_experiment": {"summary": "An experiment", "value": _DECLARED}},
            }
        },
    }
}

_PATCHED = {"examples": {"start_it": {"summary": "Start it", "value": {"status": "running"}}}}

PATCH: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            media_type: {"schema": {"type": "object", "description": "A JSON merge patch."}, **_PATCHED}
            for media_type in ("application/merge-patch+json", "application/json")
        },
    }
}


def declaration_schemas() -> dict[str, Any]:
    """Schemas by name of what a declaration of an experiment is made of, as it may be sent: without kind and tenant."""
    schema = ExperimentDeclaration.model_json_schema(ref_template=REFERENCE)
    parts: dict[str, Any] = schema.pop("$defs", {})
    schema["required"] = [name for name in schema["required"] if name != "kind"]
    return {**parts, "ExperimentDeclaration": schema}
