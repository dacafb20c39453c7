"""Which events a metric counts: a condition on their properties that a database can decide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from causeway.declarations.values import JsonObject

_COMPARISONS = {"$eq": "==", "$ne": "!=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_LISTS = ("$in", "$nin")
OPERATORS = (*_COMPARISONS, *_LISTS, "$exists")
_MOST_VALUES = 1_000

Scalar = str | int | float | bool | None


def _checked(where: dict[str, Any]) -> dict[str, Any]:
    for name, wanted in where.items():
        if name.startswith("$"):
            raise _refusal(f"{name!r} is no property; all properties that are named must fit")
        tests = _tests(wanted)
        if not tests:
            raise _refusal(f"{name!r} needs a value, or an operator such as {{$gte: 10}}")
        for operator, operand in tests:
            _check(name, operator, operand)
    return where


def _tests(wanted: Any) -> list[tuple[str, Any]]:
    return list(wanted.items()) if isinstance(wanted, Mapping) else [("$eq", wanted)]


def _check(name: str, operator: str, operand: Any) -> None:
    if operator not in OPERATORS:
        raise _refusal(f"{operator!r} is no operator for {name!r}; expected one of {', '.join(OPERATORS)}")
    if operator == "$exists":
        if not isinstance(operand, bool):
            raise _refusal(f"$exists of {name!r} needs true or false")
    elif operator in _LISTS:
        if not isinstance(operand, list) or not all(_is_scalar(item) for item in operand):
            raise _refusal(f"{operator} of {name!r} needs a list of texts, numbers, true or false")
        if not 0 < len(operand) <= _MOST_VALUES:
            raise _refusal(f"{operator} of {name!r} needs 1 to {_MOST_VALUES:,} values")
    elif operator in ("$gt", "$gte", "$lt", "$lte") and (isinstance(operand, bool) or operand is None):
        raise _refusal(f"{operator} of {name!r} needs a number or a text")
    elif not _is_scalar(operand):
        raise _refusal(f"{operator} of {name!r} needs a text, a number, true or false")


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | bool) or value is None


def _refusal(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("event_filter", "{sentence}", {"sentence": sentence})


EventFilter = Annotated[JsonObject, AfterValidator(_checked)]
"""Properties and what they must be, all of them: {country: DE, amount: {$gte: 10}, channel: {$in: [web, app]}}."""


def json_path(where: Mapping[str, Any]) -> str | None:
    """The filter as an SQL/JSON path predicate over an event's properties, as PostgreSQL's ``jsonb_path_match`` takes
    it; None for a filter that everything passes.

    A number in a filter is also met by a text that says it, as landed tables have, and true by "true". What is missing
    is unequal to everything.

    >>> json_path({"country": "DE", "amount": {"$gte": 10}})
    '($."country" == "DE") && ($."amount".double() >= 10)'
    """
    tests = [
        _path_of(name, operator, operand) for name, wanted in where.items() for operator, operand in _tests(wanted)
    ]
    return " && ".join(f"({test})" for test in tests) or None


def _path_of(name: str, operator: str, operand: Any) -> str:
    at = f"$.{json.dumps(name, ensure_ascii=False)}"
    if operator == "$exists":
        # A property that is there and null says nothing either.
        present = f"exists({at}) && {at} != null"
        return present if operand else f"!({present})"
    if operator in ("$eq", "$in"):
        return _any_of(at, operand if operator == "$in" else [operand])
    if operator in ("$ne", "$nin"):
        found = _any_of(at, operand if operator == "$nin" else [operand])
        # Values of two types are neither equal nor unequal to the path: that is unknown to it.
        return f"!({found}) || (({found}) is unknown)"
    if isinstance(operand, str):
        return f"{at} {_COMPARISONS[operator]} {_literal(operand)}"
    return f"{at}.double() {_COMPARISONS[operator]} {_literal(operand)}"


def _any_of(at: str, values: list[Scalar]) -> str:
    return " || ".join(" || ".join(f"{at} == {spelling}" for spelling in _spellings(value)) for value in values)


def _spellings(value: Scalar) -> list[str]:
    if isinstance(value, str) or value is None:
        return [_literal(value)]
    return [_literal(value), _literal(json.dumps(value))]


def _literal(value: Scalar) -> str:
    return json.dumps(value, ensure_ascii=False)
