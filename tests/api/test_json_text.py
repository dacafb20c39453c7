"""JSON that can be read in one way only."""

from __future__ import annotations

import math

import pytest

from api.json_text import read_json
from api.problems import Problem


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, "x", null, true]}', {"a": [1, 2.5, "x", None, True]}),
        ('{"é": "漢"}'.encode(), {"é": "漢"}),
        (b'{"a": {"x": 1}, "b": {"x": 1}}', {"a": {"x": 1}, "b": {"x": 1}}),
        (b"7", 7),
    ],
)
def test_json_is_read(body, value):
    assert read_json(body) == value


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{]", b"\xff\xfe", b"\xef\xbb\xbf{}", b"nul", b"[" * 100_000, b"9" * 5000, "{}".encode("utf-16")],
)
def test_what_is_no_json_is_a_bad_request(body):
    with pytest.raises(Problem) as problem:
        read_json(body)
    assert problem.value.status == 400


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 1}', b'{"b": [{"a": 1, "a": 2}]}', b'{"\\u0061": 1, "a": 2}'])
def test_a_member_that_is_there_twice_is_refused(body):
    with pytest.raises(Problem) as problem:
        read_json(body)
    assert problem.value.status == 422
    assert problem.value.errors[0].code == "duplicate_member"
    assert "'a'" in problem.value.errors[0].message


def test_numbers_that_are_none_are_left_to_whoever_checks_the_members():
    assert math.isnan(read_json(b'{"a": NaN}')["a"])
