"""Example requests and answers of the routes of events, as the OpenAPI description shows them."""

from __future__ import annotations

from typing import Any

from fastapi.openapi.models import Example

from api.examples import shown

_ORDER: dict[str, Any] = {
    "source": "web_shop",
    "id": "order-20931",
    "type": "outcome",
    "unit_id": "customer-17",
    "occurred_at": "2025-01-31T12:00:00Z",
    "sent_at": "2025-01-31T12:00:01Z",
    "properties": {"spend": 29.9},
}

BATCH: dict[str, Example] = {
    "two_events": {
        "summary": "An outcome, and one without a unit",
        "value": {"events": [_ORDER, {**_ORDER, "id": "order-20932", "unit_id": ""}]},
    }
}

OUTCOME = shown(
    {
        "one of two is stored": {
            "accepted": 1,
            "duplicate": 0,
            "invalid": 1,
            "events": [
                {"position": 0, "id": "order-20931", "outcome": "accepted", "code": None, "reason": None},
                {
                    "position": 1,
                    "id": "order-20932",
                    "outcome": "invalid",
                    "code": "missing_unit",
                    "reason": "unit_id: String should have at least 1 character",
                },
            ],
        }
    }
)
