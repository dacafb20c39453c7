"""Example answers of the routes of operations, as the OpenAPI description shows them."""

from __future__ import annotations

from api.examples import shown

LIVENESS = shown({"alive": {"status": "alive"}})
READINESS = shown({"ready": {"status": "ready"}})
METRICS = shown(
    {"a count": 'causeway_api_requests_total{method="GET",route="/v1/experiments",status="200"} 128.0\n'},
    media_type="text/plain",
)
