"""Checks of a condition when it is written: sentences that say what is wrong with it, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from causeway.assignment.json_values import Json
from causeway.assignment.operators import OPERATORS, MalformedConditionError
from causeway.assignment.patterns import NotLinearError, linear_search

MAX_DEPTH = 32
LOGIC = ("$or", "$nor", "$and", "$not")
NESTED = ("$not", "$size", "$elemMatch", "$all", "$alli")
TYPES = ("string", "number", "boolean", "array", "object", "null")
_PATTERNS = ("$regex", "$regexi", "$notRegex", "$notRegexi")


def problems_of_condition(condition: object) -> list[str]:
    """What is wrong with a condition, one sentence each; empty if everybody can be tested against it.

    Patterns must be such as RE2 can match in linear time.
    """
    return list(_condition(condition, "condition", 0))


def _condition(condition: object, path: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield f"{path}: nested more than {MAX_DEPTH} levels deep"
    elif not isinstance(condition, Mapping):
        yield f"{path}: must be an object of attributes and what they must be"
    else:
        for key, operand in condition.items():
            yield from _entry(str(key), operand, f"{path}.{key}", depth)


def _entry(key: str, operand: object, path: str, depth: int) -> Iterator[str]:
    if key == "$not":
        yield from _condition(operand, path, depth + 1)
    elif key in LOGIC:
        if isinstance(operand, list | tuple):
            for index, each in enumerate(operand):
                yield from _condition(each, f"{path}[{index}]", depth + 1)
        else:
            yield f"{path}: takes a list of conditions"
    elif key.startswith("$"):
        yield f"{path}: {key} does not stand here; here stand attributes, {', '.join(LOGIC)}"
    else:
        yield from _value(operand, path, depth + 1)


def _value(operand: object, path: str, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        yield f"{path}: nested more than {MAX_DEPTH} levels deep"
        return
    if not isinstance(operand, Mapping):
        inner = operand if isinstance(operand, list | tuple) else ()
        for index, each in enumerate(inner):
            yield from _value(each, f"{path}[{index}]", depth + 1)
        return
    operators = [str(key).startswith("$") for key in operand]
    if any(operators) and not all(operators):
        yield f"{path}: holds operators and values beside each other"
    for key, each in operand.items():
        below = f"{path}.{key}"
        yield from _operator(str(key), each, below, depth) if all(operators) else _value(each, below, depth + 1)


def _operator(name: str, operand: object, path: str, depth: int) -> Iterator[str]:
    if name in NESTED:
        yield from _nested(name, operand, path, depth + 1)
    elif name not in OPERATORS:
        yield f"{path}: there is no operator {name}"
    elif name == "$type" and operand not in TYPES:
        yield f"{path}: must be one of {', '.join(TYPES)}"
    elif name == "$exists" and not isinstance(operand, bool):
        yield f"{path}: must be true or false"
    elif name in _PATTERNS and isinstance(operand, str):
        yield from _pattern(name, operand, path)
    else:
        yield from _operand(name, operand, path)


def _nested(name: str, operand: object, path: str, depth: int) -> Iterator[str]:
    if name in ("$all", "$alli"):
        if isinstance(operand, list | tuple):
            for index, each in enumerate(operand):
                yield from _value(each, f"{path}[{index}]", depth)
        else:
            yield f"{path}: takes a list"
    elif name != "$elemMatch":
        yield from _value(operand, path, depth)
    elif isinstance(operand, Mapping) and operand and all(str(key).startswith("$") for key in operand):
        logic = any(key in ("$or", "$nor", "$and") for key in operand)
        yield from _condition(operand, path, depth) if logic else _value(operand, path, depth)
    else:
        yield from _condition(operand, path, depth)


def _pattern(name: str, pattern: str, path: str) -> Iterator[str]:
    try:
        linear_search(pattern, any_case=name.endswith("i"))
    except NotLinearError:
        yield f"{path}: is no pattern of RE2, which has neither look-arounds nor back-references"


def _operand(name: str, operand: object, path: str) -> Iterator[str]:
    try:
        OPERATORS[name](_as_json(operand))
    except MalformedConditionError as problem:
        yield f"{path}: {problem}"


def _as_json(operand: object) -> Json:
    """What is no JSON value at all, such as a date that YAML made, is refused as an operand of the wrong type."""
    if operand is None or isinstance(operand, bool | int | float | str | list | Mapping):
        return operand
    raise MalformedConditionError(f"{type(operand).__name__} is no JSON value; put it into quotes")
