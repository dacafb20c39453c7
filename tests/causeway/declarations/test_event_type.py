"""Event types: their schema stands by itself, and checking an event by it takes linear time."""

from __future__ import annotations

import pytest

from causeway.declarations.event_type import SEVEN_YEARS, EventTypeDeclaration, problems_of_schema, properties_validator
from causeway.declarations.problem import DeclarationError
from causeway.declarations.reading import read_declaration

PURCHASE = """\
kind: event_type
key: purchase
version: 2
schema:
  type: object
  required: [amount]
  properties:
    amount: {type: number, minimum: 0}
"""


def event_type(text: str = PURCHASE) -> EventTypeDeclaration:
    declared = read_declaration(text, "purchase.yaml")
    assert isinstance(declared, EventTypeDeclaration)
    return declared


def test_a_schema_is_written_read_and_stored_under_its_name() -> None:
    declared = event_type()
    assert declared.document()["schema"] == declared.properties_schema
    assert declared.retention_days == SEVEN_YEARS == 2557
    validator = properties_validator(declared.properties_schema)
    assert validator.is_valid({"amount": 1})
    assert not validator.is_valid({"amount": -1})
    assert not validator.is_valid({})


def test_without_a_schema_everything_is_valid() -> None:
    declared = event_type("kind: event_type\nkey: purchase\n")
    assert properties_validator(declared.properties_schema).is_valid({"x": [None]})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("type: object", "type: objct", "purchase.yaml:5: schema.type: is not valid JSON Schema: "),
        ("minimum: 0", "pattern: '('", "purchase.yaml:8: schema.properties.amount.pattern: is not valid JSON Schema"),
        ("type: number", "$ref: 'http://x/y'", "purchase.yaml:8: schema.properties.amount['$ref']: 'http://x/y'"),
        ("type: number", "$ref: 'file:///etc/passwd'", "lies outside the schema"),
        ("type: number", "$ref: '#/nowhere'", "is not valid JSON Schema"),
        ("version: 2", "version: 1.5", "purchase.yaml:3: version: expected a whole number"),
        ("version: 2", "retention_days: 0", "purchase.yaml:3: retention_days: must be at least 1"),
        ("schema:\n  type: object", "schema: [a]\nx:\n  type: a", "purchase.yaml:4: schema: expected a mapping"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, message: str) -> None:
    assert old in PURCHASE
    with pytest.raises(DeclarationError) as raised:
        event_type(PURCHASE.replace(old, new, 1))
    assert message in str(raised.value)


def test_a_pattern_that_cannot_be_matched_in_linear_time_is_refused() -> None:
    assert problems_of_schema({"properties": {"a": {"pattern": "(?=a)b"}}})
    assert problems_of_schema({"properties": {"a": {"pattern": r"(a)\1"}}})
    assert problems_of_schema({"properties": {"a": {"pattern": "^(a+)+$"}}}) == []


def test_a_property_may_be_called_like_a_reference() -> None:
    assert problems_of_schema({"properties": {"$ref": {"type": "string"}}}) == []
