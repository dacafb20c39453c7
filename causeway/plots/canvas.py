"""One look for every picture: sizes, colours that colour-blind readers can tell apart, and PNG bytes.

Figures are made with matplotlib's objects on an Agg canvas, never through pyplot, whose global state does
not survive threads.
"""

from __future__ import annotations

import math
from io import BytesIO
from typing import Any

DPI = 100
MAX_WIDTH = 900

# Okabe & Ito 2008, "Color universal design".
BLUE, VERMILION, GREEN, ORANGE, SKY, PURPLE, YELLOW = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#56B4E9",
    "#CC79A7",
    "#F0E442",
)
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY)
INK, GREY, FAINT = "#1F2933", "#6B7785", "#E3E7EC"


def new_figure(width: int, height: int) -> tuple[Any, Any]:
    """A figure of width x height pixels (width at most 900) with one axes, and that axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if width > MAX_WIDTH:
        raise ValueError(f"a picture is at most {MAX_WIDTH} px wide, not {width}")
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=10)
    return figure, axes


def add_titles(axes: Any, title: str, subtitle: str = "") -> None:
    """A title and, in grey below it, what the reader needs to know first; both flush left."""
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=26 if subtitle else 10)
    if subtitle:
        axes.annotate(
            subtitle, (0, 1), xytext=(0, 10), xycoords="axes fraction", textcoords="offset points",
            fontsize=10, color=GREY, va="bottom",
        )  # fmt: skip


def say_in_row(axes: Any, position: float, text: str) -> None:
    """Hatch one row of the picture, at `position`, and say in words why it shows no number."""
    axes.axhspan(
        position - 0.36,
        position + 0.36,
        facecolor="white",
        edgecolor=FAINT,
        hatch="////",
        linewidth=0,
        zorder=2,
    )
    axes.annotate(
        text, (0.5, position), xycoords=("axes fraction", "data"), ha="center", va="center", fontsize=10,
        color=INK, bbox={"facecolor": "white", "edgecolor": "none", "pad": 2}, zorder=4,
    )  # fmt: skip


def with_decimals(value: float, resolution: float) -> str:
    """The value with as many decimals as show `resolution` to two digits, and a true minus sign.

    >>> with_decimals(7.6587, 0.33), with_decimals(12345.6, 900.0)
    ('7.66', '12,346')
    """
    decimals = 3 if resolution <= 0 else min(8, max(0, 1 - math.floor(math.log10(resolution))))
    return f"{value:,.{decimals}f}".replace("-", "−")  # noqa: RUF001


def shorten(label: str, length: int = 34) -> str:
    """The label, cut in the middle to `length` characters, so that beginnings and endings stay readable.

    >>> shorten("a rather long name of a column", 13)
    'a rath…column'
    """
    if len(label) <= length:
        return label
    head = length // 2
    return f"{label[:head]}…{label[len(label) - (length - 1 - head) :]}"


def to_png(figure: Any) -> bytes:
    """The picture as PNG bytes; the same figure gives the same bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Any) -> bytes:
    """The picture as SVG; the same figure gives the same bytes, and text stays text."""
    import matplotlib as mpl

    buffer = BytesIO()
    with mpl.rc_context({"svg.hashsalt": "causeway", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
