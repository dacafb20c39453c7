"""Files by their suffix: what can be read as a whole, and what cannot."""

from __future__ import annotations

import io

import polars as pl
import pytest

from causeway.landing.error import LandingError
from causeway.landing.reading import parse_table


def parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


FRAME = pl.DataFrame({"id": ["007", "8"], "n": [1, 2], "x": [0.5, None]})


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (FRAME.write_csv().encode(), ".csv"),
        (FRAME.write_csv(separator="\t").encode(), "TSV"),
        (FRAME.write_ndjson().encode(), ".jsonl"),
        (parquet(FRAME), ".parquet"),
    ],
)
def test_the_suffix_says_how_to_read(data: bytes, suffix: str) -> None:
    table = parse_table(data, suffix)
    assert table.frame.cast({"n": pl.Int64, "x": pl.Float64}).equals(FRAME)
    assert table.row_numbers.to_list() == [1, 2]


@pytest.mark.parametrize("suffix", [".csv", ".ndjson", ".parquet"])
@pytest.mark.parametrize("data", [b"", b" \n\n"])
def test_an_empty_file_is_an_error(data: bytes, suffix: str) -> None:
    with pytest.raises(LandingError, match="the file is empty"):
        parse_table(data, suffix)


@pytest.mark.parametrize(
    "data",
    [
        b"id,n\n1,2\n",
        parquet(FRAME)[:-5],
        b"PAR1" * 5,
        parquet(FRAME)[:60] + b"\xff" * 20 + parquet(FRAME)[80:],
    ],
)
def test_a_damaged_parquet_file_is_an_error(data: bytes) -> None:
    with pytest.raises(LandingError, match="Parquet"):
        parse_table(data, ".parquet")


def test_a_parquet_column_with_a_nul_in_its_name_is_an_error() -> None:
    """Names become keys of JSON, and Postgres holds no NUL."""
    with pytest.raises(LandingError, match="NUL"):
        parse_table(parquet(pl.DataFrame({"id": [1], "a\0b": [1]})), ".parquet")


def test_an_unknown_suffix_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(LandingError, match=r"'\.xlsx' cannot be read; expected one of \.csv, \.jsonl, \.ndjson"):
        parse_table(b"x", ".xlsx")
