"""CSV as people send it: a first look at the bytes finds the records that do not fit, polars reads the rest.

The look is RFC 4180's grammar over arrays of byte positions, so it costs a fraction of the parsing. Where
quotes break that grammar, Python's stricter reader takes over record by record: it is slower, and such files
are rare and small.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from causeway.landing.error import LandingError
from causeway.landing.table import BadRow, TableRead, quarantine_of

_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NEWLINE, _RETURN, _QUOTE = ord("\n"), ord("\r"), ord('"')
_SEPARATORS = ",;\t|"

Positions = npt.NDArray[np.int64]


def parse_csv(data: bytes) -> TableRead:
    """Read CSV with a header: UTF-8, comma, semicolon, tab or bar between the fields, quotes as in RFC 4180.

    Every cell is text or null. A record with another number of fields than the header, with bytes that are
    not UTF-8, with a NUL or with a broken quote becomes a bad row; blank lines are no rows.
    """
    data = _plain(data)
    separator, names, first = _header(data)
    layout = _layout(data, ord(separator))
    if layout is not None:
        table = _read_regular(data, layout, first, separator, names)
        if table is not None:
            return table
    return _read_irregular(data[first:], separator, names)


def csv_columns(data: bytes) -> list[str]:
    """The names of the columns, as `parse_csv` finds them, and its errors, without reading the rows."""
    return _header(_plain(data))[1]


def _plain(data: bytes) -> bytes:
    if data.startswith(_WIDE_BOMS):
        raise LandingError(["this file is UTF-16; save it as UTF-8"])
    data = data.removeprefix(_BOM)
    return data if b"\n" in data else data.replace(b"\r", b"\n")


def _header(data: bytes) -> tuple[str, list[str], int]:
    """Separator, column names and the position after the header."""
    lines = _LineFeed(data)
    start = 0
    for raw in lines:
        if raw.strip():
            break
        start = lines.at
    end, quotes = start, 1
    lines.at = start
    for raw in lines:
        quotes += raw.count(b'"')
        end = lines.at
        if quotes % 2:
            break
    raw = data[start:end]
    if b"\0" in raw:
        raise LandingError(["the header has NUL bytes in it; is this a text file in UTF-8?"])
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise LandingError(["the header is not UTF-8 text; save the file as UTF-8"]) from None
    outside_quotes = "".join(text.split('"')[::2])
    separator = max(_SEPARATORS, key=outside_quotes.count)
    try:
        names = [name.strip() for name in next(csv.reader(io.StringIO(text), delimiter=separator, strict=True))]
    except (csv.Error, StopIteration) as error:
        raise LandingError([f"the header cannot be read: {error}"]) from None
    names = [name or f"column_{index}" for index, name in enumerate(names, start=1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise LandingError([f"the header names {', '.join(map(repr, twice))} more than once"], twice[0])
    return separator, names, end


class _LineFeed:
    """Physical lines of a text with their ends, and how far reading has come, so that reading can be taken
    back.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def __iter__(self) -> Iterator[bytes]:
        while self.at < len(self.data):
            start = self.at
            self.at = self.data.find(b"\n", start) + 1 or len(self.data)
            yield self.data[start : self.at]


@dataclass(frozen=True)
class _Layout:
    """Where each record starts and ends (line end not included), and how many fields it has."""

    starts: Positions
    ends: Positions
    fields: Positions


def _layout(data: bytes, separator: int) -> _Layout | None:
    """The records of a text whose quotes follow RFC 4180, or None when some quote does not."""
    buffer = np.frombuffer(data, dtype=np.uint8)
    quotes = np.flatnonzero(buffer == _QUOTE)
    newlines = np.flatnonzero(buffer == _NEWLINE)
    separators = np.flatnonzero(buffer == separator)
    if quotes.size:
        if not _quotes_are_regular(buffer, quotes, separator):
            return None
        newlines = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
        separators = separators[np.searchsorted(quotes, separators) % 2 == 0]
    ends = newlines if data.endswith(b"\n") else np.append(newlines, len(data))
    starts = np.concatenate(([0], ends[:-1] + 1))
    ends = ends - ((ends > starts) & (buffer[np.maximum(ends - 1, 0)] == _RETURN))
    fields = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    return _Layout(starts, ends, fields)


def _quotes_are_regular(buffer: npt.NDArray[np.uint8], quotes: Positions, separator: int) -> bool:
    """Whether every quoted field is quoted from end to end: RFC 4180 section 2, rules 5 to 7."""
    if quotes.size % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    # A quote that opens right after one that closed is the second half of an escaped quote.
    escaped = opening[1:] == closing[:-1] + 1
    before = buffer[np.maximum(opening - 1, 0)]
    opens = (opening == 0) | (before == separator) | (before == _NEWLINE)
    after = buffer[np.minimum(closing + 1, buffer.size - 1)]
    closes = (closing == buffer.size - 1) | (after == separator) | (after == _NEWLINE) | (after == _RETURN)
    return bool(np.all(opens[1:] | escaped) and opens[0] and np.all(closes[:-1] | escaped) and closes[-1])


def _read_regular(data: bytes, layout: _Layout, first: int, separator: str, names: list[str]) -> TableRead | None:
    body = layout.starts >= first
    starts, ends, fields = layout.starts[body], layout.ends[body], layout.fields[body]
    filled = ends > starts
    starts, ends, fields = starts[filled], ends[filled], fields[filled]
    row_numbers = np.arange(1, starts.size + 1, dtype=np.int64)
    bad: dict[int, tuple[str, str]] = {
        int(row): ("wrong_number_of_fields", _wrong_count(int(fields[row]), len(names)))
        for row in np.flatnonzero(fields != len(names))
    }
    for row, problem in _bad_bytes(data, starts, ends):
        bad.setdefault(row, problem)
    good = np.ones(starts.size, dtype=np.bool_)
    good[list(bad)] = False
    try:
        frame = _parse_clean(_cut(data, starts, ends, good), separator, names)
    except pl.exceptions.PolarsError:
        return None
    if frame.height != int(good.sum()):
        return None
    bad_rows = [
        BadRow(row + 1, *bad[row], data[starts[row] : ends[row]].decode(errors="backslashreplace"))
        for row in sorted(bad)
    ]
    return TableRead(frame, pl.Series(row_numbers[good], dtype=pl.Int64), quarantine_of(bad_rows))


def _wrong_count(found: int, expected: int) -> str:
    return f"{found} field{'s' if found != 1 else ''} where the header has {expected}"


def _bad_bytes(data: bytes, starts: Positions, ends: Positions) -> Iterator[tuple[int, tuple[str, str]]]:
    """Records with bytes that no text in UTF-8, or no text in a database, may have."""
    buffer = np.frombuffer(data, dtype=np.uint8)
    nul = np.flatnonzero(buffer == 0)
    suspects = set(_records_at(nul, starts, ends))
    if not _is_utf8(data):
        suspects.update(_records_at(np.flatnonzero(buffer >= 0x80), starts, ends))
    for row in sorted(suspects):
        record = data[starts[row] : ends[row]]
        if b"\0" in record:
            yield row, ("null_byte", "the row has a NUL byte in it")
            continue
        try:
            record.decode()
        except UnicodeDecodeError as error:
            yield row, ("not_utf8", _not_utf8(error))


def _not_utf8(error: UnicodeDecodeError) -> str:
    byte = error.object[error.start]
    return f"byte {byte:#04x} at position {error.start + 1} is not UTF-8; is the file Latin-1?"


def _records_at(positions: Positions, starts: Positions, ends: Positions) -> list[int]:
    rows = np.unique(np.searchsorted(starts, positions, side="right") - 1)
    return [int(row) for row in rows if row >= 0]


def _is_utf8(data: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    step = 1 << 20
    try:
        for start in range(0, len(data), step):
            decoder.decode(data[start : start + step])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _cut(data: bytes, starts: Positions, ends: Positions, good: npt.NDArray[np.bool_]) -> bytes:
    """The good records only, each run of neighbours copied in one piece."""
    if not good.any():
        return b""
    # Runs end where a bad record, or a blank line that is no record, lies between two good ones.
    rows = np.flatnonzero(good)
    gap = (np.diff(rows) > 1) | (starts[rows[1:]] - ends[rows[:-1]] > 2)
    run_starts = np.concatenate((rows[:1], rows[1:][gap]))
    run_ends = np.concatenate((rows[:-1][gap], rows[-1:]))
    return b"\n".join(data[starts[a] : ends[b]] for a, b in zip(run_starts, run_ends, strict=True)) + b"\n"


def _parse_clean(data: bytes, separator: str, names: list[str]) -> pl.DataFrame:
    schema = dict.fromkeys(names, pl.String())
    if not data:
        return pl.DataFrame(schema=schema)
    frame = pl.read_csv(io.BytesIO(data), has_header=False, separator=separator, schema=schema, infer_schema=False)
    return frame.with_columns(pl.when(pl.all() != "").then(pl.all()))


def _read_irregular(data: bytes, separator: str, names: list[str]) -> TableRead:
    """Record by record: a record whose quotes cannot be followed costs its first line, and reading goes on
    after that.
    """
    lines = _LineFeed(data)
    row_numbers: list[int] = []
    bad_rows: list[BadRow] = []
    clean = io.StringIO()
    writer = csv.writer(clean, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n")
    row = 0
    while lines.at < len(data):
        start = lines.at
        end_of_line = data.find(b"\n", start) + 1 or len(data)
        if not data[start:end_of_line].strip(b"\r\n"):
            lines.at = end_of_line
            continue
        row += 1
        try:
            fields = next(csv.reader((raw.decode() for raw in lines), delimiter=separator, strict=True))
        except (csv.Error, UnicodeDecodeError) as error:
            lines.at = end_of_line
            problem = (
                ("not_utf8", _not_utf8(error))
                if isinstance(error, UnicodeDecodeError)
                else ("bad_quotes", _quote_problem(error))
            )
            bad_rows.append(BadRow(row, *problem, _line_text(data[start:end_of_line])))
            continue
        text = _line_text(data[start : lines.at])
        if len(fields) != len(names):
            bad_rows.append(BadRow(row, "wrong_number_of_fields", _wrong_count(len(fields), len(names)), text))
        elif "\0" in text:
            bad_rows.append(BadRow(row, "null_byte", "the row has a NUL byte in it", text))
        else:
            row_numbers.append(row)
            writer.writerow(fields)
    frame = _parse_clean(clean.getvalue().encode(), separator, names)
    return TableRead(frame, pl.Series(row_numbers, dtype=pl.Int64), quarantine_of(bad_rows))


def _quote_problem(error: csv.Error) -> str:
    text = str(error)
    return "a quote is opened and never closed" if text == "unexpected end of data" else text


def _line_text(raw: bytes) -> str:
    return raw.rstrip(b"\r\n").decode(errors="backslashreplace")
