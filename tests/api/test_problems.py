"""Every failure is a problem document of one shape, and none tells what the inside looks like."""

from __future__ import annotations

import json
import socket

import pytest

from api.problems import ProblemDocument

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "content", "status"),
    [
        ("GET", "/v1/nothing", None, 404),
        ("GET", "/v1/experiments/", None, 404),
        ("GET", "/v1/experiments/absent", None, 404),
        ("GET", "/docs", None, 404),
        ("DELETE", "/v1/experiments", None, 405),
        ("POST", "/v1/events", b"{", 400),
        ("POST", "/v1/events", b"\xff\xfe", 400),
        ("POST", "/v1/events", b"[" * 100_000, 400),
        ("POST", "/v1/events", b'{"events": ' + b"9" * 5000 + b"}", 422),
        ("POST", "/v1/events", b"", 400),
        ("POST", "/v1/assignments", b'{"experiment": ' + b"9" * 5000 + b"}", 400),
        ("POST", "/v1/assignments", b'{"experiment": "e", "unit_id": "u", "unit_id": "v"}', 422),
        ("POST", "/v1/assignments", b"", 400),
        ("DELETE", "/v1/assignments", None, 405),
        ("POST", "/v1/events", b"7", 422),
        ("POST", "/v1/events", b'{"events": 7}', 422),
        ("POST", "/v1/events", b'{"events": [], "\\ud800": 1}', 422),
        ("POST", "/v1/assignments", b'{"experiment": "\\ud800", "unit_id": "u"}', 422),
        ("GET", "/v1/experiments?limit=-1", None, 422),
    ],
)
def test_a_failure_is_a_problem_document(acme, method, path, content, status):
    answer = acme.request(method, path, content=content, headers=JSON if content is not None else {})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = ProblemDocument.model_validate_json(answer.content)
    assert (problem.status, problem.instance) == (status, path.partition("?")[0])
    assert problem.type.startswith("urn:causeway:problem:")
    if status == 405:
        assert answer.headers["allow"]


def test_an_error_of_ours_shows_nothing_of_the_inside(acme, world):
    """A stored declaration that no longer validates is our fault; its text must not reach the caller."""
    world.insert(
        "registry.experiments",
        tenant_id="acme",
        key="spoilt",
        declaration={"secret": 1},
        declaration_hash="h",
    )
    answer = acme.post("/v1/assignments", json={"experiment": "spoilt", "unit_id": "u"})
    assert answer.status_code == 500
    problem = ProblemDocument.model_validate_json(answer.content)
    assert problem.title == "Internal Server Error"
    assert not any(word in answer.text for word in ("secret", "declaration", "Traceback", "pydantic", ".py"))


@pytest.mark.parametrize(
    "target",
    [
        "/v1/experiments/%00/results",
        "/v1/assignments/%00",
        "/v1/assignments/%ff%fe",
        "/v1/assignments/%ED%A0%80",
        "/v1/assignments/" + "u" * 5000,
        "/v1/experiments?cursor=%ff",
        "/v1/experiments/x/results?metric=%00",
        "/v1/experiments/x/results?metric=%ED%A0%80",
        "/v1/experiments/x/results?metric=" + "m" * 5000,
        "/v1/assignments/%F0%9F%98%80",
    ],
)
def test_bytes_that_are_no_text_are_the_callers_fault(served, target):
    """Sent as they are, because a client library would mend them first."""
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        head = (f"GET {target} HTTP/1.1", "Host: x", f"X-API-Key: {served.keys['acme']}", "Connection: close")
        connection.sendall("\r\n".join((*head, "", "")).encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] in {b"404", b"422"}, answer
    assert json.loads(body)["status"] in {404, 422}
