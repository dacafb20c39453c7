"""Routes outside of FastAPI: found by path and method, counted, and failing in the same form as the others."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

from api.fast_routes import FastRoute, FastRoutesMiddleware
from api.problems import Problem


async def told(request):
    return PlainTextResponse(f"{request.method} {request.path_params}")


async def refused(request):
    raise Problem(422, "invalid-request", "No.")


async def broken(request):
    raise ValueError("a secret of the inside")


async def left(request):
    raise ClientDisconnect


async def otherwise(scope, receive, send):
    await PlainTextResponse("the rest of the application")(scope, receive, send)


ROUTES = [
    FastRoute("POST", "/a", told, {}),
    FastRoute("GET", "/a", told, {}),
    FastRoute("POST", "/a/{key}", told, {}),
    FastRoute("POST", "/a:b", told, {}),
    FastRoute("POST", "/refused", refused, {}),
    FastRoute("POST", "/broken", broken, {}),
    FastRoute("POST", "/left", left, {}),
]


def request(method, path):
    """Status, headers and body, and the template under which the request is counted."""
    sent, scope = [], {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b""}

    asyncio.run(FastRoutesMiddleware(otherwise, ROUTES)(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"].decode(), scope.get("answered_by")


@pytest.mark.parametrize(
    ("method", "path", "body", "route"),
    [
        ("POST", "/a", "POST {}", "/a"),
        ("GET", "/a", "GET {}", "/a"),
        ("POST", "/a/x.y-z", "POST {'key': 'x.y-z'}", "/a/{key}"),
        ("POST", "/a:b", "POST {}", "/a:b"),
        ("POST", "/a/", "the rest of the application", None),
        ("POST", "/a/x/y", "the rest of the application", None),
        ("POST", "/b", "the rest of the application", None),
    ],
)
def test_a_request_finds_its_route_or_the_rest_of_the_application(method, path, body, route):
    assert request(method, path)[2:] == (body, route)


@pytest.mark.parametrize(("method", "path", "allowed"), [("DELETE", "/a", "GET, POST"), ("GET", "/a/x", "POST")])
def test_another_method_is_told_which_ones_there_are(method, path, allowed):
    status, headers, body, _ = request(method, path)
    assert (status, headers["allow"]) == (405, allowed)
    assert json.loads(body)["type"] == "urn:causeway:problem:method-not-allowed"


@pytest.mark.parametrize(("path", "status"), [("/refused", 422), ("/broken", 500)])
def test_a_failure_is_a_problem_document_and_shows_nothing_of_the_inside(path, status):
    found, headers, body, route = request("POST", path)
    assert (found, headers["content-type"], route) == (status, "application/problem+json", path)
    assert json.loads(body)["status"] == status
    assert "secret" not in body


def test_a_caller_that_left_is_no_error_of_ours():
    assert request("POST", "/left")[0] == 400


def test_the_routes_are_counted_by_template(acme, world):
    world.declare("acme", "counted")
    acme.post("/v1/assignments", json={"experiment": "counted", "unit_id": "u"})
    acme.post("/ofrep/v1/evaluate/flags/counted", json={"context": {"targetingKey": "u"}})
    text = acme.get("/metrics").text
    assert 'causeway_api_requests_total{method="POST",route="/v1/assignments",status="200"} 1.0' in text
    assert 'route="/ofrep/v1/evaluate/flags/{key}",status="200"} 1.0' in text
    assert "counted" not in text
