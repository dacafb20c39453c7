"""CSV: every row is either read or quarantined, and cells keep their text."""

from __future__ import annotations

import csv
import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.landing.csv_table import parse_csv
from causeway.landing.error import LandingError


def problems(data: bytes) -> list[tuple[int, str, str]]:
    return parse_csv(data).bad_rows.select("row_number", "code", "reason").rows()


def test_cells_keep_their_text_and_empty_cells_are_null() -> None:
    table = parse_csv(b'id,code\n007,1e5\n"",TRUE\n')
    assert table.frame.to_dict(as_series=False) == {"id": ["007", None], "code": ["1e5", "TRUE"]}
    assert table.row_numbers.to_list() == [1, 2]
    assert table.bad_rows.is_empty()


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n", [("1", "2")]),
        (b'a,b\n1,"x\r\ny"\n2,"say ""hi"", twice"', [("1", "x\r\ny"), ("2", 'say "hi", twice')]),
        (b"a;b\n1,5;2\n", [("1,5", "2")]),
        (b"a\tb\n1\t2", [("1", "2")]),
        (b"a,b\r1,2\r3,4", [("1", "2"), ("3", "4")]),
        (b"\n\na,b\n\n1,2\n\r\n3,4\n", [("1", "2"), ("3", "4")]),
        (b'a,b\n1,5" pipe\n2,3\n', [("1", '5" pipe'), ("2", "3")]),
        (b'"a","b"\n"1","2"\n', [("1", "2")]),
        (b" a , b \n1,2\n", [("1", "2")]),
        (b"a,b\n", []),
    ],
)
def test_the_ways_people_write_csv(data: bytes, rows: list[tuple[str, str]]) -> None:
    table = parse_csv(data)
    assert table.frame.columns == ["a", "b"]
    assert table.frame.rows() == rows
    assert table.bad_rows.is_empty()


def test_ragged_rows_are_quarantined_and_the_others_keep_their_numbers() -> None:
    table = parse_csv(b"a,b\n1\n1,2,3\n\n4,5\n")
    assert table.frame.rows() == [("4", "5")]
    assert table.row_numbers.to_list() == [3]
    assert table.bad_rows.rows() == [
        (1, "wrong_number_of_fields", "1 field where the header has 2", '{"line": "1"}'),
        (2, "wrong_number_of_fields", "3 fields where the header has 2", '{"line": "1,2,3"}'),
    ]


def test_rows_in_latin_1_are_quarantined_and_rows_in_utf_8_go_on() -> None:
    table = parse_csv("a,b\nJosé,1\n".encode() + b"Jos\xe9,2\n4,5\n")
    assert table.frame.rows() == [("José", "1"), ("4", "5")]
    assert table.bad_rows.rows() == [
        (
            2,
            "not_utf8",
            "byte 0xe9 at position 4 is not UTF-8; is the file Latin-1?",
            '{"line": "Jos\\\\xe9,2"}',
        )
    ]


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (b'a,b\n1,"x\n2,3\n4,5\n', "bad_quotes", "a quote is opened and never closed"),
        (b'a,b\n1,"x"y\n2,3\n4,5\n', "bad_quotes", "',' expected after '\"'"),
        (
            b'a,b\n1,x"y"\xe9\n2,3\n4,5\n',
            "not_utf8",
            "byte 0xe9 at position 7 is not UTF-8; is the file Latin-1?",
        ),
        (b'a,b\n1\n2,3\n4,5"x\n', "wrong_number_of_fields", "1 field where the header has 2"),
        (b"a,b\n1,\x002\n2,3\n4,5\n", "null_byte", "the row has a NUL byte in it"),
        (b'a,b\n1,\x002\n2,3\n4,5"x\n', "null_byte", "the row has a NUL byte in it"),
    ],
)
def test_a_broken_row_costs_only_itself(data: bytes, code: str, reason: str) -> None:
    table = parse_csv(data)
    assert table.row_numbers.to_list() == [2, 3]
    assert problems(data) == [(1, code, reason)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a,b,a\n1,2,3\n", "the header names 'a' more than once"),
        (b"a, a\n1,2\n", "the header names 'a' more than once"),
        (b"\xff\xfea\x00,\x00b\x00", "this file is UTF-16; save it as UTF-8"),
        (b"a\0,b\n1,2\n", "the header has NUL bytes in it"),
        (b"pr\xe9nom,b\n1,2\n", "the header is not UTF-8 text"),
        (b'"a,b\n1,2\n', "the header cannot be read"),
    ],
)
def test_a_header_that_cannot_be_used_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(LandingError, match=message):
        parse_csv(data)


def test_a_column_without_a_name_gets_one() -> None:
    assert parse_csv(b",b\n1,2\n").frame.columns == ["column_1", "b"]


cells = st.text(alphabet='ab1 ",;\n\r\té😀', max_size=6)


@given(
    st.lists(st.tuples(cells, cells), min_size=1, max_size=8),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_is_written_as_csv_is_read_again(rows: list[tuple[str, str]], quoting: int) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=quoting)
    writer.writerow(("first", "second"))
    writer.writerows(rows)
    table = parse_csv(text.getvalue().encode())
    assert table.bad_rows.is_empty()
    assert table.frame.rows() == [(first or None, second or None) for first, second in rows]


@given(st.binary(max_size=60) | st.text(alphabet='a1,;"\n\r\0', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused_and_no_row_is_lost(data: bytes) -> None:
    try:
        table = parse_csv(b"a,b\n" + data)
    except LandingError:
        return
    numbers = pl.concat([table.row_numbers, table.bad_rows.get_column("row_number")]).sort()
    assert numbers.to_list() == list(range(1, table.rows + 1))
