"""Values as JSON and JavaScript know them: the types that a context may hold, and how JavaScript writes a number
as text, because that text is what the field's hashes are computed over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def unit_text(value: Json) -> str:
    """The text that stands for a unit in a hash; empty if the value identifies nobody.

    As in GrowthBook's SDKs, only texts that are not empty and finite numbers other than zero identify a unit.
    Neither does a text with lone surrogates, which no other system could store.
    """
    if isinstance(value, str):
        if value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError:
            return ""
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not value:
        return ""
    return number_text(value)


def number_text(value: int | float) -> str:
    """A number as JavaScript's `String()` writes it, empty if it is not finite: 1.0 is "1", 1e21 is "1e+21".

    Source: ECMAScript, Number::toString.
    """
    try:
        number = float(value)
    except OverflowError:
        return ""
    if not math.isfinite(number):
        return ""
    if number.is_integer() and abs(number) < 1e21:
        return str(int(number))
    mantissa, _, exponent = repr(number).partition("e")
    if not exponent:
        return mantissa
    power = int(exponent)
    if -7 < power < 0:
        digits = mantissa.lstrip("-").replace(".", "")
        sign = "-" if number < 0 else ""
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    return f"{mantissa.removesuffix('.0')}e{power:+d}"


def to_number(value: Json) -> int | float:
    """A value as JavaScript compares it with a number: null is 0, true is 1, text is read, all else is NaN."""
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return _read_number(value.strip())
    return 0 if value is None else math.nan


def _read_number(text: str) -> int | float:
    # Python would read more than JavaScript does: "nan", "inf" and "1_000".
    if text and _NUMERALS.issuperset(text):
        try:
            return float(text)
        except ValueError:
            return math.nan
    return math.nan if text else 0


_NUMERALS = frozenset("0123456789+-.eE")


def same(one: Json, other: Json) -> bool:
    """Whether two values are equal as JSON: true is not 1, but 1.0 is. Keys may stand in any order."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping):
        return (
            isinstance(other, Mapping)
            and len(one) == len(other)
            and all(key in other and same(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, Sequence) and not isinstance(one, str):
        return (
            isinstance(other, Sequence)
            and not isinstance(other, str)
            and len(one) == len(other)
            and all(same(mine, theirs) for mine, theirs in zip(one, other, strict=True))
        )
    return one == other
