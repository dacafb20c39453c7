"""Newline-delimited JSON, one object a line, without letting one bad line spoil the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

import polars as pl
from pydantic_core import from_json

from causeway.landing.table import BadRow, TableRead, quarantine_of

_CHUNK = 50_000
_BOM = b"\xef\xbb\xbf"
# An escaped NUL, which no text of Postgres may hold; an even number of backslashes before it would escape the
# escape.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_INT64 = range(-(2**63), 2**63)


def parse_ndjson(data: bytes) -> TableRead:
    """Read NDJSON. Rows are the lines that are not blank, numbered from 1.

    A column is Boolean, Int64, Float64 or String: what all its values are, or text when they differ. Objects
    and lists become JSON text. A key that a line does not have is null. Lines that are not a JSON object in
    UTF-8 become bad rows. Lines are read in chunks, so that memory holds the frame and one chunk of Python
    objects.
    """
    lines = _lines(data.removeprefix(_BOM))
    frames: list[pl.DataFrame] = []
    row_numbers: list[int] = []
    bad_rows: list[BadRow] = []
    while chunk := list(islice(lines, _CHUNK)):
        objects: list[dict[str, Any]] = []
        for row, line in chunk:
            problem, value = _object(line)
            if problem is None:
                objects.append(value)
                row_numbers.append(row)
            else:
                bad_rows.append(BadRow(row, *problem, line.decode(errors="backslashreplace")))
        frames.append(_frame(objects))
    frame = _stack(frames)
    return TableRead(frame, pl.Series(row_numbers, dtype=pl.Int64), quarantine_of(bad_rows))


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    row = at = 0
    while at < len(data):
        end = data.find(b"\n", at) + 1 or len(data)
        line = data[at:end].strip()
        at = end
        if line:
            row += 1
            yield row, line


def _object(line: bytes) -> tuple[tuple[str, str] | None, dict[str, Any]]:
    try:
        value = from_json(line, allow_inf_nan=False)
    except ValueError as error:
        try:
            line.decode()
        except UnicodeDecodeError:
            return ("not_utf8", "the line is not UTF-8 text; is the file Latin-1?"), {}
        return ("not_json", f"the line is not JSON: {error}"), {}
    if not isinstance(value, dict):
        return ("not_an_object", "the line is JSON, but no object"), {}
    if not value:
        return ("not_an_object", "the object has nothing in it"), {}
    if _NUL.search(line):
        return ("null_byte", "the line has a NUL character in it"), {}
    return None, value


def _frame(objects: list[dict[str, Any]]) -> pl.DataFrame:
    names = dict.fromkeys(name for value in objects for name in value)
    columns = [_column(name, [value.get(name) for value in objects]) for name in names]
    return pl.DataFrame(columns)


def _column(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if not kinds:
        return pl.Series(name, values, dtype=pl.Null)
    if kinds == {bool}:
        return pl.Series(name, values, dtype=pl.Boolean)
    if kinds <= {int, float} and all(value in _INT64 for value in values if type(value) is int):
        return pl.Series(name, values, dtype=pl.Float64 if float in kinds else pl.Int64, strict=False)
    return pl.Series(name, [_text(value) for value in values], dtype=pl.String)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _stack(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Chunks on top of each other; a column whose chunks differ in type becomes Float64 if all are numbers,
    else String.
    """
    kinds: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for name, dtype in frame.schema.items():
            kinds.setdefault(name, set()).add(dtype)
    target: dict[str, pl.DataType] = {}
    for name, found in kinds.items():
        dtypes = found - {pl.Null()}
        if not dtypes:
            target[name] = pl.String()
        elif len(dtypes) == 1:
            target[name] = next(iter(dtypes))
        else:
            target[name] = pl.Float64() if dtypes == {pl.Int64(), pl.Float64()} else pl.String()
    aligned = [
        pl.DataFrame(
            [
                frame.get_column(name).cast(dtype)
                if name in frame.columns
                else pl.Series(name, [None], dtype=dtype).new_from_index(0, frame.height)
                for name, dtype in target.items()
            ]
        )
        for frame in frames
    ]
    return pl.concat(aligned) if aligned else pl.DataFrame()
