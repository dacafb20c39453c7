"""Routes for whoever runs the service. They need no key and say nothing about any tenant."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.database import Database
from api.operations import examples
from api.operations.metrics import Metrics
from api.operations.models import Liveness, Readiness

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_model=Liveness, responses=examples.LIVENESS)
async def get_liveness() -> Liveness:
    """The process is alive; it may still be without a database."""
    return Liveness()


@router.get("/readyz", response_model=Readiness, responses=examples.READINESS)
async def get_readiness(request: Request) -> Readiness:
    """Postgres answers, so requests can be served; 503 while it does not."""
    database: Database = request.app.state.database
    await database.ping()
    return Readiness()


@router.get("/metrics", response_class=PlainTextResponse, responses=examples.METRICS)
async def get_metrics(request: Request) -> Response:
    """Counts and times in the text format of Prometheus, by route; nothing about a tenant is among them."""
    metrics: Metrics = request.app.state.metrics
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
