"""Columns of an Arrow table as an evaluation context sees them: cells as JSON values, units as texts.

A null cell is an attribute that the context does not have. Times are RFC 3339 text, decimals are numbers, and bytes
are UTF-8 text; bytes that are none become text with lone surrogates, which identifies no unit. A column of Arrow's
extension type for JSON holds values of any type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from causeway.assignment.json_values import Json, unit_text

TARGETING_KEY = "targetingKey"
"""The attribute under which a context has the unit, whatever its column is called."""

# Beyond this an integer has no exact double, and the text that is hashed is that of the double.
_EXACT = 2**53


def json_value(value: Any) -> Json:
    """What JSON makes of a Python value that pyarrow gave for a cell."""
    for kinds, convert in _AS_JSON:
        if isinstance(value, kinds):
            converted: Json = convert(value)
            return converted
    return str(value)


def _instant(value: datetime) -> str:
    instant = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return instant.isoformat().replace("+00:00", "Z")


# The first kind that a value is of: a datetime is a date, and text a sequence.
_AS_JSON: Sequence[tuple[Any, Callable[[Any], Json]]] = (
    ((str, int, float, NoneType), lambda value: value),
    (bytes, lambda value: value.decode("utf-8", "surrogateescape")),
    (Decimal, float),
    (datetime, _instant),
    ((date, time), lambda value: value.isoformat()),
    (timedelta, lambda value: value.total_seconds()),
    (Mapping, lambda value: {str(name): json_value(inner) for name, inner in value.items()}),
    (Sequence, lambda value: [json_value(inner) for inner in value]),
)


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in a form that Arrow's functions know: no views, runs or extensions."""
    kind = column.type
    if isinstance(kind, pa.JsonType):
        return column
    if isinstance(kind, pa.BaseExtensionType):
        return plain(pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type))
    if pa.types.is_run_end_encoded(kind):
        return plain(pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], kind.value_type))
    if pa.types.is_dictionary(kind) and _viewed(kind.value_type) is not kind.value_type:
        return column.cast(pa.dictionary(kind.index_type, _viewed(kind.value_type)))
    return column if _viewed(kind) is kind else column.cast(_viewed(kind))


def _viewed(kind: pa.DataType) -> pa.DataType:
    """The type of what a view views."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pa.types.is_binary_view(kind) else kind


def cells(array: pa.Array) -> list[Json]:
    """All cells as JSON values. ValueError for a column of JSON that is none."""
    kind = array.type
    if isinstance(kind, pa.JsonType):
        return [None if cell is None else json.loads(cell) for cell in array.storage.to_pylist()]
    if pa.types.is_dictionary(kind):
        return cells(pc.take(array.dictionary, array.indices))
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        # Python's clock has no nanoseconds.
        array = pc.cast(array, pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_map(kind):
        return [None if cell is None else json_value(dict(cell)) for cell in array.to_pylist()]
    found: list[Any] = array.to_pylist()
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or _is_text(kind):
        return found
    return [json_value(cell) for cell in found]


def distinct(array: pa.Array) -> tuple[npt.NDArray[np.int64], list[Json]]:
    """Each row's position in a list of the values that occur; the last value of the list is null.

    A value may stand in the list twice.
    """
    if isinstance(array.type, pa.JsonType):
        codes, texts = distinct(array.storage)
        return codes, [None if text is None else json.loads(str(text)) for text in texts]
    try:
        encoded = array if pa.types.is_dictionary(array.type) else pc.dictionary_encode(array)
    except pa.ArrowNotImplementedError:
        return np.arange(len(array)), [*cells(array), None]
    values = cells(encoded.dictionary)
    codes = pc.fill_null(pc.cast(encoded.indices, pa.int64()), len(values))
    return codes.to_numpy(zero_copy_only=False), [*values, None]


def unit_texts(array: pa.Array) -> pa.Array:
    """The text that is hashed for each cell, null or empty where it identifies nobody; text without a copy."""
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return array
    if pa.types.is_dictionary(kind):
        return pc.take(unit_texts(array.dictionary), array.indices)
    if pa.types.is_integer(kind) and _exact(array):
        return pc.if_else(
            pc.equal(array, pa.scalar(0, kind)), pa.scalar(None, pa.string()), pc.cast(array, pa.string())
        )
    if _is_binary(kind):
        try:
            return pc.cast(pc.cast(array, pa.large_binary()), pa.large_string())
        except pa.ArrowInvalid:
            pass
    return pa.array([unit_text(cell) or None for cell in cells(array)], pa.large_string())


def _exact(array: pa.Array) -> bool:
    extremes = pc.min_max(array)
    low, high = extremes["min"].as_py(), extremes["max"].as_py()
    return low is None or (low >= -_EXACT and high <= _EXACT)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_binary(kind: pa.DataType) -> bool:
    of = pa.types
    return bool(of.is_binary(kind) or of.is_large_binary(kind) or of.is_fixed_size_binary(kind))
