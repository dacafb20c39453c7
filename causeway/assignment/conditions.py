"""Conditions on a unit's attributes, in the language of GrowthBook (a part of MongoDB's), compiled to closures.

{"country": {"$in": ["DE", "FR"]}, "$or": [{"age": {"$gte": 18}}, {"parent.consent": true}]}

A condition that cannot be understood (an unknown operator, an operand of the wrong type) is met by nobody, not
even under $not. What is declared is checked with `problems_of_condition` when it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from causeway.assignment.condition_checks import MAX_DEPTH, problems_of_condition
from causeway.assignment.json_values import Json, same
from causeway.assignment.operators import OPERATORS, Groups, MalformedConditionError, ValueTest, members_of

__all__ = ["MAX_DEPTH", "compile_condition", "compile_with_groups", "problems_of_condition", "value_at"]

Test = Callable[[Mapping[str, Json], Groups], bool]
_LOGIC = ("$or", "$nor", "$and", "$not")
_NOTHING: Mapping[str, Json] = {}


def compile_condition(
    condition: Mapping[str, Json], saved_groups: Mapping[str, Sequence[Json]] | None = None
) -> Callable[[Mapping[str, Json]], bool]:
    """A function that says whether a context meets the condition.

    Raises ValueError if the condition is nested more than 32 levels deep.

    >>> compile_condition({"age": {"$gte": 18}})({"age": 30})
    True
    """
    test = compile_with_groups(condition)
    groups = {name: members_of(values) for name, values in (saved_groups or {}).items()}
    return lambda context: test(context, groups)


def compile_with_groups(condition: Mapping[str, Json]) -> Test:
    """As `compile_condition`, but the saved groups are given with every call."""
    try:
        return _condition(condition, 0)
    except MalformedConditionError:
        return _nobody


def value_at(context: Json, path: Sequence[str]) -> Json:
    """The value at a path of keys, None where there is none. Numbers are indices of lists."""
    for segment in path:
        if isinstance(context, Mapping):
            context = context.get(segment)
        elif isinstance(context, list) and segment.isascii() and segment.isdigit() and len(segment) < 10:
            index = int(segment)
            context = context[index] if index < len(context) else None
        else:
            return None
    return context


def _nobody(_context: Mapping[str, Json], _groups: Groups) -> bool:
    return False


def _everybody(_context: Mapping[str, Json], _groups: Groups) -> bool:
    return True


def _condition(condition: Json, depth: int) -> Test:
    if depth > MAX_DEPTH:
        raise ValueError(f"a condition must not be nested more than {MAX_DEPTH} levels deep")
    if not isinstance(condition, Mapping):
        raise MalformedConditionError("a condition must be an object")
    tests = [_entry(key, operand, depth) for key, operand in condition.items()]
    if not tests:
        return _everybody
    return tests[0] if len(tests) == 1 else _all_of(tests)


def _entry(key: str, operand: Json, depth: int) -> Test:
    if key == "$not":
        inner = _condition(operand, depth + 1)
        return lambda context, groups: not inner(context, groups)
    if key in _LOGIC:
        if not isinstance(operand, Sequence) or isinstance(operand, str):
            raise MalformedConditionError(f"{key} takes a list")
        tests = [_condition(each, depth + 1) for each in operand]
        if key == "$and":
            return _all_of(tests)
        either = _any_of(tests) if tests else _everybody
        return either if key == "$or" else lambda context, groups: not either(context, groups)
    return _attribute(key, _value(operand, depth + 1))


def _all_of(tests: Sequence[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda context, groups: first(context, groups) and second(context, groups)

    def every(context: Mapping[str, Json], groups: Groups) -> bool:
        # A generator would take longer than most tests.
        for test in tests:  # noqa: SIM110
            if not test(context, groups):
                return False
        return True

    return every


def _any_of(tests: Sequence[Test]) -> Test:
    def either(context: Mapping[str, Json], groups: Groups) -> bool:
        for test in tests:  # noqa: SIM110
            if test(context, groups):
                return True
        return False

    return either


def _attribute(name: str, test: ValueTest) -> Test:
    if "." not in name:
        return lambda context, groups: test(context.get(name), groups)
    path = tuple(name.split("."))
    return lambda context, groups: test(value_at(context, path), groups)


def is_operators(operand: Json) -> bool:
    """Whether an operand is an object of operators, such as {"$gt": 1}, and not a value to be equal to."""
    return isinstance(operand, Mapping) and all(key.startswith("$") for key in operand)


def _value(operand: Json, depth: int) -> ValueTest:
    """The test of one attribute: an object of operators, or a value that it must be equal to."""
    if depth > MAX_DEPTH:
        raise ValueError(f"a condition must not be nested more than {MAX_DEPTH} levels deep")
    if not isinstance(operand, Mapping) or not is_operators(operand):
        _refuse_deep(operand, depth)
        return _equal_to(operand)
    tests = [_operator(name, each, depth) for name, each in operand.items()]
    if len(tests) == 1:
        return tests[0]

    def every(actual: Json, groups: Groups) -> bool:
        for test in tests:  # noqa: SIM110
            if not test(actual, groups):
                return False
        return True

    return every


def _refuse_deep(operand: Json, depth: int) -> None:
    """Values are compared by recursion too, so they are held to the same depth."""
    if depth > MAX_DEPTH:
        raise ValueError(f"a condition must not be nested more than {MAX_DEPTH} levels deep")
    inner = operand.values() if isinstance(operand, Mapping) else operand
    if isinstance(inner, str) or not hasattr(inner, "__iter__"):
        return
    for each in inner:  # type: ignore[union-attr]
        _refuse_deep(each, depth + 1)


def _equal_to(expected: Json) -> ValueTest:
    if isinstance(expected, str):
        return lambda actual, _groups: actual == expected
    return lambda actual, _groups: same(expected, actual)


def _operator(name: str, operand: Json, depth: int) -> ValueTest:
    if name in ("$not", "$size", "$elemMatch", "$all", "$alli"):
        return _NESTED[name](operand, depth + 1)
    if name not in OPERATORS:
        raise MalformedConditionError(f"there is no operator {name}")
    return OPERATORS[name](operand)


def _not(operand: Json, depth: int) -> ValueTest:
    inner = _value(operand, depth)
    return lambda actual, groups: not inner(actual, groups)


def _size(operand: Json, depth: int) -> ValueTest:
    inner = _value(operand, depth)
    return lambda actual, groups: isinstance(actual, list) and inner(len(actual), groups)


def _elem_match(operand: Json, depth: int) -> ValueTest:
    if not isinstance(operand, Mapping):
        raise MalformedConditionError("$elemMatch takes an object")
    if is_operators(operand) and not any(key in ("$or", "$nor", "$and") for key in operand):
        of_item = _value(operand, depth)
    else:
        fields = _condition(operand, depth)

        def of_item(actual: Json, groups: Groups) -> bool:
            return fields(actual if isinstance(actual, Mapping) else _NOTHING, groups)

    def some(actual: Json, groups: Groups) -> bool:
        return isinstance(actual, list) and any(item is not None and of_item(item, groups) for item in actual)

    return some


def _all(operand: Json, depth: int) -> ValueTest:
    if not isinstance(operand, Sequence) or isinstance(operand, str):
        raise MalformedConditionError("$all takes a list")
    tests = [_value(each, depth) for each in operand]

    def contains_all(actual: Json, groups: Groups) -> bool:
        return isinstance(actual, list) and all(any(test(item, groups) for item in actual) for test in tests)

    return contains_all


def _all_in_any_case(operand: Json, depth: int) -> ValueTest:
    if not isinstance(operand, Sequence) or isinstance(operand, str):
        raise MalformedConditionError("$alli takes a list")
    inner = _all([each.lower() if isinstance(each, str) else each for each in operand], depth)

    def contains_all(actual: Json, groups: Groups) -> bool:
        if not isinstance(actual, list):
            return False
        return inner([item.lower() if isinstance(item, str) else item for item in actual], groups)

    return contains_all


_NESTED: Mapping[str, Callable[[Json, int], ValueTest]] = {
    "$not": _not,
    "$size": _size,
    "$elemMatch": _elem_match,
    "$all": _all,
    "$alli": _all_in_any_case,
}
