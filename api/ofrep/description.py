"""The routes of OFREP as the OpenAPI description has them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.ofrep.models import (
    BulkEvaluationSuccess,
    EvaluationFailure,
    EvaluationRequest,
    EvaluationSuccess,
    OfrepProblem,
)

MODELS: tuple[type[BaseModel], ...] = (
    EvaluationRequest,
    EvaluationSuccess,
    EvaluationFailure,
    BulkEvaluationSuccess,
    OfrepProblem,
)

_ETAG = {
    "description": "Changes with the answer, whatever made it change: flags, context, or a stored assignment.",
    "schema": {"type": "string"},
}
_SPLIT: dict[str, Any] = {
    "key": "new_checkout",
    "value": True,
    "reason": "SPLIT",
    "variant": "on",
    "metadata": {
        "contextId": "customer-17",
        "flagSetId": "demo",
        "version": "5b1f0c7d9e2a",
        "status": "assigned",
        "experimentKey": "checkout",
        "configVersion": "0d5f5c6a41b2",
        "ruleId": "try",
        "hashAlgorithm": "growthbook_v2",
        "bucket": 7316,
        "inExperiment": True,
        "isHoldout": False,
        "sticky": False,
    },
}
_STATIC: dict[str, Any] = {
    "key": "banner",
    "value": "spring",
    "reason": "STATIC",
    "variant": "default",
    "metadata": {"flagSetId": "demo", "version": "5b1f0c7d9e2a", "status": "default"},
}
_FAILURE: dict[str, Any] = {
    "key": "new_checkout",
    "errorCode": "TARGETING_KEY_MISSING",
    "errorDetails": "Flag new_checkout needs a targetingKey in the context.",
}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/EvaluationRequest"},
            "examples": {
                "a_unit": {
                    "summary": "A unit with an attribute",
                    "value": {"context": {"targetingKey": "customer-17", "country": "CA"}},
                }
            },
        }
    },
}
_KEY: dict[str, Any] = {
    "name": "key",
    "in": "path",
    "required": True,
    "description": "Key of the flag, or of an experiment.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,100}$", "examples": ["new_checkout"]},
}
_HEADERS: list[dict[str, Any]] = [
    {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "ETag of an earlier answer: 304 without a body if this one would be the same.",
        "schema": {"type": "string"},
    },
    {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "description": "exposure=log: log that the unit was exposed, once per experiment that it is in. An evaluation "
        "alone is no exposure.",
        "schema": {"type": "string", "examples": ["exposure=log"]},
    },
]
_QUERY: list[dict[str, Any]] = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "description": "What a notice of a change said; the answer is always as of now, so nothing depends on it.",
        "schema": {"type": "string"},
    }
    for name in ("flagConfigEtag", "flagConfigLastModified")
]


def _answered(model: type[BaseModel], examples: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": "Evaluated.",
        "headers": {"ETag": _ETAG},
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{model.__name__}"},
                "examples": {
                    name.replace(" ", "_"): {"summary": name, "value": value} for name, value in examples.items()
                },
            }
        },
    }


def _failures(**others: str) -> dict[str, Any]:
    meanings = {
        "400": "The body is not JSON, or the context cannot be used: errorCode says which.",
        "401": "The key is missing, unknown or expired.",
        "403": "The key does not open this route.",
        "413": "The body is too large.",
        "415": "The body is not application/json.",
        "429": "More exposures wait to be logged than can be stored; see Retry-After.",
        "500": "Something went wrong on our side.",
        "503": "The database cannot be reached, and something stored is needed; see Retry-After.",
        **others,
    }
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/OfrepProblem"}}}
    return {status: {"description": meaning, "content": content} for status, meaning in sorted(meanings.items())}


_UNCHANGED = {"description": "The answer is the one whose ETag was sent as If-None-Match."}

SINGLE: dict[str, Any] = {
    "tags": ["ofrep"],
    "summary": "Evaluate a flag",
    "operationId": "evaluate_flag",
    "description": "The value of one flag, or experiment, in a context; nothing is stored, unless an exposure is asked "
    "for. A unit whose assignment is stored keeps its variant.\n\nA flag that is switched off answers its declared "
    "default with the reason DISABLED.",
    "parameters": [_KEY, *_HEADERS],
    "requestBody": _BODY,
    "responses": {
        "200": _answered(EvaluationSuccess, {"by a split": _SPLIT, "without rules": _STATIC}),
        "304": _UNCHANGED,
        **_failures(**{"404": "This tenant has no such flag."}),
    },
}
BULK: dict[str, Any] = {
    "tags": ["ofrep"],
    "summary": "Evaluate all flags",
    "operationId": "evaluate_flags",
    "description": "The value of every flag and experiment in a context, in the order of their keys. One that cannot "
    "be evaluated in it fails by itself.",
    "parameters": [*_HEADERS, *_QUERY],
    "requestBody": _BODY,
    "responses": {
        "200": _answered(
            BulkEvaluationSuccess,
            {
                "two flags": {
                    "flags": [_STATIC, _FAILURE],
                    "metadata": {"flagSetId": "demo", "version": "5b1f0c7d9e2a"},
                }
            },
        ),
        "304": _UNCHANGED,
        **_failures(),
    },
}
