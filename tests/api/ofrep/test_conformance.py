"""Answers held against OFREP's own OpenAPI document, mended where it refuses every answer that carries a value."""

from __future__ import annotations

import json
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest
import yaml
from jsonschema import Draft202012Validator

SINGLE = "/ofrep/v1/evaluate/flags/{key}"
BULK = "/ofrep/v1/evaluate/flags"
JSON = {"Content-Type": "application/json"}
CONTEXT = {"targetingKey": "customer-17", "country": "CA"}
FLAGS = {
    "yes": ("boolean", True),
    "no": ("boolean", False),
    "text": ("string", "hello"),
    "empty_text": ("string", ""),
    "whole": ("number", 42),
    "zero": ("number", 0),
    "ten": ("number", 10.0),
    "nothing_at_all": ("number", 0.0),
    "thing": ("object", {"colour": "blue", "sizes": [1, 2]}),
    "empty_thing": ("object", {}),
    "list": ("object", [1, 2]),
    "empty_list": ("object", []),
}


@pytest.fixture(scope="module", autouse=True)
def flags(world):
    world.declare("acme", "email_campaign", sticky={"fallback_attribute": "device"})
    world.declare("acme", "by_school", randomization={"by": "cluster", "attribute": "school"})
    for key, (kind, default) in FLAGS.items():
        world.put({"kind": "flag", "key": key, "tenant": "acme", "type": kind, "default": default})
    world.put(
        {
            "kind": "flag",
            "key": "targeted",
            "tenant": "acme",
            "type": "string",
            "default": "plain",
            "rules": [{"id": "canada", "if": {"country": "CA"}, "value": "maple"}],
        }
    )
    world.put(
        {"kind": "flag", "key": "disabled", "tenant": "acme", "type": "string", "default": "safe", "enabled": False}
    )


@pytest.fixture(scope="module")
def document(conformance_data) -> dict[str, Any]:
    """OFREP's document with its known defects mended."""
    document = yaml.safe_load((conformance_data / "ofrep-openapi.yaml").read_text())
    schemas = document["components"]["schemas"]
    # An integer is also a number, and every answer also fits the schema without properties: "exactly one" never holds.
    _, values = schemas["evaluationSuccess"]["allOf"]
    values["anyOf"] = values.pop("oneOf")
    schemas["codeDefaultFlag"]["not"] = {"required": ["value"]}
    # OpenFeature's objects are structures: providers take lists for them, which the document knows nothing of.
    schemas["objectFlag"]["properties"]["value"]["type"] = ["object", "array"]
    return document


@pytest.fixture(scope="module")
def check(document):
    """Validate an answer as the document says for its path and status."""

    def check(path: str, response: Any) -> None:
        described = document["paths"][path]["post"]["responses"][str(response.status_code)]
        content = described.get("content")
        if content is None:
            return
        assert response.headers["content-type"] == "application/json"
        schema = {**content["application/json"]["schema"], "components": document["components"]}
        Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(response.json())

    return check


def test_the_mended_document_still_refuses_what_is_no_answer(document):
    schema = {"$ref": "#/components/schemas/serverEvaluationSuccess", "components": document["components"]}
    validator = Draft202012Validator(schema)
    good = {"key": "text", "value": "hello", "reason": "STATIC", "variant": "default", "metadata": {"version": "1"}}
    assert validator.is_valid(good)
    assert validator.is_valid({name: value for name, value in good.items() if name != "value"})
    assert not validator.is_valid({**good, "reason": "DEFAULT"})
    assert not validator.is_valid({**good, "value": None})
    assert not validator.is_valid({**good, "metadata": {"nested": {"a": 1}}})
    assert not validator.is_valid({name: value for name, value in good.items() if name != "key"})


@pytest.mark.parametrize("key", [*FLAGS, "targeted", "disabled", "email_campaign"])
def test_every_kind_of_flag_is_answered_as_the_document_says(acme, check, key):
    response = acme.post(SINGLE.format(key=key), json={"context": CONTEXT})
    assert response.status_code == 200
    check(SINGLE, response)
    body = response.json()
    assert body["key"] == key
    assert isinstance(body["variant"], str) and body["variant"]
    if key in FLAGS:
        assert (body["value"], type(body["value"])) == (FLAGS[key][1], type(FLAGS[key][1]))


def test_a_float_keeps_its_point_on_the_wire(acme):
    for key, written in (("ten", b'"value":10.0'), ("nothing_at_all", b'"value":0.0'), ("whole", b'"value":42')):
        assert written in acme.post(SINGLE.format(key=key), json={}).content


def test_all_flags_at_once_are_answered_as_the_document_says(acme, check):
    response = acme.post(BULK, json={"context": CONTEXT})
    assert response.status_code == 200
    check(BULK, response)
    keys = [flag["key"] for flag in response.json()["flags"]]
    assert keys == sorted([*FLAGS, "targeted", "disabled", "email_campaign", "by_school"])


def test_without_a_targeting_key_only_the_flags_that_need_one_fail(acme, check):
    response = acme.post(BULK, json={"context": {}})
    check(BULK, response)
    failed = {flag["key"]: flag["errorCode"] for flag in response.json()["flags"] if "errorCode" in flag}
    assert failed == {"email_campaign": "TARGETING_KEY_MISSING", "by_school": "INVALID_CONTEXT"}


@pytest.mark.parametrize(
    ("key", "content", "status", "code"),
    [
        ("text", b"{", 400, "PARSE_ERROR"),
        ("text", b"", 400, "PARSE_ERROR"),
        ("text", b"[]", 400, "PARSE_ERROR"),
        ("text", b'{"context": {"age": NaN}}', 400, "PARSE_ERROR"),
        ("text", b'{"context": {"name": "\\ud800"}}', 400, "PARSE_ERROR"),
        ("text", b'{"context": {"a": 1, "a": 2}}', 400, "PARSE_ERROR"),
        ("text", b'{"context": {"a": ' + b"[" * 5000 + b"]" * 5000 + b"}}", 400, "PARSE_ERROR"),
        ("text", b'{"context": []}', 400, "INVALID_CONTEXT"),
        ("text", b'{"context": {"targetingKey": 17}}', 400, "INVALID_CONTEXT"),
        ("text", b'{"context": {"targetingKey": "a\\u0000b"}}', 400, "INVALID_CONTEXT"),
        ("text", b'{"context": {"targetingKey": "' + b"a" * 1_000_000 + b'"}}', 400, "INVALID_CONTEXT"),
        ("email_campaign", b'{"context": {}}', 400, "TARGETING_KEY_MISSING"),
        ("email_campaign", b"{}", 400, "TARGETING_KEY_MISSING"),
        ("not_there", b"{}", 404, "FLAG_NOT_FOUND"),
        ("a%20b", b"{}", 404, "FLAG_NOT_FOUND"),
    ],
)
def test_what_cannot_be_evaluated_is_answered_as_the_document_says(acme, check, key, content, status, code):
    response = acme.post(SINGLE.format(key=key), content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    check(SINGLE, response)
    body = response.json()
    assert (body["errorCode"], body["status"]) == (code, status)
    assert body["errorDetails"] == body["detail"] != ""


def test_bad_input_to_all_flags_is_answered_as_the_document_says(acme, check):
    for content, code in ((b"{", "PARSE_ERROR"), (b'{"context": 1}', "INVALID_CONTEXT")):
        response = acme.post(BULK, content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == 400
        check(BULK, response)
        assert response.json()["errorCode"] == code


def test_refusals_before_the_flag_is_looked_at_speak_the_protocol_too(acme, stranger):
    path = SINGLE.format(key="text")
    refused = [
        (401, stranger.post(path, json={})),
        (415, acme.post(path, content=b"{}", headers={"Content-Type": "text/plain"})),
        (413, acme.post(path, content=b'{"context": {"a": "' + b"a" * 6_000_000 + b'"}}', headers=JSON)),
        (405, acme.get(path)),
    ]
    for status, response in refused:
        assert response.status_code == status
        assert response.headers["content-type"] == "application/json"
        assert response.json()["errorDetails"] and response.json()["errorCode"] == "GENERAL"


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\x00", "\ud800", ""])
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
NAMES = st.sampled_from(["targetingKey", "country", "school", "device", "id"]) | st.text()


@hypothesis.given(
    context=st.dictionaries(NAMES, VALUES, max_size=6),
    key=st.sampled_from(["email_campaign", "targeted", "by_school"]),
    prefer=st.sampled_from([{}, {"Prefer": "exposure=log"}]),
)
@hypothesis.settings(max_examples=150, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_whatever_a_context_holds_the_answer_is_as_the_document_says(acme, check, context, key, prefer):
    content = json.dumps({"context": context}).encode()
    for path in (SINGLE.format(key=key), BULK):
        response = acme.post(path, content=content, headers={**JSON, **prefer})
        assert response.status_code in (200, 400)
        check(SINGLE if path != BULK else BULK, response)
