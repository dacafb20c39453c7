"""Columns of a table as what they are needed for: ids, numbers, times, JSON. Whole columns at a time, never a
cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

MISSING_MARKERS = ("na", "n/a", "nan", "null", "none", ".")
"""What exports write for a missing number, in lower case."""

NUMBER_SHARE = 0.95
"""From this share of numbers on, a text column is a column of numbers with mistakes in it, and not one of
categories.
"""

_EXACT_IN_A_FLOAT = 2.0**53
_CODE = r"^[+-]?0[0-9]"
# An amount such as 1e300, written out: a float keeps all of its digits that are not the zeros at the end.
_WRITTEN_OUT = r"^[+-]?([0-9]{1,15}0*|[0-9]{1,17}0{12,})$"
_WHOLE = r"^[+-]?[0-9]{16,}$"
_TIME = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:[.,]([0-9]{1,9}))?"
    r" ?(?:([Zz]|[Uu][Tt][Cc])|([+-])([0-9]{2}):?([0-9]{2})?)?)?$"
)
_UTC = pl.Datetime("us", "UTC")


@dataclass(frozen=True)
class Parsed:
    """A parsed column, and where there was something that could not be parsed (null there)."""

    values: pl.Series
    bad: pl.Series


def as_text(column: pl.Series) -> pl.Series:
    """Ids and labels as text: 7 and 7.0 are both "7", true is "true"; NaN is null."""
    if column.dtype == pl.String:
        return column
    if column.dtype.is_float():
        numbers = column.fill_nan(None)
        whole = (numbers % 1 == 0) & (numbers.abs() < _EXACT_IN_A_FLOAT)
        return numbers.cast(pl.String).zip_with(
            ~whole.fill_null(False), numbers.set(~whole, None).cast(pl.Int64).cast(pl.String)
        )
    if column.dtype == pl.Binary:
        return column.bin.encode("base64")
    if column.dtype.is_nested() or column.dtype.is_temporal():
        encoded = json_fragment(json_safe(column).alias("v")).str.strip_prefix('"v":').str.strip_chars('"')
        return encoded.set(column.is_null(), None).alias(column.name)
    return column.cast(pl.String)


def as_number(column: pl.Series) -> Parsed:
    """Numbers, with true as 1 and false as 0. Nothing and blank text are null; other text, NaN and infinities
    are bad.
    """
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        lower = text.str.to_lowercase()
        numbers = pl.select(
            pl.when(lower == "true")
            .then(1.0)
            .when(lower == "false")
            .then(0.0)
            .otherwise(text.cast(pl.Float64, strict=False))
        ).to_series()
        present = (text != "").fill_null(False)
    elif column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        numbers = column.cast(pl.Float64)
        present = column.is_not_null()
    else:
        numbers = pl.Series([None], dtype=pl.Float64).new_from_index(0, len(column))
        present = column.is_not_null()
    usable = numbers.is_finite().fill_null(False)
    numbers = numbers.set(~usable, None)
    return Parsed(_whole_if_exact(numbers).alias(column.name), present & ~usable)


def as_value(column: pl.Series, number_share: float = NUMBER_SHARE, *, codes_are_text: bool = True) -> Parsed:
    """Numbers where a column holds numbers, text where it holds text.

    A text column counts as numbers if at least `number_share` of its cells are, markers of missing values
    aside, and none is a code: one with a leading zero such as 007, or a whole number with more digits than
    a float can tell apart (unless such codes are taken for numbers as well). Its other cells are bad then.
    """
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
            numbers = as_number(column)
            # A NaN in a typed column is how many tools write a missing value.
            missing = column.is_nan().fill_null(False) if column.dtype.is_float() else numbers.bad & False
            return Parsed(numbers.values, numbers.bad & ~missing)
        return Parsed(as_text(column), _nowhere(column))
    text = column.str.strip_chars()
    numbers = as_number(text)
    marker = text.str.to_lowercase().is_in(MISSING_MARKERS).fill_null(False)
    bad = numbers.bad & ~marker
    found = numbers.values.count()
    are_numbers = found and found >= number_share * (found + int(bad.sum()))
    if are_numbers and not (codes_are_text and _has_codes(text, numbers.values)):
        return Parsed(numbers.values, bad)
    return Parsed(column.set((text == "").fill_null(False), None), _nowhere(column))


def plain_numbers(column: pl.Series) -> pl.Series | None:
    """A text column as Float64, or None unless every cell that is not null is a finite number and no code: the
    part of `as_value` that can be told of a piece of a column.
    """
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.null_count() != column.null_count() or not numbers.is_finite().all():
        return None
    return None if _has_codes(column, numbers) else numbers


def as_time(column: pl.Series) -> Parsed:
    """Times in UTC to the microsecond: dates, datetimes (those without a zone are UTC) and RFC 3339 text,
    also with a space for T.
    """
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        naive = column.dt.replace_time_zone("UTC") if dtype.time_zone is None else column
        times = naive.dt.convert_time_zone("UTC").cast(_UTC)
    elif dtype == pl.Date:
        times = column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    elif dtype == pl.String:
        times = _parsed_times(column)
    else:
        times = pl.Series([None], dtype=_UTC).new_from_index(0, len(column))
    # Postgres and Python agree on the years 1 to 9999 only.
    times = times.set(~times.dt.year().is_between(1, 9999).fill_null(False), None)
    present = column.is_not_null() & (column != "" if dtype == pl.String else True)
    return Parsed(times.alias(column.name), present & times.is_null())


def _parsed_times(column: pl.Series) -> pl.Series:
    parts = column.str.strip_chars().str.extract_groups(_TIME).struct.unnest()
    day, minute, second, fraction, _, sign, zone_hour, zone_minute = (pl.col(name) for name in parts.columns)
    local = pl.concat_str(day, pl.lit("T"), minute.fill_null("00:00"), second.fill_null(":00")).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False
    )
    micros = fraction.str.pad_end(6, "0").str.head(6).cast(pl.Int64).fill_null(0)
    offset = zone_hour.cast(pl.Int64).fill_null(0) * 60 + zone_minute.cast(pl.Int64).fill_null(0)
    signed = pl.when(sign == "-").then(-offset).otherwise(offset)
    # 24:00 and a 60th second are read as the next minute by some parsers and refused by others: refused here.
    possible = second.fill_null(":00") < pl.lit(":60")
    offset_possible = (zone_hour.fill_null("00") <= "23") & (zone_minute.fill_null("00") <= "59")
    utc = local + pl.duration(microseconds=micros) - pl.duration(minutes=signed)
    time = pl.when(possible & offset_possible).then(utc)
    return parts.select(time.dt.replace_time_zone("UTC").cast(_UTC)).to_series()


def json_objects(columns: list[pl.Series], height: int, keep_nulls: bool) -> pl.Series:
    """Rows as JSON objects with one key per column, but for null values unless `keep_nulls`."""
    if not columns:
        return pl.Series(["{}"], dtype=pl.String).new_from_index(0, height)
    columns = [json_safe(column) for column in columns]
    if keep_nulls:
        # By name: in a list, polars would rename a column whose name is empty.
        frame = pl.DataFrame({column.name: column for column in columns})
        return frame.select(pl.struct(pl.all()).struct.json_encode()).to_series()
    return join_objects([json_fragment(column) for column in columns])


def join_objects(fragments: list[pl.Series]) -> pl.Series:
    """JSON objects from their ``"key": value`` parts; a null part is left out."""
    parts = pl.DataFrame([part.alias(str(index)) for index, part in enumerate(fragments)])
    inner = pl.concat_str(pl.all(), separator=",", ignore_nulls=True)
    return parts.select(pl.concat_str(pl.lit("{"), inner, pl.lit("}"))).to_series()


def json_fragment(column: pl.Series) -> pl.Series:
    """``"name":value`` of every cell of a column of JSON values, null where the cell is null."""
    encoded = column.to_frame().select(pl.struct(pl.all()).struct.json_encode()).to_series()
    return encoded.str.strip_prefix("{").str.strip_suffix("}").set(column.is_null(), None)


def json_safe(column: pl.Series) -> pl.Series:
    """The column with only such values as JSON has: no bytes, no NaN, no infinities, decimals as numbers."""
    if column.dtype == pl.Binary:
        return column.bin.encode("base64").alias(column.name)
    if column.dtype.is_float():
        return column.set(~column.is_finite().fill_null(True), None)
    if column.dtype.is_decimal():
        return column.cast(pl.Float64)
    if column.dtype == pl.Object or (column.dtype.is_nested() and "Binary" in str(column.dtype)):
        return pl.Series(column.name, [None if cell is None else str(cell) for cell in column], dtype=pl.String)
    return column


def has_nul(column: pl.Series) -> pl.Series:
    """Where text has a NUL character, which Postgres cannot hold."""
    return column.str.contains("\0", literal=True).fill_null(False) if column.dtype == pl.String else _nowhere(column)


def is_blank(column: pl.Series) -> pl.Series:
    """Where text is null, empty or white space."""
    return (column.str.strip_chars() == "").fill_null(True)


def _has_codes(text: pl.Series, numbers: pl.Series) -> bool:
    """Whether some number would lose digits that tell it from others if it were kept as a float."""
    beyond = numbers.abs() >= _EXACT_IN_A_FLOAT
    if text.str.contains(_CODE).any():
        return True
    large = text.filter(beyond)
    return bool((large.str.contains(_WHOLE) & ~large.str.contains(_WRITTEN_OUT)).any())


def _whole_if_exact(numbers: pl.Series) -> pl.Series:
    """Floats that are all whole and exact as Int64, so that they are written 1 and not 1.0."""
    exact = ((numbers % 1 == 0) & (numbers.abs() < _EXACT_IN_A_FLOAT)).all()
    return numbers.cast(pl.Int64) if exact else numbers


def _nowhere(column: pl.Series) -> pl.Series:
    return pl.Series([False]).new_from_index(0, len(column))
