"""JSON inside a declaration: whatever is let in can be stored, hashed and sent."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from causeway.declarations.declaration import Prose
from causeway.declarations.values import MAX_JSON_CHARACTERS, MAX_JSON_DEPTH, Instant, JsonObject, JsonValue, Length

VALUE: TypeAdapter[Any] = TypeAdapter(JsonValue)


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1.5, "", "é🙂", [], {}, {"a": [1, {"b": None}]}, 2**63 - 1, nested(MAX_JSON_DEPTH)],
)
def test_json_is_let_in_as_it_is(value: object) -> None:
    kept = VALUE.validate_python(value)
    assert kept == value
    assert type(kept) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**63,
        10**5000,
        "a\0b",
        {"a\0b": 1},
        "\ud800",
        {"\ud800": 1},
        {1: 2},
        {"a": object()},
        b"bytes",
        nested(MAX_JSON_DEPTH + 1),
        nested(100_000),
        "x" * MAX_JSON_CHARACTERS,
        dt.datetime(2026, 1, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_stored_or_sent_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        VALUE.validate_python(value)


def test_an_object_is_an_object() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(JsonObject).validate_python([1])


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=20))
def test_whatever_is_let_in_is_json_of_finite_numbers(value: object) -> None:
    try:
        kept = VALUE.validate_python(value)
    except ValidationError:
        return
    assert json.loads(json.dumps(kept, allow_nan=False).encode()) == kept


@pytest.mark.parametrize("text", ["90s", "30m", "4h", "7d"])
def test_a_length_of_time_is_a_number_and_a_letter(text: str) -> None:
    assert TypeAdapter(Length).validate_python(text) == text


@pytest.mark.parametrize("text", ["0h", "h", "4", "4 h", "-4h", "4h\n", "4.5h", "36501d", 4])
def test_other_lengths_are_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Length).validate_python(text)


@pytest.mark.parametrize("text", ["2026-01-31", "2026-02-30T00:00:00Z", "now", "2026-01-31T08:00:00", 0, None, ""])
def test_other_instants_are_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Instant).validate_python(text)


def test_prose_holds_no_null_character() -> None:
    """Postgres cannot store one; line breaks it can."""
    assert TypeAdapter(Prose).validate_python("a\nb") == "a\nb"
    with pytest.raises(ValidationError):
        TypeAdapter(Prose).validate_python("a\0b")
