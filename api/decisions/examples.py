"""Example requests and answers of the routes of decisions, as the OpenAPI description shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.openapi.models import Example

from api.decisions.models import DecisionRefused
from api.examples import shown
from api.problems import MEDIA_TYPE

_GUARDRAIL = {
    "check": "guardrail:latency",
    "variant": "mens",
    "detail": "mens: the guardrail latency does not exclude a loss beyond its margin: -0.01 (-0.03 to 0.01), a relative"
    " loss of 0.02 is tolerated.",
}

_SHIPPED: dict[str, Any] = {
    "decision_id": "d_5f0c6e1c9a4b4d0e8f5a",
    "experiment": "email_campaign",
    "decision": "ship",
    "variant": "mens",
    "actor": "mira@example.org",
    "recorded_by": "4f1d2c3b5a69",
    "reason": None,
    "is_override": False,
    "failing_checks": [],
    "recommendation": "ship",
    "inputs": {
        "run_time": {"known_on": "2024-01-16", "days": 15, "ends_on": "2024-01-15", "has_ended": True},
        "verdicts": {"mens": "ship", "womens": "continue"},
    },
    "snapshot_id": "9b1c2f0f4c0f7d0e8e2f4a6b1d3c5e7f",
    "decided_at": "2024-01-17T09:00:00Z",
}
_OVERRIDDEN: dict[str, Any] = {
    **_SHIPPED,
    "decision_id": "d_1b2c3d4e5f60718293a4",
    "reason": "The slower page is cached from Monday on.",
    "is_override": True,
    "failing_checks": [_GUARDRAIL],
    "recommendation": "continue",
}
_NEXT = {
    "next_step": "No unit's variant was changed: assignment follows the declaration. Make mens what is there without"
    " the experiment, then set status: stopped in email_campaign.yaml."
}
_REFUSED: dict[str, Any] = {
    "type": "urn:causeway:problem:checks-failing",
    "title": "Conflict",
    "status": 409,
    "detail": "To ship is not what the declared rule allows: guardrail:latency (mens). To do it all the same send"
    " override: true and a reason, which go on record.",
    "instance": "/v1/experiments/email_campaign/decisions",
    "errors": [],
    "recommendation": "continue",
    "failing_checks": [_GUARDRAIL],
}

REQUEST: dict[str, Example] = {
    "as_the_rule_says": {
        "summary": "As the rule says",
        "value": {"decision": "ship", "variant": "mens", "actor": "mira@example.org"},
    },
    "an_override": {
        "summary": "An override",
        "value": {
            "decision": "ship",
            "variant": "mens",
            "actor": "mira@example.org",
            "reason": "The slower page is cached from Monday on.",
            "override": True,
        },
    },
}


def _refusal() -> dict[str, Any]:
    """The schema of the problem document; what it refers to is described with the other answers."""
    schema = DecisionRefused.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return schema


def _refused(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    examples: dict[str, Any] = shown({name: value}, MEDIA_TYPE)[200]["content"][MEDIA_TYPE]["examples"]
    return examples


TAKEN: dict[int | str, dict[str, Any]] = {
    201: {
        "description": "It is on record.",
        "headers": {"Location": {"description": "Path of the decisions.", "schema": {"type": "string"}}},
        "content": shown({"as the rule says": _SHIPPED | _NEXT, "an override": _OVERRIDDEN | _NEXT})[200]["content"],
    },
    409: {
        "description": "The declared rule does not agree: failing_checks says what fails.",
        "content": {MEDIA_TYPE: {"schema": _refusal(), "examples": _refused("a guardrail", _REFUSED)}},
    },
}
PAGE = shown({"a page": {"decisions": [_OVERRIDDEN, _SHIPPED], "next": None}})
