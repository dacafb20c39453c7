"""Example requests and answers of the routes of kill switches, as the OpenAPI description shows them."""

from __future__ import annotations

from typing import Any

from fastapi.openapi.models import Example

from api.examples import shown

_SWITCH: dict[str, Any] = {
    "key": "checkout",
    "engaged_at": "2025-01-31T12:00:00Z",
    "engaged_by": "4f1d2c3b5a69",
    "reason": "Checkout fails on phones.",
}

REQUEST: dict[str, Example] = {
    "with_a_reason": {"summary": "With a reason", "value": {"reason": "Checkout fails on phones."}}
}
SWITCH = shown({"switched off": _SWITCH})
SWITCHES = shown({"one is off": {"kill_switches": [_SWITCH]}})
