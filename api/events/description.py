"""How /openapi.json describes the route of events: every form that it takes, and examples."""

from __future__ import annotations

from typing import Any

from api.events import cloudevents
from api.events.models import CloudEvent, Event
from api.events.reading import MAX_EVENTS
from api.examples import shown
from api.problems import MEDIA_TYPE

_ORDER: dict[str, Any] = {
    "source": "web_shop",
    "id": "order-20931",
    "type": "outcome",
    "unit_id": "customer-17",
    "occurred_at": "2025-01-31T12:00:00Z",
    "sent_at": "2025-01-31T12:00:01Z",
    "properties": {"spend": 29.9},
}
_EXPOSURE: dict[str, Any] = {
    "source": "web_shop",
    "id": "page-view-77",
    "type": "exposure",
    "unit_id": "customer-17",
    "occurred_at": "2025-01-31T11:59:00Z",
    "properties": {"experiment": "checkout", "variant": "one_page"},
}
_CLOUD_ORDER: dict[str, Any] = {
    "specversion": "1.0",
    "id": "order-20931",
    "source": "/web_shop",
    "type": "outcome",
    "subject": "customer-17",
    "time": "2025-01-31T12:00:00Z",
    "sentat": "2025-01-31T12:00:01Z",
    "dataschema": "https://schemas.example.com/outcome/2",
    "data": {"spend": 29.9},
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    **shown(
        {
            "one of two is stored": {
                "accepted": 1,
                "duplicate": 0,
                "conflict": 0,
                "invalid": 1,
                "retry": 0,
                "events": [
                    {"position": 0, "id": "order-20931", "outcome": "accepted", "code": None, "reason": None},
                    {
                        "position": 1,
                        "id": "order-20932",
                        "outcome": "invalid",
                        "code": "missing_unit",
                        "reason": "unit_id: must not be blank",
                    },
                ],
            }
        }
    ),
    429: {
        "description": "More events wait than can be stored at the moment; see Retry-After.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    },
}


def _list_of(event: dict[str, Any], least: int) -> dict[str, Any]:
    return {"type": "array", "items": event, "minItems": least, "maxItems": MAX_EVENTS}


_EVENT, _CLOUD_EVENT = Event.model_json_schema(), CloudEvent.model_json_schema()

OPERATION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Events in one of these forms; gzip and zstd may be its Content-Encoding. In CloudEvents' "
        "binary mode the body is the data alone, as application/json, and the attributes are headers, ce-id and so on.",
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {
                            "type": "object",
                            "properties": {"events": _list_of(_EVENT, 1)},
                            "required": ["events"],
                            "additionalProperties": False,
                        },
                        _list_of(_EVENT, 1),
                        _EVENT,
                    ]
                },
                "examples": {
                    "two_events": {
                        "summary": "An outcome, and that its unit was shown a variant",
                        "value": {"events": [_ORDER, _EXPOSURE]},
                    },
                    "one_event": {"summary": "One event", "value": _ORDER},
                },
            },
            cloudevents.EVENT: {
                "schema": _CLOUD_EVENT,
                "examples": {"an_event": {"summary": "A CloudEvent", "value": _CLOUD_ORDER}},
            },
            cloudevents.BATCH: {
                "schema": _list_of(_CLOUD_EVENT, 0),
                "examples": {"a_batch": {"summary": "A batch of one", "value": [_CLOUD_ORDER]}},
            },
        },
    }
}
