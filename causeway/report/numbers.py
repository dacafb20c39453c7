"""Numbers as people read them: as many digits as the uncertainty allows, a unit, thousands apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

MINUS, NO_BREAK = "\u2212", "\u00a0"
_SMALLEST, _LARGEST, _MOST_DECIMALS = 1e-6, 1e12, 8
_SMALL_LOSS = 0.001


@dataclass(frozen=True, slots=True)
class Scale:
    """How the values of one metric are worded: as a share, in per cent, or in a unit (which may be empty)."""

    is_share: bool = False
    unit: str = ""

    def value(self, number: float, resolution: float | None = None) -> str:
        """A mean.

        >>> Scale(is_share=True).value(0.18273, 0.002), Scale(unit="EUR").value(1234.5)
        ('18.27\\xa0%', '1,234\\xa0EUR')
        """
        return self._with_unit(number, resolution, "%", is_signed=False)

    def effect(self, number: float, resolution: float | None = None) -> str:
        """A difference of means, with its sign; of shares, in percentage points (pp).

        >>> Scale(is_share=True).effect(-0.0766, 0.0066)
        '\u22127.66\\xa0pp'
        """
        return self._with_unit(number, resolution, "pp", is_signed=True)

    def interval(self, low: float, high: float) -> str:
        """An interval of differences.

        >>> Scale(unit="EUR").interval(-0.5, 1.25)
        '\u22120.50 to 1.25\\xa0EUR'
        """
        half = (high - low) / 2
        return f"{self._bare(low, half)} to {self._with_unit(high, half, 'pp', is_signed=False)}"

    def brackets(self, effect: float, low: float, high: float) -> str:
        """An effect with its interval, short, for a picture whose axis names the unit.

        >>> Scale(is_share=True).brackets(0.0766, 0.07, 0.0832)
        '+7.66 [7.00, 8.32]'
        """
        half = (high - low) / 2
        number = self._bare(effect, half, is_signed=True)
        return f"{number} [{self._bare(low, half)}, {self._bare(high, half)}]"

    def tick(self, number: float) -> str:
        """A round number on an axis.

        >>> Scale(is_share=True).tick(-0.005), Scale().tick(0.0)
        ('\u22120.5', '0')
        """
        scaled = float(f"{number * self._factor:.10g}")
        if scaled == 0:
            return "0"
        if not _SMALLEST <= abs(scaled) < _LARGEST:
            return _power(scaled, 3)
        text = f"{scaled:,.{_MOST_DECIMALS}f}".rstrip("0").rstrip(".")
        return text.replace("-", MINUS)

    def loss(self, number: float) -> str:
        """An expected loss, which is soon too small to matter.

        >>> Scale(is_share=True).loss(3.7e-10)
        'below 0.001\xa0pp'
        """
        if number * self._factor >= _SMALL_LOSS:
            return self._with_unit(number, None, "pp", is_signed=False)
        unit = "pp" if self.is_share else self.unit
        return f"below {_SMALL_LOSS}{NO_BREAK}{unit}" if unit else f"below {_SMALL_LOSS}"

    @property
    def axis(self) -> str:
        """The unit of differences, in words."""
        return "percentage points" if self.is_share else self.unit

    @property
    def _factor(self) -> float:
        return 100.0 if self.is_share else 1.0

    def _with_unit(self, number: float, resolution: float | None, of_a_share: str, *, is_signed: bool) -> str:
        unit = of_a_share if self.is_share else self.unit
        text = self._bare(number, resolution, is_signed=is_signed)
        return f"{text}{NO_BREAK}{unit}" if unit else text

    def _bare(self, number: float, resolution: float | None, *, is_signed: bool = False) -> str:
        scaled = None if resolution is None else resolution * self._factor
        return decimal(number * self._factor, scaled, is_signed=is_signed)


def decimal(number: float, resolution: float | None = None, *, is_signed: bool = False) -> str:
    """A number with as many decimals as show `resolution` (a half width, say) to two digits, or itself to three.

    Raises ValueError for a number that is not finite: undefined is a status, in words.

    >>> decimal(7.6587, 0.33), decimal(-12345.6, 900.0), decimal(0.000012345), decimal(4.0, is_signed=True)
    ('7.66', '\u221212,346', '0.0000123', '+4.00')
    """
    if not math.isfinite(number):
        raise ValueError("a number that is not finite has no place in a report")
    is_tiny = 0 < abs(number) < _SMALLEST and (resolution is None or resolution < _SMALLEST)
    if is_tiny or abs(number) >= _LARGEST:
        text = _power(number, 3)
    else:
        scale = resolution if resolution is not None and 0 < resolution < math.inf else abs(number) / 10
        decimals = 0 if scale <= 0 else min(_MOST_DECIMALS, max(0, 1 - math.floor(math.log10(scale))))
        text = f"{number:,.{decimals}f}"
    if not text.strip("-0.,"):
        return text.lstrip("-")
    text = text.replace("-", MINUS)
    return f"+{text}" if is_signed and not text.startswith(MINUS) else text


def _power(number: float, digits: int) -> str:
    mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
    return f"{mantissa}{NO_BREAK}×{NO_BREAK}10^{int(exponent)}".replace("-", MINUS)  # noqa: RUF001


def percent(share: float, resolution: float | None = None, *, is_signed: bool = False) -> str:
    """A share in per cent.

    >>> percent(0.7212, 0.08, is_signed=True)
    '+72.1\\xa0%'
    """
    return f"{decimal(100 * share, None if resolution is None else 100 * resolution, is_signed=is_signed)}{NO_BREAK}%"


def whole(count: int) -> str:
    """A count.

    >>> whole(64000)
    '64,000'
    """
    return f"{count:,}"


def level(confidence: float) -> str:
    """A share that was declared, such as the level of an interval, as it was declared.

    >>> level(0.95)
    '95\xa0%'
    """
    return f"{100 * confidence:.6g}{NO_BREAK}%"


def p_value(value: float) -> str:
    """A p-value to two digits.

    >>> p_value(1.6e-113), p_value(0.03204), p_value(0.5713)
    ('<\xa00.0001', '0.032', '0.57')
    """
    if value < 0.0001:
        return f"<{NO_BREAK}0.0001"
    return f"{value:.2g}" if value < 0.995 else "1"
