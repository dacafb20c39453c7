"""The OpenAPI description: valid, complete, and true of the examples that it shows."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import create_app
from api.settings import Settings


@pytest.fixture(scope="module")
def document():
    return create_app(Settings(database_url="postgresql://causeway_api@127.0.0.1/causeway")).openapi()


@pytest.fixture(scope="module")
def operations(document):
    return [
        (f"{method} {path}", path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def media_of(operation):
    """Every (name, media type object) of an operation's request and answers."""
    bodies = [(status, answer) for status, answer in operation["responses"].items()]
    if "requestBody" in operation:
        bodies.append(("request", operation["requestBody"]))
    return [(name, kind, media) for name, body in bodies for kind, media in body.get("content", {}).items()]


def test_the_description_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_shows_an_example_of_its_answer_and_of_what_it_takes(operations):
    for name, _, operation in operations:
        successes = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
        assert successes, name
        for success in successes:
            assert all(media["examples"] for media in success.get("content", {}).values()), name
        if "requestBody" in operation:
            assert all(media["examples"] for media in operation["requestBody"]["content"].values()), name
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                assert parameter["schema"]["examples"], name


def test_every_example_is_as_its_schema_says(document, operations):
    checked = 0
    for _, _, operation in operations:
        for _, kind, media in media_of(operation):
            if not kind.endswith("json"):
                continue
            schema = {**media["schema"], "components": document["components"]}
            validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
            for example in media.get("examples", {}).values():
                validator.validate(example["value"])
                checked += 1
    assert checked >= 10


def test_every_route_needs_a_key_but_those_of_operations(operations):
    without = {path for _, path, operation in operations if not operation["security"]}
    assert without == {"/healthz", "/readyz", "/metrics"}


def test_every_failure_is_described_as_a_problem_document(operations):
    """OFREP has JSON of its own, in which the members of a problem stand beside OFREP's."""
    for name, path, operation in operations:
        media_type = "application/json" if path.startswith("/ofrep/") else "application/problem+json"
        failures = {status for status in operation["responses"] if status >= "400"}
        if path.startswith("/v1"):
            assert {"401", "403", "422", "500", "503"} <= failures, name
        for status in failures:
            assert list(operation["responses"][status]["content"]) == [media_type], name


def test_routes_and_schemas_are_described_in_words(document, operations):
    for name, _, operation in operations:
        assert operation.get("description"), name
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])
