"""Liveness, readiness and metrics."""

from __future__ import annotations

import gzip
import re


def test_liveness_and_readiness_need_no_key(stranger):
    assert stranger.get("/healthz").json() == {"status": "alive"}
    assert stranger.get("/readyz").json() == {"status": "ready"}


def test_metrics_count_by_route_and_name_no_tenant_key_or_experiment(acme, stranger, world):
    world.declare("acme", "very-secret")
    for _ in range(3):
        assert acme.get("/v1/experiments/very-secret/results").status_code == 200
    acme.get("/v1/nothing/very-secret")
    stranger.get("/v1/experiments/very-secret")
    text = stranger.get("/metrics").text
    counted = re.search(r'causeway_api_requests_total{method="GET",route="([^"]*results)",status="200"} (\S+)', text)
    # The second and third answers were kept ones: they count under the same route.
    assert counted is not None and counted.groups() == ("/v1/experiments/{key}/results", "3.0")
    assert 'route="unmatched",status="404"' in text
    assert 'status="401"' in text
    assert "very-secret" not in text and "acme" not in text


def test_a_compressed_request_is_counted_under_its_route(acme):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert acme.post("/v1/events", content=gzip.compress(b'{"events": [1]}'), headers=headers).status_code == 200
    assert 'method="POST",route="/v1/events",status="200"} 1.0' in acme.get("/metrics").text
