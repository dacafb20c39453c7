"""The route of GrowthBook's payload as the OpenAPI description has it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.growthbook.models import SdkPayload

MODELS: tuple[type[BaseModel], ...] = (SdkPayload,)

_EXAMPLE: dict[str, Any] = {
    "status": 200,
    "features": {
        "banner": {"defaultValue": "spring"},
        "checkout": {
            "defaultValue": "off",
            "rules": [
                {
                    "key": "checkout",
                    "seed": "checkout",
                    "hashVersion": 2,
                    "hashAttribute": "id",
                    "coverage": 1.0,
                    "weights": [0.5, 0.5],
                    "variations": ["off", "on"],
                    "meta": [{"key": "off"}, {"key": "on"}],
                }
            ],
        },
    },
    "savedGroups": {},
    "left_out": {"price_test": "uses the hasher planout"},
}

FEATURES: dict[str, Any] = {
    "tags": ["growthbook"],
    "summary": "GrowthBook SDK payload",
    "operationId": "get_growthbook_payload",
    "description": "The tenant's flags and experiments as GrowthBook's SDKs take them: give an SDK this server as "
    "api_host and the key as client_key, and the unit as the attribute id.\n\nThe SDK finds the variants that "
    "this API would, by the unit's hash; what is stored of a unit it does not know. Experiments whose hash it cannot "
    "compute are left out.",
    "parameters": [
        {
            "name": "client_key",
            "in": "path",
            "required": True,
            "description": "The key itself, of role client or developer; SDKs send no header.",
            "schema": {"type": "string", "examples": ["cw_demo_4f1d2c3b5a69_secret"]},
        },
        {
            "name": "If-None-Match",
            "in": "header",
            "required": False,
            "description": "ETag of an earlier answer: 304 without a body if nothing has changed since.",
            "schema": {"type": "string"},
        },
    ],
    "responses": {
        "200": {
            "description": "The payload.",
            "headers": {"ETag": {"description": "Changes with the payload.", "schema": {"type": "string"}}},
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/SdkPayload"},
                    "examples": {"two_features": {"summary": "two features", "value": _EXAMPLE}},
                }
            },
        },
        "304": {"description": "The payload is the one whose ETag was sent as If-None-Match."},
    },
}
