"""Example requests and answers of the routes of assignments, as the OpenAPI description shows them."""

from __future__ import annotations

from typing import Any

from fastapi.openapi.models import Example

from api.examples import shown

_ASSIGNMENT: dict[str, Any] = {
    "experiment": "email_campaign",
    "unit_id": "customer-17",
    "variant": "mens",
    "assigned_at": "2025-01-31T12:00:00Z",
    "source": "api",
}

REQUEST: dict[str, Example] = {
    "a_unit": {
        "summary": "A unit with a property",
        "value": {
            "experiment": "email_campaign",
            "unit_id": "customer-17",
            "properties": {"channel": "Phone"},
        },
    }
}
ASSIGNMENT = shown({"an assignment": _ASSIGNMENT})
OF_UNIT = shown({"of a unit": {"unit_id": "customer-17", "assignments": [_ASSIGNMENT]}})
