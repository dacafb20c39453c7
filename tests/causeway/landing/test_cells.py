"""Columns as numbers, times and text: nothing that is no number becomes one, and no time moves."""

from __future__ import annotations

import datetime as dt
import json
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causeway.landing.cells import as_number, as_text, as_time, as_value, json_objects, plain_numbers


def test_numbers_truth_and_nothing() -> None:
    column = pl.Series("x", ["1", " 2.5 ", "1e3", "-.5", "true", "False", "", None, " "])
    parsed = as_number(column)
    assert parsed.values.to_list() == [1.0, 2.5, 1000.0, -0.5, 1.0, 0.0, None, None, None]
    assert not parsed.bad.any()


@pytest.mark.parametrize(
    "text", ["abc", "NaN", "nan", "inf", "-Infinity", "1e400", "1,5", "1_000", "0x10", "NA", "\u0661"]
)
def test_what_is_no_finite_number_is_bad_and_null(text: str) -> None:
    parsed = as_number(pl.Series([text, "1"]))
    assert parsed.values.to_list() == [None, 1]
    assert parsed.bad.to_list() == [True, False]


@given(st.lists(st.floats() | st.none(), max_size=8))
def test_typed_numbers_are_kept_when_finite_and_bad_otherwise(values: list[float | None]) -> None:
    parsed = as_number(pl.Series(values, dtype=pl.Float64))
    for value, found, bad in zip(values, parsed.values, parsed.bad, strict=True):
        finite = value is not None and math.isfinite(value)
        assert found == (value if finite else None)
        assert bad == (value is not None and not finite)


@pytest.mark.parametrize(
    ("cells", "values", "bad"),
    [
        (["1", "2.5", ""], [1.0, 2.5, None], 0),
        (["1", "NA", "n/a", "."], [1, None, None, None], 0),
        (["a", "1", ""], ["a", "1", None], 0),
        (["007", "8"], ["007", "8"], 0),
        (["0", "0.5", "-0.25"], [0.0, 0.5, -0.25], 0),
        (["NA", "EU"], ["NA", "EU"], 0),
        (["", None], [None, None], 0),
        ([*["1"] * 19, "oops"], [*[1] * 19, None], 1),
        ([*["1"] * 18, "a", "b"], [*["1"] * 18, "a", "b"], 0),
    ],
)
def test_numbers_stay_numbers_and_text_stays_text(cells: list[str], values: list[object], bad: int) -> None:
    parsed = as_value(pl.Series(cells, dtype=pl.String))
    assert parsed.values.to_list() == values
    assert int(parsed.bad.sum()) == bad


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pl.Series([7, None]), ["7", None]),
        (pl.Series([7.0, 7.5, math.nan, None, 1e300]), ["7", "7.5", None, None, "1e+300"]),
        (pl.Series([True, None]), ["true", None]),
        (pl.Series([dt.date(2024, 1, 2), None]), ["2024-01-02", None]),
        (pl.Series(["é", None], dtype=pl.Categorical), ["é", None]),
        (pl.Series([b"\xff", None]), ["/w==", None]),
        (pl.Series([[1, 2], None]), ["[1,2]", None]),
    ],
)
def test_ids_of_any_type_become_text(column: pl.Series, texts: list[str | None]) -> None:
    found = as_text(column)
    assert found.dtype == pl.String
    assert found.to_list() == texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29T12:30:00Z", "2024-02-29T12:30:00"),
        ("2024-02-29t12:30:00z", "2024-02-29T12:30:00"),
        ("2024-02-29 12:30", "2024-02-29T12:30:00"),
        ("2024-02-29", "2024-02-29T00:00:00"),
        ("2024-02-29T12:30:00.5+05:30", "2024-02-29T07:00:00.500000"),
        ("2024-02-29T23:30:00-0130", "2024-03-01T01:00:00"),
        ("2024-02-29 12:30:00.123456789 UTC", "2024-02-29T12:30:00.123456"),
        ("2024-02-29 12:30:00+00", "2024-02-29T12:30:00"),
    ],
)
def test_times_are_read_as_utc(text: str, expected: str) -> None:
    moment = dt.datetime.fromisoformat(expected).replace(tzinfo=dt.UTC)
    assert as_time(pl.Series([text])).values.to_list() == [moment]


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2023-02-29",
        "2024-13-01",
        "2024-01-01T24:00:00Z",
        "2024-01-01T23:59:60Z",
        "2024-01-01T25:00Z",
        "1704067200",
        "0000-01-01",
        "01/02/2024",
        "2024-01-01T00:00:00+25:00",
        "2024-01-01T00:00:00+00:60",
        "٢٠٢٤-01-01",
        "0001-01-01T00:00:00+01:00",
    ],
)
def test_what_is_no_time_is_bad(text: str) -> None:
    parsed = as_time(pl.Series([text, None, ""]))
    assert parsed.values.to_list() == [None, None, None]
    assert parsed.bad.to_list() == [True, False, False]


@given(st.datetimes(min_value=dt.datetime(1, 1, 2), max_value=dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC)))
def test_what_python_writes_as_iso_8601_is_read_exactly(moment: dt.datetime) -> None:
    zone = dt.timezone(dt.timedelta(hours=5, minutes=45))
    texts = [moment.isoformat(), moment.astimezone(zone).isoformat()]
    assert as_time(pl.Series(texts)).values.to_list() == [moment, moment]


def test_typed_times_are_brought_to_utc() -> None:
    naive = dt.datetime(2024, 7, 1, 12)
    local = pl.Series([naive]).dt.replace_time_zone("Europe/Berlin")
    assert as_time(pl.Series([naive])).values.to_list() == [naive.replace(tzinfo=dt.UTC)]
    assert as_time(local).values.to_list() == [naive.replace(hour=10, tzinfo=dt.UTC)]
    assert as_time(pl.Series([dt.date(2024, 7, 1)])).values.to_list() == [dt.datetime(2024, 7, 1, tzinfo=dt.UTC)]
    assert as_time(pl.Series([1704067200])).bad.to_list() == [True]


def test_objects_hold_only_what_json_has() -> None:
    columns = [
        pl.Series('a "quoted" name', ['x"y', None]),
        pl.Series("^.*$", [math.nan, 1.5]),
        pl.Series("bytes", [b"\0", None]),
        pl.Series("list", [[1], None]),
    ]
    with_nulls = [json.loads(text) for text in json_objects(columns, 2, keep_nulls=True)]
    assert with_nulls == [
        {'a "quoted" name': 'x"y', "^.*$": None, "bytes": "AA==", "list": [1]},
        {'a "quoted" name': None, "^.*$": 1.5, "bytes": None, "list": None},
    ]
    without = [json.loads(text) for text in json_objects(columns, 2, keep_nulls=False)]
    assert without == [{key: value for key, value in row.items() if value is not None} for row in with_nulls]
    assert json_objects([], 2, keep_nulls=True).to_list() == ["{}", "{}"]


@pytest.mark.parametrize("codes", [["007", "12"], ["12345678901234567", "12345678901234568"]])
def test_numbers_that_would_lose_what_tells_them_apart_are_text(codes: list[str]) -> None:
    column = pl.Series("x", codes)
    assert as_value(column).values.to_list() == codes
    assert as_value(column, codes_are_text=False).values.dtype.is_numeric()
    assert plain_numbers(column) is None


def test_a_piece_of_a_column_is_plain_numbers_or_it_is_not() -> None:
    found = plain_numbers(pl.Series("x", ["1", None, "-2.5e3", "1e20"]))
    assert found is not None
    assert found.to_list() == [1.0, None, -2500.0, 1e20]
    for text in ("NA", "inf", "NaN", "", "1,5", "true"):
        assert plain_numbers(pl.Series("x", ["1", text])) is None


def test_an_enormous_amount_that_is_written_out_does_not_make_a_column_text():
    """As a database writes 1e300; an id of as many digits as no float holds still does."""
    assert plain_numbers(pl.Series(["1" + "0" * 300, "2.5"])).to_list() == [1e300, 2.5]
    assert plain_numbers(pl.Series(["12345678901234567890", "2.5"])) is None
