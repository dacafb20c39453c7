"""What differs between two documents is told path by path."""

from __future__ import annotations

from causeway.declarations.differences import Difference, differences

BEFORE = {"metrics": [{"key": "a", "days": 7}, {"key": "b"}], "order": ["x", "y"], "name": None}


def test_lists_differ_as_a_whole_unless_their_documents_have_keys_and_detail_is_asked_for() -> None:
    after = {"metrics": [{"key": "b"}, {"key": "a", "days": 14}], "order": ["y", "x"], "name": None}
    assert [each.path for each in differences(BEFORE, after)] == ["metrics", "order"]
    assert differences(BEFORE, after, in_detail=True) == [
        Difference("metrics.a.days", 7, 14),
        Difference("order", ["x", "y"], ["y", "x"]),
    ]


def test_of_what_is_new_or_gone_every_value_is_told() -> None:
    after = {"metrics": [{"key": "b"}], "order": ["x", "y"], "name": None, "cap": {"upper": 5, "lower": None}}
    assert differences(BEFORE, after, in_detail=True) == [
        Difference("cap.upper", None, 5),
        Difference("metrics.a.days", 7, None),
        Difference("metrics.a.key", "a", None),
    ]


def test_documents_that_say_the_same_do_not_differ() -> None:
    assert differences(BEFORE, dict(BEFORE), in_detail=True) == []
