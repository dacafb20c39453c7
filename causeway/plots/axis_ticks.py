"""Round numbers along an axis."""

from __future__ import annotations

import math


def axis_ticks(low: float, high: float, most: int = 5) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 times a power of ten from `low` to `high`, at most `most` (two or more) of them.

    Empty where the span is not positive and finite, or too narrow to be told apart at its place.

    >>> axis_ticks(-0.3, 1.1)
    (0.0, 0.5, 1.0)
    """
    span = high - low
    if not math.isfinite(span) or span <= 1e-12 * max(abs(low), abs(high)) or span < 1e-300:
        return ()
    exponent = math.floor(math.log10(span / most))
    for power, factor in ((exponent, 1), (exponent, 2), (exponent, 5), (exponent + 1, 1), (exponent + 1, 2)):
        step = float(f"{factor}e{power}")
        if step == 0:
            continue
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return tuple(float(f"{count * step:.12g}") for count in range(first, last + 1))
    return ()
