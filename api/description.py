"""The OpenAPI description: what FastAPI derives, with the key and the problems that all routes share."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.authentication import OPEN_PATHS
from api.experiments.description import declaration_schemas
from api.fast_routes import FastRoute
from api.problems import MEDIA_TYPE, OFREP, ProblemDocument

try:
    VERSION = version("causeway")
except PackageNotFoundError:
    # Run from a checkout that was not installed.
    VERSION = "0+unknown"

_REFERENCE = "#/components/schemas/{model}"
_SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "cw_<tenant>_<key id>_<secret>. The key alone says whose data is meant.",
    },
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key, by itself.",
    },
}
_ALWAYS = {
    401: "The key is missing, unknown or expired.",
    403: "The key's role does not open this route.",
    422: "The request is not as described here.",
    500: "Something went wrong on our side.",
    503: "The database cannot be reached, or nothing was materialised yet; see Retry-After.",
}
_WITH_PATH = {404: "This tenant has no such thing."}
_WITH_BODY = {
    400: "The body cannot be read as what it is said to be.",
    413: "The body is too large.",
    415: "The body is of a media type, or of an encoding, that is not described here.",
}


def describe(app: FastAPI, routers: Sequence[APIRouter], fast_routes: Sequence[FastRoute]) -> None:
    """Make ``app.openapi()`` say of each route that it needs a key and how it fails."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    summary=app.summary,
                    routes=app.routes,
                    openapi_version="3.1.0",
                ),
                routers,
                fast_routes,
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _described(
    document: dict[str, Any], routers: Sequence[APIRouter], fast_routes: Sequence[FastRoute]
) -> dict[str, Any]:
    components = document.setdefault("components", {})
    components["securitySchemes"] = _SECURITY
    schemas = components.setdefault("schemas", {})
    # FastAPI's own form of a validation error is never sent.
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    problem = ProblemDocument.model_json_schema(ref_template=_REFERENCE)
    schemas |= problem.pop("$defs", {})
    schemas["ProblemDocument"] = problem
    for route in (route for router in routers for route in router.routes):
        assert isinstance(route, APIRoute)
        _restore_examples(document["paths"][route.path_format], route)
    for fast in fast_routes:
        # The parts that operations share are written in once each: what is added to one must not be seen in another.
        document["paths"].setdefault(fast.path, {})[fast.method.lower()] = copy.deepcopy(dict(fast.operation))
        for model in fast.models:
            schema = model.model_json_schema(ref_template=_REFERENCE)
            for name, each in {**schema.pop("$defs", {}), model.__name__: schema}.items():
                schemas[name] = _without_null_defaults(each)
    schemas |= declaration_schemas()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation.setdefault("security", [] if path in OPEN_PATHS else [{"bearer": []}, {"api_key": []}])
            _add_failures(path, operation)
    return document


def _without_null_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """A member that may be left out has no default of null: where null is not allowed, that would be none."""
    for member in schema.get("properties", {}).values():
        if "default" in member and member["default"] is None:
            del member["default"]
    return schema


def _add_failures(path: str, operation: dict[str, Any]) -> None:
    """Say of every failure that its body is a problem document, unless the operation says something else itself."""
    responses = operation["responses"]
    for status, meaning in _failures(path, operation).items():
        # FastAPI's own word for 422 is of a body that is never sent.
        if str(status) not in responses or status == 422:
            responses[str(status)] = {"description": meaning}
    for status, response in responses.items():
        if status >= "400" and "content" not in response:
            response["content"] = {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model="ProblemDocument")}}}
    operation["responses"] = dict(sorted(responses.items()))


def _restore_examples(operations: dict[str, Any], route: APIRoute) -> None:
    """Put the examples of ``route`` in as they were written: FastAPI leaves out their nulls."""
    for method in route.methods or ():
        answers = operations[method.lower()]["responses"]
        for status, answer in route.responses.items():
            for media_type, content in answer.get("content", {}).items():
                if "examples" in content:
                    answers[str(status)]["content"][media_type]["examples"] = content["examples"]


def _failures(path: str, operation: dict[str, Any]) -> dict[int, str]:
    if path in OPEN_PATHS:
        return {503: _ALWAYS[503]} if path == "/readyz" else {}
    failures = dict(_ALWAYS)
    if path.startswith(OFREP):
        # What other routes refuse with 422 is a 400 there, whose errorCode says why.
        del failures[422]
    if "{" in path:
        failures |= _WITH_PATH
    if "requestBody" in operation:
        failures |= _WITH_BODY
    return failures
