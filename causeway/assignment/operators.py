"""Operators that compare one attribute with an operand, each compiled to a closure when a condition is made."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from causeway.assignment.json_values import Json, to_number
from causeway.assignment.patterns import NotLinearError, Search, linear_search
from causeway.assignment.semantic_version import sortable_version

Members = frozenset[object]
Groups = Mapping[str, Members]
ValueTest = Callable[[Json, Groups], bool]
Compiler = Callable[[Json], ValueTest]

_TRUE, _FALSE, _NEVER = object(), object(), object()
_NO_MEMBERS: Members = frozenset()


class MalformedConditionError(Exception):
    """A condition that nobody can meet, because it cannot be understood."""


def members_of(values: Iterable[Json]) -> Members:
    """A set that is looked up with `_as_member`: unlike in Python, true and 1 are two members."""
    return frozenset(_as_member(value) for value in values) - {_NEVER}


def _as_member(value: Json) -> object:
    """What stands for a value in a set. Objects, lists and NaN are equal to nothing, as in JavaScript."""
    if value is True:
        return _TRUE
    if value is False:
        return _FALSE
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and not math.isnan(value)):
        return value
    return _NEVER


def is_member(actual: Json, members: Members) -> bool:
    """Whether a value is in the set; of a list, whether any of its items is."""
    if isinstance(actual, str):
        return actual in members
    if isinstance(actual, list):
        return any(_as_member(item) in members for item in actual)
    return _as_member(actual) in members


def _lower(value: Json) -> Json:
    if isinstance(value, str):
        return value.lower()
    return [_lower(item) for item in value if not isinstance(item, list)] if isinstance(value, list) else value


def _list(operand: Json) -> Sequence[Json]:
    if not isinstance(operand, Sequence) or isinstance(operand, str):
        raise MalformedConditionError("the operand must be a list")
    return operand


def _in(operand: Json) -> ValueTest:
    members = members_of(_list(operand))
    return lambda actual, _groups: is_member(actual, members)


def _not_in(operand: Json) -> ValueTest:
    members = members_of(_list(operand))
    return lambda actual, _groups: not is_member(actual, members)


def _in_any_case(operand: Json) -> ValueTest:
    members = members_of(_lower(each) for each in _list(operand))
    return lambda actual, _groups: is_member(_lower(actual), members)


def _not_in_any_case(operand: Json) -> ValueTest:
    members = members_of(_lower(each) for each in _list(operand))
    return lambda actual, _groups: not is_member(_lower(actual), members)


def _group_name(operand: Json) -> str:
    if not isinstance(operand, str):
        raise MalformedConditionError("the operand must be the name of a saved group")
    return operand


def _in_group(operand: Json) -> ValueTest:
    name = _group_name(operand)
    return lambda actual, groups: is_member(actual, groups.get(name, _NO_MEMBERS))


def _not_in_group(operand: Json) -> ValueTest:
    name = _group_name(operand)
    return lambda actual, groups: not is_member(actual, groups.get(name, _NO_MEMBERS))


def _equal(operand: Json) -> ValueTest:
    expected = _as_member(operand)
    return lambda actual, _groups: _as_member(actual) == expected and expected is not _NEVER


def _not_equal(operand: Json) -> ValueTest:
    equal = _equal(operand)
    return lambda actual, groups: not equal(actual, groups)


def _ordered(compare: Callable[[Any, Any], bool]) -> Compiler:
    """Two texts are ordered as texts; everything else as JavaScript does, as numbers."""

    def compiled(operand: Json) -> ValueTest:
        if isinstance(operand, Sequence | Mapping) and not isinstance(operand, str):
            raise MalformedConditionError("the operand must be a number or a text")
        number = to_number(operand)
        if isinstance(operand, str):
            return lambda actual, _groups: (
                compare(actual, operand) if isinstance(actual, str) else compare(to_number(actual), number)
            )
        return lambda actual, _groups: compare(to_number(actual), number)

    return compiled


def _version(compare: Callable[[Any, Any], bool], without: bool = False) -> Compiler:
    """`without` is the answer for an attribute that is no version."""

    def compiled(operand: Json) -> ValueTest:
        expected = sortable_version(operand)
        if expected is None:
            raise MalformedConditionError("the operand must be a version")

        def test(actual: Json, _groups: Groups) -> bool:
            version = sortable_version(actual)
            return without if version is None else compare(version, expected)

        return test

    return compiled


def instant(value: Json) -> datetime | None:
    """A time given in RFC 3339 (without a zone it is UTC) or in seconds since 1970; None if it is none."""
    try:
        if isinstance(value, str):
            parsed = datetime.fromisoformat(value)
            # In UTC it may lie outside of the years that a datetime can hold.
            return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _dated(compare: Callable[[Any, Any], bool]) -> Compiler:
    def compiled(operand: Json) -> ValueTest:
        expected = instant(operand)
        if expected is None:
            raise MalformedConditionError("the operand must be a time")

        def test(actual: Json, _groups: Groups) -> bool:
            at = instant(actual)
            return at is not None and compare(at, expected)

        return test

    return compiled


def _pattern(any_case: bool, wanted: bool) -> Compiler:
    def compiled(operand: Json) -> ValueTest:
        if not isinstance(operand, str):
            raise MalformedConditionError("the operand must be a pattern")
        try:
            search = linear_search(operand, any_case=any_case)
        except NotLinearError:
            search = _backtracking_search(operand, any_case)
        return lambda actual, _groups: (isinstance(actual, str) and search(actual)) is wanted

    return compiled


def _backtracking_search(pattern: str, any_case: bool) -> Search:
    """Look-arounds and back-references are in GrowthBook's language, but beyond RE2."""
    try:
        search = re.compile(pattern, re.IGNORECASE if any_case else 0).search
    except (re.error, RecursionError, OverflowError):
        raise MalformedConditionError("the operand must be a pattern") from None
    return lambda text: search(text) is not None


def _exists(operand: Json) -> ValueTest:
    wanted = bool(operand)
    return lambda actual, _groups: (actual is not None) is wanted


def type_name(value: Json) -> str:
    """The name that $type knows a value's type by."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Mapping) else "array"


def _type(operand: Json) -> ValueTest:
    return lambda actual, _groups: type_name(actual) == operand


OPERATORS: Mapping[str, Compiler] = {
    "$eq": _equal,
    "$ne": _not_equal,
    "$lt": _ordered(operator.lt),
    "$lte": _ordered(operator.le),
    "$gt": _ordered(operator.gt),
    "$gte": _ordered(operator.ge),
    "$in": _in,
    "$nin": _not_in,
    "$ini": _in_any_case,
    "$nini": _not_in_any_case,
    "$inGroup": _in_group,
    "$notInGroup": _not_in_group,
    "$exists": _exists,
    "$type": _type,
    "$regex": _pattern(any_case=False, wanted=True),
    "$regexi": _pattern(any_case=True, wanted=True),
    "$notRegex": _pattern(any_case=False, wanted=False),
    "$notRegexi": _pattern(any_case=True, wanted=False),
    "$veq": _version(operator.eq),
    "$vne": _version(operator.ne, without=True),
    "$vlt": _version(operator.lt),
    "$vlte": _version(operator.le),
    "$vgt": _version(operator.gt),
    "$vgte": _version(operator.ge),
    "$before": _dated(operator.lt),
    "$after": _dated(operator.gt),
}
