"""NDJSON: one bad line costs one row, and types stay what they were."""

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.landing import ndjson_table
from causeway.landing.ndjson_table import parse_ndjson

LINES = b'{"id":"007","n":1}\n{"id":"1e5","n":2.5,"ok":true}\n\n{"id":"x","tags":["a"],"at":{"b":1}}\n'


def test_types_stay_and_missing_keys_are_null() -> None:
    table = parse_ndjson(b"\xef\xbb\xbf" + LINES)
    assert table.frame.schema == {
        "id": pl.String(),
        "n": pl.Float64(),
        "ok": pl.Boolean(),
        "tags": pl.String(),
        "at": pl.String(),
    }
    assert table.frame.rows() == [
        ("007", 1.0, None, None, None),
        ("1e5", 2.5, True, None, None),
        ("x", None, None, '["a"]', '{"b": 1}'),
    ]
    assert table.row_numbers.to_list() == [1, 2, 3]


def test_chunks_are_put_together_as_if_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parse_ndjson(LINES)
    monkeypatch.setattr(ndjson_table, "_CHUNK", 1)
    assert parse_ndjson(LINES).frame.equals(whole.frame)


def test_a_column_of_mixed_types_becomes_text() -> None:
    assert parse_ndjson(b'{"a":1}\n{"a":"x"}\n{"a":true}').frame.get_column("a").to_list() == [
        "1",
        "x",
        "true",
    ]
    assert parse_ndjson(b'{"a":99999999999999999999}').frame.item() == "99999999999999999999"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"x", "not_json"),
        (b'{"a":NaN}', "not_json"),
        (b'{"a":1', "not_json"),
        (b"[1]", "not_an_object"),
        (b"{}", "not_an_object"),
        (b'{"a":"\xe9"}', "not_utf8"),
        (b'{"a":"x\\u0000"}', "null_byte"),
        (b"[" * 5000, "not_json"),
    ],
)
def test_a_bad_line_costs_only_itself(line: bytes, code: str) -> None:
    table = parse_ndjson(b'{"a":"1"}\n' + line + b'\n{"a":"\\\\u0000"}\n')
    assert table.frame.get_column("a").to_list() == ["1", "\\u0000"]
    assert table.row_numbers.to_list() == [1, 3]
    assert table.bad_rows.select("row_number", "code").rows() == [(2, code)]
    assert isinstance(json.loads(table.bad_rows.item(0, "record"))["line"], str)


@given(
    st.lists(
        st.binary(max_size=20)
        | st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
            max_leaves=5,
        ).map(lambda value: json.dumps(value).encode()),
        max_size=6,
    )
)
def test_no_line_is_lost(lines: list[bytes]) -> None:
    table = parse_ndjson(b"\n".join(lines))
    numbers = pl.concat([table.row_numbers, table.bad_rows.get_column("row_number")]).sort()
    assert numbers.to_list() == list(range(1, table.rows + 1))
