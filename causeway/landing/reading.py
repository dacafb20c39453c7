"""Bytes of a file into a table, whatever is wrong with single rows of it."""

from __future__ import annotations

import io

import polars as pl

from causeway.landing.csv_table import csv_columns, parse_csv
from causeway.landing.error import LandingError
from causeway.landing.ndjson_table import parse_ndjson
from causeway.landing.table import TableRead

CSV_SUFFIXES = frozenset({"csv", "tsv", "txt"})
NDJSON_SUFFIXES = frozenset({"ndjson", "jsonl"})
PARQUET_SUFFIXES = frozenset({"parquet", "pq"})

_PARQUET_MAGIC = b"PAR1"


def parse_table(data: bytes, suffix: str) -> TableRead:
    """Read a table from the bytes of a file with the given suffix (``.csv``, ``.tsv``, ``.txt``, ``.ndjson``,
    ``.jsonl``, ``.parquet``).

    CSV cells keep their text, so that ids such as 007 and 1e5 survive; a cell with nothing in it is null.
    NDJSON and Parquet keep their types. Rows that cannot be read are in ``bad_rows`` with the reason. Raises
    LandingError when the file as a whole cannot be read: empty, no UTF-8 header, a column name twice, damaged
    Parquet, an unknown suffix.
    """
    kind = _kind(data, suffix)
    if kind in CSV_SUFFIXES:
        return parse_csv(data)
    return parse_ndjson(data) if kind in NDJSON_SUFFIXES else _parse_parquet(data)


def table_columns(data: bytes, suffix: str) -> list[str]:
    """The names of the columns that `parse_table` would find, and its errors, without the rows of a CSV file."""
    kind = _kind(data, suffix)
    return csv_columns(data) if kind in CSV_SUFFIXES else parse_table(data, suffix).frame.columns


def _kind(data: bytes, suffix: str) -> str:
    kind = suffix.lower().lstrip(".")
    if kind not in CSV_SUFFIXES | NDJSON_SUFFIXES | PARQUET_SUFFIXES:
        known = ", ".join(f".{name}" for name in sorted(CSV_SUFFIXES | NDJSON_SUFFIXES | PARQUET_SUFFIXES))
        raise LandingError([f"files of type {suffix!r} cannot be read; expected one of {known}"])
    # Stripping copies what may be gigabytes.
    if (data[:1].isspace() and not data.strip()) or not data:
        raise LandingError(["the file is empty"])
    return kind


def _parse_parquet(data: bytes) -> TableRead:
    if not (data.startswith(_PARQUET_MAGIC) and data.endswith(_PARQUET_MAGIC) and len(data) >= 12):
        raise LandingError(["this is no complete Parquet file: it does not begin and end with PAR1"])
    try:
        frame = pl.read_parquet(io.BytesIO(data), use_statistics=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        first_line = str(error).partition("\n")[0]
        raise LandingError([f"the Parquet file cannot be read: {first_line}"]) from None
    if not frame.width:
        raise LandingError(["the Parquet file has no columns"])
    if any("\0" in name for name in frame.columns):
        raise LandingError(["the name of a column has a NUL character in it"])
    return TableRead.of(frame)
