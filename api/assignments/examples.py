"""Example requests and answers of the routes of assignments, as the OpenAPI description shows them."""

from __future__ import annotations

from typing import Any

from fastapi.openapi.models import Example

from api.assignments.batch import ARROW, NDJSON
from api.examples import shown

_STORED: dict[str, Any] = {
    "experiment": "email_campaign",
    "unit_id": "customer-17",
    "variant": "mens",
    "assigned_at": "2025-01-31T12:00:00Z",
    "source": "api",
    "policy_version": "0d5f5c6a41b2",
    "bucket_version": 0,
    "window_start": None,
}
ASSIGNED: dict[str, Any] = {
    **_STORED,
    "config": {"subject": "New for him"},
    "in_experiment": True,
    "status": "assigned",
    "reason": "SPLIT",
    "bucket": 7316,
    "sticky": False,
    "exposure_logged": True,
}
NOT_TARGETED: dict[str, Any] = {
    **ASSIGNED,
    "variant": None,
    "config": {"subject": "News"},
    "in_experiment": False,
    "status": "not_targeted",
    "reason": "DEFAULT",
    "bucket": None,
    "assigned_at": None,
    "source": None,
    "exposure_logged": False,
}
ASSIGNMENTS: dict[str, Any] = {"a variant": ASSIGNED, "not in the experiment": NOT_TARGETED}

REQUEST: dict[str, Example] = {
    "a_unit": {
        "summary": "A unit that sees its variant now",
        "value": {
            "experiment": "email_campaign",
            "unit_id": "customer-17",
            "context": {"channel": "Phone"},
            "log_exposure": True,
        },
    },
}
EXPLAIN: dict[str, Example] = {
    "a_unit": {
        "summary": "Why a unit gets what it gets",
        "value": {"experiment": "email_campaign", "unit_id": "customer-17", "context": {"channel": "Phone"}},
    },
}
EXPLAINED: dict[str, Any] = {
    "a unit whose variant is stored": {
        "flag": "email_campaign",
        "unit_id": "customer-17",
        "value": {"subject": "New for him"},
        "variant": "mens",
        "in_experiment": True,
        "status": "sticky",
        "why": "the unit's variant is stored, and a stored assignment is kept",
        "reason": "SPLIT",
        "experiment": "email_campaign",
        "policy_version": "0d5f5c6a41b2",
        "randomization_unit": "customer-17",
        "unit_attribute": "targetingKey",
        "hasher": "growthbook_v2",
        "bucket": 7316,
        "hash_value": 0.7316,
        "layer": None,
        "holdout": None,
        "is_holdout": False,
        "window_start": None,
        "sticky": True,
        "sticky_source": "targetingKey",
        "assigned_at": "2025-01-31T12:00:00Z",
        "source": "api",
        "steps": [
            {
                "flag": "email_campaign",
                "rule_index": 0,
                "rule_id": "",
                "outcome": "matched",
                "status": "sticky",
                "why": "the unit's variant is stored, and a stored assignment is kept",
                "detail": {"experiment": "email_campaign", "variant": "mens", "bucket": 7316},
            }
        ],
    }
}
OF_UNIT = shown({"of a unit": {"unit_id": "customer-17", "assignments": [_STORED]}})

_LINES = '{"unit_id": "customer-17", "channel": "Phone"}\n{"unit_id": "customer-18", "channel": "Web"}\n'
_ANSWERED = (
    '{"unit_id":"customer-17","bucket":7316,"randomization_unit":"customer-17","window_start":null,"variant":"mens",'
    '"in_experiment":true,"status":"assigned","reason":"SPLIT","sticky":false,"layer":null,"holdout":null,'
    '"unit_attribute":"targetingKey","policy_version":"0d5f5c6a41b2","config":{"subject":"New for him"}}\n'
)


def _table(lines: str) -> dict[str, Any]:
    """A table in either form; of the binary one there is nothing to show but that it is one."""
    text = {"type": "string", "description": "A JSON object a line."}
    stream = {"type": "string", "format": "binary", "description": "An Arrow IPC stream, its buffers uncompressed."}
    return {
        NDJSON: {"schema": text, "examples": {"two_units": {"summary": "Two units", "value": lines}}},
        ARROW: {"schema": stream, "examples": {"a_stream": {"summary": "A stream", "value": "(Arrow IPC stream)"}}},
    }


UNITS = _table(_LINES)
ASSIGNED_UNITS = _table(_ANSWERED)
