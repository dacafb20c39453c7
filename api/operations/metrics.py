"""What Prometheus may know: how many requests, how long, how they ended; nothing about any tenant."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.answers import Answers

# Their creation times would triple the page and help nobody.
disable_created_metrics()  # type: ignore[no-untyped-call]

_METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The measurements of one application."""

    def __init__(self, answers: Answers, waiting: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "causeway_api_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "causeway_api_request_seconds",
            "Time from a request's first byte to the last of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        linked = Gauge(
            "causeway_api_hears_publications",
            "1 while the connection that tells of publications is up, so that answers may be kept.",
            registry=self.registry,
        )
        linked.set_function(lambda: float(answers.is_linked))
        queued = Gauge(
            "causeway_api_assignments_waiting",
            "Requests for an assignment that wait to be stored.",
            registry=self.registry,
        )
        queued.set_function(lambda: float(waiting()))


class MetricsMiddleware:
    """Counts and times every request under the template of its route, so that no id becomes a label."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        begun = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = scope.get("answered_by") or getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - begun)
