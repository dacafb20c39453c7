"""Units as NDJSON: one JSON object a line, with ``unit_id`` and the unit's attributes. Empty lines do not count."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import orjson
import pyarrow as pa  # type: ignore[import-untyped]

from api.assignments.batch import ANSWERED, MOST_UNITS, UNIT, Units, too_many
from api.assignments.lookups import MAX_UNIT_LENGTH, is_storable
from api.bodies import unstorable
from api.json_text import read_json
from api.problems import Problem

UNUSABLE = f"unit_id must have 1 to {MAX_UNIT_LENGTH} characters, none of them a control character"

_OF_ONE_TYPE = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
_ROWS_AT_ONCE = 20_000
# What differs from row to row; all else is written once for all rows that share it.
_OWN = (UNIT, "bucket", "randomization_unit", "window_start", "error")


def read_lines(body: bytes, attributes: Collection[str]) -> Units:
    """The units of the lines. Problem 413 if there are too many."""
    read = _Read([name for name in sorted(attributes) if name != UNIT])
    for number, line in enumerate(io.BytesIO(body), start=1):
        text = line.strip()
        if text:
            read.add(number, text)
    return read.units()


class _Read:
    """The lines so far, those of the last few as Python's values, which take ten times the room of a column's."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._rows = 0
        self._errors: dict[int, str] = {}
        self._ids: list[str | None] = []
        self._values: dict[str, list[Any]] = {name: [] for name in wanted}
        self._chunks: dict[str, list[pa.Array]] = {name: [] for name in (UNIT, *wanted)}

    def add(self, number: int, text: bytes) -> None:
        """One more line."""
        if self._rows == MOST_UNITS:
            raise too_many()
        unit, error = _unit_of(text)
        if error is not None:
            self._errors[self._rows] = f"line {number}: {error}"
        self._ids.append(unit[UNIT] if error is None else _shown(unit.get(UNIT)))
        for name, values in self._values.items():
            values.append(None if error is not None else unit.get(name))
        self._rows += 1
        if len(self._ids) == _ROWS_AT_ONCE:
            self._pack()

    def units(self) -> Units:
        """All of them."""
        self._pack()
        columns = {name: _one_column(self._chunks[name]) for name in self._values}
        there = {name: column for name, column in columns.items() if column.null_count < self._rows}
        return Units(pa.table({UNIT: pa.chunked_array(self._chunks[UNIT], pa.string()), **there}), self._errors)

    def _pack(self) -> None:
        self._chunks[UNIT].append(pa.array(self._ids, pa.string()))
        self._ids = []
        for name, values in self._values.items():
            self._chunks[name].append(_column(values))
            values.clear()


def _unit_of(line: bytes) -> tuple[dict[str, Any], str | None]:
    """The object of a line, and what is wrong with it."""
    try:
        unit = read_json(line)
    except Problem as problem:
        return {}, problem.errors[0].message if problem.errors else "it is not JSON"
    if not isinstance(unit, dict):
        return {}, "it is not a JSON object"
    unit_id = unit.get(UNIT)
    if not isinstance(unit_id, str):
        return unit, "unit_id is missing" if unit_id is None else "unit_id must be text"
    if not unit_id or not is_storable(unit_id):
        return unit, UNUSABLE
    return unit, unstorable(unit)


def _shown(unit_id: object) -> str | None:
    """The unit of an object that something else is wrong with, if it has one."""
    if not isinstance(unit_id, str) or not unit_id or not is_storable(unit_id):
        return None
    return unit_id if unstorable({UNIT: unit_id}) is None else None


def _column(values: Sequence[Any]) -> pa.Array:
    """A column of one type, or of JSON where types differ."""
    types = {type(value) for value in values} - {type(None)}
    if not types:
        return pa.nulls(len(values))
    if len(types) == 1:
        kind = _OF_ONE_TYPE.get(types.pop())
        if kind is not None:
            try:
                return pa.array(values, kind)
            except OverflowError:
                pass
    return _json_column(values)


def _one_column(chunks: Sequence[pa.Array]) -> pa.ChunkedArray:
    """The chunks as one column, of their one type, or of JSON."""
    types = {chunk.type for chunk in chunks} - {pa.null()}
    kind = pa.json_() if len(types) > 1 else next(iter(types), pa.null())
    return pa.chunked_array([_as(chunk, kind) for chunk in chunks], kind)


def _as(chunk: pa.Array, kind: pa.DataType) -> pa.Array:
    if chunk.type == kind:
        return chunk
    return pa.nulls(len(chunk), kind) if chunk.type == pa.null() else _json_column(chunk.to_pylist())


def _json_column(values: Sequence[Any]) -> pa.Array:
    texts = (None if value is None else json.dumps(value) for value in values)
    return pa.array(texts, pa.string()).cast(pa.json_())


def write_lines(table: pa.Table) -> bytes:
    """A JSON object a row; ``error`` only where there is one."""
    parts: list[bytes] = []
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        parts += _lines(batch)
    return b"".join(parts)


def _lines(batch: pa.RecordBatch) -> Iterator[bytes]:
    shared = [_indexed(batch.column(name)) for name in ANSWERED if name not in _OWN]
    names = [name for name in ANSWERED if name not in _OWN]
    own = [batch.column(name).to_pylist() for name in _OWN]
    known: dict[tuple[Any, ...], bytes] = {}
    for key, *values in zip(zip(*(indices for indices, _ in shared), strict=True), *own, strict=True):
        ending = known.get(key)
        if ending is None:
            same = {name: each[index] for name, index, (_, each) in zip(names, key, shared, strict=True)}
            ending = known[key] = _members(same)
        unit, bucket, randomization_unit, window_start, error = values
        first = {UNIT: unit, "bucket": bucket, "randomization_unit": randomization_unit, "window_start": window_start}
        if error is not None:
            first["error"] = error
        yield orjson.dumps(first, option=orjson.OPT_UTC_Z)[:-1] + ending


def _indexed(column: pa.Array) -> tuple[list[int | None], dict[int | None, Any]]:
    """The index of each row's value, and the values by index."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    values: dict[int | None, Any] = dict(enumerate(column.dictionary.to_pylist()))
    return column.indices.to_pylist(), {**values, None: None}


def _members(same: dict[str, Any]) -> bytes:
    """``,"variant":"on",...}`` and the end of the line."""
    config = same.pop("config")
    return b',%b,"config":%b}\n' % (orjson.dumps(same)[1:-1], b"null" if config is None else config.encode())
