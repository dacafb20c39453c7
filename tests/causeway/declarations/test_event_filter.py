"""Filters of events, decided by a real Postgres, against what they say in Python."""

from __future__ import annotations

import json
import operator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from causeway.declarations.event_filter import EventFilter, json_path
from resources.postgres_client import PostgresClient

NAMES = st.sampled_from(["a", "b", 'q"uote', "sp ace", "$x"[1:], "é", "a.b"])
SCALARS = st.one_of(
    st.booleans(),
    st.none(),
    st.integers(-3, 3),
    st.sampled_from([0.5, -1.25, 1e300]),
    st.sampled_from(["", "1", "true", "x", 'q"', "\\", "$", "0.5", "nan", "ü"]),
)
ORDERED = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
TESTS = st.one_of(
    SCALARS,
    st.fixed_dictionaries({}, optional={"$eq": SCALARS, "$ne": SCALARS, "$exists": st.booleans()}).filter(bool),
    st.builds(
        lambda name, value: {name: value}, st.sampled_from(["$in", "$nin"]), st.lists(SCALARS, min_size=1, max_size=3)
    ),
    st.builds(lambda name, value: {name: value}, st.sampled_from(list(ORDERED)), st.integers(-3, 3)),
)
FILTERS = st.dictionaries(NAMES, TESTS, max_size=3)
PROPERTIES = st.dictionaries(NAMES, SCALARS, max_size=4)


def same(actual: Any, wanted: Any) -> bool:
    """Equal as JSON, or a text that says a number or a truth."""
    if isinstance(actual, bool) or isinstance(wanted, bool) or actual is None or wanted is None:
        return actual is wanted or (isinstance(wanted, bool) and actual == json.dumps(wanted))
    if isinstance(actual, str) != isinstance(wanted, str):
        return isinstance(actual, str) and actual == json.dumps(wanted)
    return bool(actual == wanted)


def number(actual: Any) -> float | None:
    if isinstance(actual, bool) or actual is None:
        return None
    try:
        return float(actual)
    except ValueError:
        return None


def meets(properties: dict[str, Any], where: dict[str, Any]) -> bool:
    return all(
        holds(name, test, operand, properties)
        for name, wanted in where.items()
        for test, operand in (wanted.items() if isinstance(wanted, dict) else [("$eq", wanted)])
    )


def holds(name: str, test: str, operand: Any, properties: dict[str, Any]) -> bool:
    actual = properties.get(name)
    if test == "$exists":
        return (actual is not None) == operand
    if test in ORDERED:
        found = number(actual)
        return found is not None and ORDERED[test](found, operand)
    found_any = name in properties and any(
        same(actual, each) for each in (operand if test in ("$in", "$nin") else [operand])
    )
    return found_any == (test in ("$eq", "$in"))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILTERS, PROPERTIES)
def test_postgres_decides_as_the_filter_says(
    postgres: PostgresClient, where: dict[str, Any], properties: dict[str, Any]
) -> None:
    TypeAdapter(EventFilter).validate_python(where)
    path = json_path(where)
    if path is None:
        assert meets(properties, where)
        return
    (found,) = postgres.fetch_one(
        "SELECT coalesce(jsonb_path_match(%s::jsonb, %s::jsonpath, '{}', true), false)", (json.dumps(properties), path)
    ) or (None,)
    assert found == meets(properties, where), path


@pytest.mark.parametrize(
    "where",
    [
        {"$or": [{"a": 1}]},
        {"a": {"$near": 1}},
        {"a": {"$in": 1}},
        {"a": {"$in": []}},
        {"a": {"$in": [[1]]}},
        {"a": {"$exists": 1}},
        {"a": [1]},
        {"a": {"$gt": {"b": 1}}},
        {"a": {"$gt": True}},
        {"a": {}},
    ],
)
def test_what_a_database_cannot_decide_is_refused(where: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(EventFilter).validate_python(where)
