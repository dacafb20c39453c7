"""Bodies: JSON, in bounds."""

from __future__ import annotations

import gzip
import json
import resource
import zlib

import pytest
import zstandard

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


EVENT = {"source": "coded", "type": "t", "unit_id": "u", "occurred_at": "2025-01-01T00:00:00Z"}


def packed(encoding, body):
    return gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
class TestEncodings:
    def test_a_body_may_be_packed(self, acme, encoding):
        body = json.dumps([{**EVENT, "id": f"{encoding}-{number}"} for number in range(100)]).encode()
        answer = acme.post("/v1/events", content=packed(encoding, body), headers={**JSON, "Content-Encoding": encoding})
        assert answer.status_code == 200, answer.text
        assert answer.json()["accepted"] == 100

    def test_in_several_pieces_that_follow_each_other(self, acme, encoding):
        body = json.dumps([{**EVENT, "id": f"{encoding}-pieces"}]).encode()
        content = packed(encoding, body[:20]) + packed(encoding, body[20:])
        answer = acme.post("/v1/events", content=content, headers={**JSON, "Content-Encoding": encoding.upper()})
        assert answer.json()["accepted"] == 1

    @pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 100 * MAX_BODY_BYTES])
    def test_a_bomb_is_given_up_before_it_is_written_out(self, acme, encoding, size):
        """Half a gigabyte of blanks takes half a megabyte of gzip, and a tenth of that of zstd."""
        chunk = b" " * min(size, 2**20)
        if encoding == "gzip":
            packer = zlib.compressobj(wbits=31)
            content = b"".join(packer.compress(chunk) for _ in range(-(-size // len(chunk)))) + packer.flush()
        else:
            packer = zstandard.ZstdCompressor().compressobj()
            content = b"".join(packer.compress(chunk) for _ in range(-(-size // len(chunk)))) + packer.flush()
        assert len(content) < MAX_BODY_BYTES + 2**20
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = acme.post("/v1/events", content=content, headers={**JSON, "Content-Encoding": encoding})
        assert answer.status_code == 413, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000

    @pytest.mark.parametrize(
        "damage", [lambda body: body[:-3], lambda body: b"x" + body, lambda body: b"", lambda _: b"{}"]
    )
    def test_what_is_not_packed_so_is_the_callers_fault(self, acme, encoding, damage):
        content = damage(packed(encoding, b'{"events": [1]}' * 10))
        answer = acme.post("/v1/events", content=content, headers={**JSON, "Content-Encoding": encoding})
        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_media_type_with_a_parameter_is_taken(acme):
    answer = acme.post(
        "/v1/events", content=b'{"events": [1]}', headers={"Content-Type": "Application/JSON; charset=utf-8"}
    )
    assert answer.status_code == 200
