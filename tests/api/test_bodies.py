"""Bodies: JSON, in bounds."""

from __future__ import annotations

import pytest

from api.bodies import MAX_BODY_BYTES

JSON = {"Content-Type": "application/json"}


def test_a_body_that_is_announced_too_large_is_refused_unread(acme):
    answer = acme.post("/v1/events", content=b" " * (MAX_BODY_BYTES + 1), headers=JSON)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_that_proves_too_large_is_refused(acme):
    """Sent in pieces, it announces no length."""

    def pieces():
        for _ in range(MAX_BODY_BYTES // 65536 + 2):
            yield b" " * 65536

    answer = acme.post("/v1/events", content=pieces(), headers=JSON)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_large_body_within_bounds_is_taken(acme):
    event = {"source": "s", "id": "1", "type": "t", "unit_id": "u", "occurred_at": "2025-01-01T00:00:00Z"}
    large = {**event, "properties": {"text": "x" * (MAX_BODY_BYTES - 1000)}}
    assert acme.post("/v1/events", json={"events": [large]}).json()["accepted"] == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonx"},
        {**JSON, "Content-Encoding": "br"},
        {**JSON, "Content-Encoding": "gzip, gzip"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/cloudevents+avro"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/assignments"])
def test_another_media_type_or_encoding_is_refused(acme, headers, path):
    answer = acme.post(path, content=b"{}", headers=headers)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"


def test_values_nested_to_any_depth_are_the_callers_fault(acme):
    """Around Python's own limit, a body may be read and then prove too deep to be written down again."""
    for depth in (33, 500, *range(900, 1010), 5_000, 100_000):
        event = b'{"properties": ' + b"[" * depth + b"]" * depth + b"}"
        answer = acme.post("/v1/events", content=b'{"events": [' + event + b"]}", headers=JSON)
        if answer.status_code == 200:
            assert answer.json()["invalid"] == 1
        else:
            assert answer.status_code in {400, 422}, (depth, answer.text)


def test_a_media_type_with_a_parameter_is_taken(acme):
    answer = acme.post(
        "/v1/events", content=b'{"events": [1]}', headers={"Content-Type": "Application/JSON; charset=utf-8"}
    )
    assert answer.status_code == 200
