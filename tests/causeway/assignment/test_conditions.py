"""Conditions: what GrowthBook's cases leave open, and that no context and no condition can break them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.assignment.conditions import MAX_DEPTH, compile_condition, problems_of_condition
from causeway.assignment.json_values import Json, number_text, same, to_number, unit_text
from causeway.assignment.operators import OPERATORS
from causeway.assignment.semantic_version import sortable_version

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters()),
    st.sampled_from(["1.2.3", "2026-01-01"]),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
CONTEXTS = st.dictionaries(st.sampled_from("abc"), JSON)
NAMES = st.sampled_from([*OPERATORS, "$not", "$size", "$elemMatch", "$all", "$alli", "$unknown"])
OPERANDS: st.SearchStrategy[Any] = st.recursive(
    JSON, lambda inner: st.dictionaries(NAMES, inner, max_size=2), max_leaves=4
)
CONDITIONS: st.SearchStrategy[Any] = st.recursive(
    st.dictionaries(st.sampled_from(["a", "b", "a.b", "c.0"]), OPERANDS, max_size=2),
    lambda inner: (
        st.dictionaries(st.sampled_from(["$or", "$and", "$nor"]), st.lists(inner, max_size=2), max_size=2)
        | st.fixed_dictionaries({"$not": inner})
    ),
    max_leaves=4,
)


def meets(condition: Any, **attributes: Json) -> bool:
    return compile_condition(condition)(attributes)


@given(CONDITIONS, CONTEXTS)
def test_every_condition_answers_every_context_with_yes_or_no(condition: Any, context: dict[str, Json]) -> None:
    test = compile_condition(condition, {"group": [1, "a", [2], float("nan")]})
    assert test(context) is test(context)
    assert isinstance(test(context), bool)


@given(CONDITIONS)
def test_what_has_no_problem_is_understood(condition: Any) -> None:
    """A condition that is not understood is met by nobody, and neither is its opposite."""
    if not problems_of_condition(condition):
        assert meets(condition) or meets({"$not": condition})


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ({"a": {"$regx": "x"}}, "condition.a.$regx: there is no operator $regx"),
        ({"a": {"$regex": "(?=x)"}}, "condition.a.$regex: is no pattern of RE2"),
        ({"a": {"$regexi": "("}}, "is no pattern of RE2"),
        ({"a": {"$regex": 1}}, "the operand must be a pattern"),
        ({"a": {"$in": "x"}}, "the operand must be a list"),
        ({"a": {"$gt": [1]}}, "the operand must be a number or a text"),
        ({"a": {"$vgt": ""}}, "the operand must be a version"),
        ({"a": {"$before": "yesterday"}}, "the operand must be a time"),
        ({"a": {"$inGroup": 7}}, "the operand must be the name of a saved group"),
        ({"a": {"$type": "text"}}, "must be one of string, number"),
        ({"a": {"$exists": "yes"}}, "must be true or false"),
        ({"a": {"$all": 1}}, "takes a list"),
        ({"a": {"$elemMatch": 1}}, "must be an object"),
        ({"a": {"$gt": 1, "b": 2}}, "operators and values beside each other"),
        ({"$or": {"a": 1}}, "takes a list of conditions"),
        ({"$or": [{"a": {"$x": 1}}]}, "condition.$or[0].a.$x: there is no operator $x"),
        ({"$and": [1]}, "condition.$and[0]: must be an object"),
        ({"$where": "1"}, "$where does not stand here"),
        ([], "condition: must be an object"),
        ({"a": {"$eq": object()}}, "object is no JSON value"),
    ],
)
def test_a_problem_is_named_with_its_place(condition: Any, problem: str) -> None:
    assert [each for each in problems_of_condition(condition) if problem in each], problems_of_condition(condition)


def test_a_condition_too_deep_is_refused_before_it_could_break_anything() -> None:
    for make in (lambda inner: {"$not": inner}, lambda inner: {"a": {"$not": inner}}, lambda inner: {"a": inner}):
        condition: Any = {"a": 1}
        for _ in range(MAX_DEPTH + 2):
            condition = make(condition)
        with pytest.raises(ValueError, match="levels deep"):
            compile_condition(condition)
        assert any("levels deep" in problem for problem in problems_of_condition(condition))


def test_what_is_not_understood_is_met_by_nobody_not_even_its_opposite() -> None:
    for bad in ({"a": {"$unknown": 1}}, {"a": {"$in": 1}}, {"$or": 1}, {"a": {"$regex": "("}}):
        assert not meets(bad, a="x")
        assert not meets({"$not": bad}, a="x")


def test_patterns_are_matched_in_linear_time_and_beyond_re2_all_the_same() -> None:
    assert not meets({"a": {"$regex": "^(a+)+$"}}, a="a" * 50_000 + "!")
    assert meets({"a": {"$regex": r"^(?!x)\w"}}, a="y")
    assert not meets({"a": {"$regex": "."}}, a="\ud800")
    assert meets({"a": {"$notRegex": "."}}, a="\ud800")
    assert meets({"a": {"$notRegexi": "B"}})
    assert not meets({"a": {"$notRegexi": "B"}}, a="abc")


@pytest.mark.parametrize(
    ("actual", "before", "after"),
    [
        ("2026-05-01T00:00:00Z", False, False),
        ("2026-05-01T01:59:59+02:00", True, False),
        ("2026-04-30", True, False),
        ("2026-05-01T00:00:00.001Z", False, True),
        (1_777_593_599, True, False),
        (1_777_593_601.5, False, True),
        ("yesterday", False, False),
        (True, False, False),
        (None, False, False),
        (1e300, False, False),
        ("0001-01-01T00:00:00+14:00", False, False),
    ],
)
def test_times_are_compared_as_instants(actual: Json, before: bool, after: bool) -> None:
    assert meets({"a": {"$before": "2026-05-01T02:00:00+02:00"}}, a=actual) is before
    assert meets({"a": {"$after": "2026-05-01T00:00:00Z"}}, a=actual) is after


def test_true_and_one_are_two_values() -> None:
    assert not meets({"a": 1}, a=True)
    assert not meets({"a": {"$in": [1, 0]}}, a=True)
    assert not meets({"a": {"$eq": True}}, a=1)
    assert meets({"a": {"$in": [True]}}, a=[1, True])
    assert meets({"a": [1, {"b": 2.0}]}, a=[1.0, {"b": 2}])
    assert not compile_condition({"a": {"$inGroup": "g"}}, {"g": [1]})({"a": True})


def test_values_in_lists_are_reached_by_their_index() -> None:
    assert meets({"a.1.b": 7}, a=[0, {"b": 7}])
    assert not meets({"a.2.b": 7}, a=[0, {"b": 7}])
    assert not meets({"a.-1": 7}, a=[7])
    assert not meets({"a.²": 7}, a=[7])


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.1, "0.1"),
        (100.0, "100"),
        (10**20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.000001, "0.000001"),
        (0.0000015, "0.0000015"),
        (1e-7, "1e-7"),
        (-1.25e-9, "-1.25e-9"),
        (2**53 + 1, "9007199254740992"),
        (123456789.125, "123456789.125"),
        (1e16, "10000000000000000"),
        (10**400, ""),
        (float("inf"), ""),
    ],
)
def test_numbers_are_written_as_javascript_writes_them(number: float, text: str) -> None:
    assert number_text(number) == text


@given(JSON)
def test_a_units_text_can_always_be_hashed(value: Json) -> None:
    assert unit_text(value).encode() is not None
    assert to_number(value) is not None
    assert same(value, value) or "nan" in repr(value)


def test_text_is_read_as_a_number_where_javascript_would() -> None:
    assert [to_number(text) for text in ("8", " 8.5 ", "", "1e3", "-2")] == [8, 8.5, 0, 1000, -2]
    assert [to_number(text) != to_number(text) for text in ("nan", "inf", "1_000", "x", "1-1", "٣")] == [True] * 6


def test_versions_sort_beyond_five_digits() -> None:
    texts = ["1.0.0-rc.1", "1.0.0", "1.0.99999", "1.0.100000", "1.0.100001"]
    found = [sortable_version(text) for text in texts]
    assert found == sorted(found, key=str)
    assert sortable_version("v1.2.3+build") == sortable_version("1.2.3")
    assert sortable_version(7) == sortable_version("7")
    assert sortable_version("") is sortable_version(None) is sortable_version(True) is None
    assert sortable_version("1" * 1_000) is not None
