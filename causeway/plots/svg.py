"""Drawings as SVG text: as wide as the place they are put into, with letters that keep their size there.

Across, a place is a percentage; downwards, it is a pixel. Curves are stretched, their lines and all text are not, so
that a drawing can be read on a phone and on paper. Colours are the page's where it sets them (`--chart-ink` and so
on), so that a drawing follows a dark page. Nothing here needs matplotlib, which a web process does not want to load.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from unicodedata import east_asian_width

from causeway.plots.canvas import shorten

# Control characters and lone surrogates are in no HTML or XML; those that turn the direction of writing could make a
# name pass for another.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)

CHART_STYLE = """
.chart{display:block;font:13px/1.3 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;overflow:visible}
.chart .inner,.chart .mark{overflow:hidden}.chart .mark{overflow:visible}
.chart text{fill:var(--chart-ink,#1f2933);paint-order:stroke;stroke:var(--chart-paper,#fff);stroke-width:4px;
stroke-linejoin:round}
.chart .name{font-weight:600}.chart .quiet{fill:var(--chart-quiet,#55606d)}
.chart .number{font-variant-numeric:tabular-nums}
.chart .rule{stroke:var(--chart-faint,#e3e7ec);stroke-width:1}
.chart .zero{stroke:var(--chart-quiet,#55606d);stroke-width:1.5}
.chart .margin{stroke:var(--chart-bad,#b34700);stroke-width:1.5;stroke-dasharray:6 4}
.chart .minimum{stroke:var(--chart-good,#0068a3);stroke-width:1.5;stroke-dasharray:1.5 3}
.chart .span{stroke-width:2.5;stroke-linecap:round}
.chart .good{stroke:var(--chart-good,#0068a3);fill:var(--chart-good,#0068a3)}
.chart .bad{stroke:var(--chart-bad,#b34700);fill:var(--chart-bad,#b34700)}
.chart .open{stroke:var(--chart-quiet,#55606d);fill:var(--chart-paper,#fff);stroke-width:2}
.chart .curve{stroke:var(--chart-good,#0068a3);stroke-width:2.2;fill:none;vector-effect:non-scaling-stroke;
stroke-linejoin:round;stroke-linecap:round}
.chart .band{fill:var(--chart-good,#0068a3);fill-opacity:.2}
.chart .bar{fill:var(--chart-good,#0068a3);fill-opacity:.75}.chart .bar.bad{fill:var(--chart-bad,#b34700)}
.chart .trough{fill:var(--chart-faint,#e3e7ec)}
.chart .dashed{stroke:var(--chart-quiet,#55606d);stroke-width:1.5;stroke-dasharray:5 4}
.chart .tick{stroke:var(--chart-ink,#1f2933);stroke-width:2.5}
.chart .bar.other{fill:var(--chart-quiet,#55606d)}.chart .interval{fill:var(--chart-good,#0068a3);fill-opacity:.16}
.chart .chosen{fill:var(--chart-faint,#e3e7ec);fill-opacity:.55}
.chart .curve.chance{stroke:var(--chart-quiet,#55606d);stroke-width:1.5;stroke-dasharray:5 4}
.chart .curve.level{stroke:var(--chart-quiet,#55606d);stroke-width:1.2}
.chart .curve.nothing{stroke:var(--chart-bad,#b34700);stroke-width:2.6}
.chart .band.lost{fill:var(--chart-bad,#b34700);fill-opacity:.12}
.chart .arc{fill:none;stroke:var(--chart-quiet,#55606d);stroke-width:1.3;stroke-opacity:.8}
.chart .head{fill:var(--chart-quiet,#55606d)}
.chart .arc.asked{stroke:var(--chart-good,#0068a3);stroke-width:2.6;stroke-opacity:1}
.chart .head.asked{fill:var(--chart-good,#0068a3)}.chart .arc.unseen{stroke-dasharray:4 3}
.chart .node{fill:var(--chart-paper,#fff);stroke:var(--chart-ink,#1f2933);stroke-width:2}
.chart .node.asked{fill:var(--chart-good,#0068a3);stroke:var(--chart-good,#0068a3)}
.chart .node.unseen{stroke-dasharray:3 2.5}
.chart .node.refused{stroke:var(--chart-bad,#b34700)}
"""


def cleaned(text: str) -> str:
    """The text without characters that HTML and XML cannot hold or that reverse writing; U+FFFD stands for each.

    >>> cleaned("a\\x00b\\u202ec") == "a\\ufffdb\\ufffdc"
    True
    """
    # Almost every text is plain, and a drawing has hundreds.
    return text if text.isascii() and text.isprintable() else _UNFIT.sub("\ufffd", text)


def escaped(text: str) -> str:
    """The text as it may stand in an element or between quotes.

    >>> escaped('<b title="x">')
    '&lt;b title=&quot;x&quot;&gt;'
    """
    return escape(cleaned(text), quote=True)


def breadth(text: str) -> float:
    """About how wide a text is, in letters of the usual width (8.6 pixels in a drawing).

    >>> breadth("visits"), breadth("WWW")
    (6.0, 5.1)
    """
    return round(sum(_breadth_of(letter) for letter in text), 1)


def fitted(label: str, room: float) -> str:
    """The label, cut in the middle so that its breadth is at most `room`.

    >>> fitted("a rather long name", 12), fitted("WWWWWWWWWWWWWWWWWW", 12)
    ('a rat…name', 'WWW…WWW')
    """
    if breadth(label) <= room:
        return label
    length = min(len(label) - 1, int(room))
    while length > 2 and breadth(shorten(label, length)) > room:
        length -= 1
    return shorten(label, max(length, 1))


@lru_cache(maxsize=4096)
def _breadth_of(letter: str) -> float:
    if letter in "WMmw@%…" or east_asian_width(letter) in "WF":
        return 1.7
    return 1.2 if letter.isupper() or ord(letter) > 0x24F else 1.0


class Drawing:
    """A drawing `height` pixels high. `description` is what is read aloud in its place.

    >>> drawing = Drawing(20, "one line")
    >>> drawing.line(0, 10, 50, 10, "rule")
    >>> drawing.markup().count("<line")
    1
    """

    def __init__(self, height: int, description: str) -> None:
        self.height = height
        self.description = description
        self._parts: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line; x in per cent of the width, y in pixels."""
        self._parts.append(
            f'<line class="{kind}" x1="{_short(x1)}%" y1="{_short(y1)}" x2="{_short(x2)}%" y2="{_short(y2)}"/>'
        )

    def bar(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """A rectangle from the upper left corner; x and width in per cent."""
        self._parts.append(
            f'<rect class="{kind}" x="{_short(x)}%" y="{_short(y)}" width="{_short(max(0.0, width))}%"'
            f' height="{_short(height)}" rx="2"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        kind: str = "",
        *,
        anchor: str = "start",
        hint: str = "",
        shift: float = 0.0,
    ) -> None:
        """A line of text on the base line y, `shift` pixels beside x; `hint` is shown when it is pointed at."""
        title = f"<title>{escaped(hint)}</title>" if hint else ""
        beside = f' dx="{_short(shift)}"' if shift else ""
        self._parts.append(
            f'<text class="{kind}" x="{_short(x)}%" y="{_short(y)}"{beside} text-anchor="{anchor}">'
            f"{title}{escaped(text)}</text>"
        )

    def mark(self, x: float, y: float, kind: str) -> None:
        """A marker: a disc for "good", a diamond for "bad", a ring for "open"; colour is never the only sign."""
        shape = '<path d="M-6.5 0L0-6.5 6.5 0 0 6.5Z"/>' if kind == "bad" else '<circle r="5"/>'
        self._parts.append(f'<svg class="mark {kind}" x="{_short(x)}%" y="{_short(y)}">{shape}</svg>')

    def node(self, x: float, y: float, kind: str) -> None:
        """A disc for something that has causes and effects; here x is in pixels too."""
        self._parts.append(f'<circle class="node {kind}" cx="{_short(x)}" cy="{_short(y)}" r="6"/>')

    def arrow(self, x: float, start: float, end: float, bulge: float, kind: str) -> None:
        """An arc on the left from height `start` to height `end`, with its point at the end; all in pixels."""
        tip = x - 8
        self._parts.append(
            f'<path class="arc {kind}" d="M{_short(tip)} {_short(start)}C{_short(x - bulge)} {_short(start)}'
            f' {_short(x - bulge)} {_short(end)} {_short(tip - 5)} {_short(end)}"/>'
            f'<path class="head {kind}" d="M{_short(tip)} {_short(end)}l-9 -4v8z"/>'
        )

    def curves(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        bands: Sequence[Sequence[tuple[float, float]]] = (),
        curves: Sequence[Sequence[tuple[float, float]]] = (),
        kind: str = "",
    ) -> None:
        """Areas and lines through points of 0 to 1000 in both directions, stretched over a place, cut at its edge."""
        more = f" {kind}" if kind else ""
        shapes = [f'<path class="band{more}" d="{_path(points)}Z"/>' for points in bands]
        shapes += [f'<path class="curve{more}" d="{_path(points)}"/>' for points in curves]
        self._parts.append(
            f'<svg class="inner" x="{_short(x)}%" y="{_short(y)}" width="{_short(width)}%" height="{_short(height)}"'
            f' viewBox="0 0 1000 1000" preserveAspectRatio="none">{"".join(shapes)}</svg>'
        )

    def markup(self) -> str:
        """The drawing for the inside of a page that carries `CHART_STYLE`."""
        return (
            f'<svg class="chart" role="img" aria-label="{escaped(self.description)}" width="100%"'
            f' height="{self.height}">{"".join(self._parts)}</svg>'
        )

    def document(self, width: int = 720, border: int = 12) -> str:
        """The drawing as a file of its own, `width` pixels wide, on white."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{self.height + 2 * border}">'
            f'<style>{CHART_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
            f'<svg class="chart" x="{border}" y="{border}" width="{width - 2 * border}" height="{self.height}"'
            f' role="img" aria-label="{escaped(self.description)}">{"".join(self._parts)}</svg></svg>'
        )


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points)


def _short(value: float) -> str:
    """At most two decimals, no zeros behind them."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
