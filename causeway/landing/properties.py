"""The properties of streamed events: the columns that have no meaning of their own, and the JSON object that
came with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from causeway.landing.cells import as_value, join_objects, json_fragment, json_safe

_OWN_MEANING = frozenset({"type", "unit_id", "occurred_at", "event_id", "sent_at"})
_OF_ASSIGNMENTS = frozenset({"experiment", "variant"})
_PROPERTIES = "properties"

# An even number of backslashes before it would make the escape of a NUL the text of one.
_NUL_ESCAPE = r"(?:^|[^\\])(?:\\\\)*\\u0000"


@dataclass(frozen=True)
class Properties:
    """JSON objects as text, where what came with the event is no such object, and where a NUL is in it."""

    text: pl.Series
    invalid: pl.Series
    has_nul: pl.Series


def stream_properties(frame: pl.DataFrame, assigning: pl.Series) -> Properties:
    """Properties of each row: every column without a meaning of its own, and the keys of the column
    ``properties``.

    A key whose value is null is left out. Columns of text count as numbers if all their cells are.
    ``experiment`` and ``variant`` are properties of every row but those of `assigning`.
    """
    fragments: list[pl.Series] = []
    invalid = pl.Series([False]).new_from_index(0, frame.height)
    for column in frame.get_columns():
        if column.name == _PROPERTIES:
            given, invalid = _given(column)
            fragments += given
        elif column.name not in _OWN_MEANING:
            value = column if column.dtype.is_nested() else as_value(column, number_share=1.0).values
            fragment = json_fragment(json_safe(value.alias(column.name)))
            fragments.append(fragment.set(assigning, None) if column.name in _OF_ASSIGNMENTS else fragment)
    text = join_objects(fragments) if fragments else pl.Series(["{}"]).new_from_index(0, frame.height)
    has_nul = text.str.contains("\\u0000", literal=True)
    if has_nul.any():
        has_nul = text.str.contains(_NUL_ESCAPE)
    return Properties(text, invalid, has_nul)


def _given(column: pl.Series) -> tuple[list[pl.Series], pl.Series]:
    """The insides of the objects in a column called properties, and where it holds something else than an
    object.
    """
    if column.dtype == pl.Null:
        return [], column.is_not_null()
    if isinstance(column.dtype, pl.Struct):
        fields = column.struct.unnest().get_columns()
        return [json_fragment(json_safe(field)) for field in fields], column.is_null() & False
    if column.dtype != pl.String:
        return [], column.is_not_null()
    text = column.str.strip_chars()
    parsed = text.to_frame().select(pl.all().str.json_path_match("$")).to_series()
    is_object = parsed.is_not_null() & text.str.starts_with("{")
    blank = (text == "").fill_null(True)
    inside = text.set(blank | ~is_object.fill_null(False), None).str.strip_prefix("{").str.strip_suffix("}")
    inside = inside.str.strip_chars()
    return [inside.set(inside == "", None)], ~blank & ~is_object
