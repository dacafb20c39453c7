"""Cursors."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages import cursor_after, key_before
from api.problems import Problem

KEYS = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=100)


@given(KEYS)
def test_a_cursor_leads_back_to_its_key(key):
    assert key_before(cursor_after(key)) == key


def test_no_cursor_is_the_first_page():
    assert key_before(None) == ""


@given(st.text(max_size=150))
def test_any_other_text_is_a_problem_and_nothing_worse(text):
    try:
        key = key_before(text)
    except Problem as problem:
        assert problem.status == 422
    else:
        assert key_before(cursor_after(key)) == key


@pytest.mark.parametrize("text", ["", "=", "MQ", "MTo", "MTonOyBkcm9w", "\ud800", "😀"])
def test_a_cursor_that_is_not_ours_is_refused(text):
    with pytest.raises(Problem):
        key_before(text)
