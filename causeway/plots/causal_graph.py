"""A causal graph and what was made of it: what is adjusted for, what is not, and what nobody measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from causeway.effects.graph.edges import Edge
from causeway.effects.graph.identification import Identification
from causeway.plots.canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    VERMILION,
    add_titles,
    new_figure,
    to_png,
    to_svg,
)
from causeway.plots.causal_graph_roles import (
    hidden_causes,
    most_important,
    roles_in_graph,
    through_what_is_not_drawn,
)
from causeway.plots.layered_layout import Layout, layered_layout
from causeway.plots.svg import cleaned, fitted

MOST_COLUMNS = 6
WIDTH, TALLEST = 900, 1_400
LETTER = 6.7
HIGHEST_ARC = 40.0


@dataclass(frozen=True, slots=True)
class _Look:
    """How a role is drawn. Outline and line differ as well as the colour, so that a copy in grey can be read."""

    words: str
    shape: str
    edge: str
    face: str
    line: str = "-"
    width: float = 1.6
    text: str = INK
    weight: str = "normal"


LOOKS = {
    "treatment": _Look("treatment", "square", INK, INK, text="white", weight="bold"),
    "outcome": _Look("outcome", "square", INK, "white", width=3.2, weight="bold"),
    "adjusted": _Look("adjusted for", "round", BLUE, "#D6E9F5", width=2.0),
    "instrument": _Look("instrument", "pointed", ORANGE, "#FBEFD5", width=2.0),
    "mediator": _Look("front-door set", "slanted", GREEN, "#D9F0E8", width=2.0),
    "set_aside": _Look("set aside", "round", GREY, "white", line="--", text="#55606D"),
    "refused": _Look("refused: a consequence", "octagon", VERMILION, "#FBE3D6", width=2.0),
    "missing": _Look("not measured, but needed", "ellipse", VERMILION, "white", line=":", width=2.4),
    "unmeasured": _Look("not measured", "ellipse", GREY, "white", line=":", text="#55606D"),
    "measured": _Look("measured, not declared", "square", PURPLE, "white"),
}
HIDDEN = "an unmeasured common cause"


def causal_graph_plot(
    edges: Iterable[Edge],
    found: Identification,
    *,
    treatment: str,
    outcome: str,
    also_measured: Sequence[str] = (),
    title: str,
    svg: bool = False,
) -> bytes:
    """PNG (or SVG) of the declared graph; causes stand before effects, from the left or, in a long graph, from above.

    edges: all arrows as declared; `found` says what became of the confounders. also_measured: as for `identify`. Of
    more than forty nodes the forty are drawn that matter most, with dotted arrows where one leads to another through
    nodes that are not, and the subtitle says so. Unmeasured common causes of
    two nodes that were declared by `<->` are broken lines between them.
    """
    arrows, hidden = hidden_causes(tuple(dict.fromkeys(edges)))
    roles = roles_in_graph(arrows, found, hidden, treatment=treatment, outcome=outcome, also_measured=also_measured)
    shown = most_important(arrows, roles, treatment, outcome)
    indirect = through_what_is_not_drawn(arrows, shown) if len(shown) < len(roles) else []
    arrows = [(tail, head) for tail, head in arrows if tail in shown and head in shown]
    hidden = [pair for pair in hidden if set(pair) <= set(shown)]
    layout = layered_layout(shown, [*arrows, *indirect])
    used = [role for role in LOOKS if role in {roles[name] for name in shown}]
    has_arcs = bool(hidden) or any(edge not in layout.bends for edge in arrows)
    canvas = _Canvas(layout, len(used) + bool(hidden), has_arcs=has_arcs)
    figure, axes = new_figure(WIDTH, canvas.height + 90)
    add_titles(axes, cleaned(title), _subtitle(found, len(shown), len(roles)))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(canvas.height, 0)
    for edge in arrows:
        canvas.arrow(axes, *edge)
    for edge in indirect:
        canvas.arrow(axes, *edge, line=":")
    for pair in hidden:
        canvas.hidden_cause(axes, *pair)
    for name in shown:
        _draw_node(axes, LOOKS[roles[name]], (*canvas.spot(name), *canvas.box), name)
    canvas.legend(axes, used, with_hidden=bool(hidden))
    return to_svg(figure) if svg else to_png(figure)


def _subtitle(found: Identification, n_shown: int, n_nodes: int) -> str:
    ways = {"backdoor": "the back door", "instrument": "an instrument", "front_door": "the front door"}
    words = "not identified" if found.by is None else f"identified by {ways[found.by]}"
    if found.status not in ("identified", "not_identified"):
        words += f" ({found.status.replace('_', ' ')})"
    if n_shown == n_nodes:
        return words
    return f"{words}; of {n_nodes:,} nodes {n_shown} are drawn, dotted arrows lead through others"


class _Canvas:
    """Where things are, in pixels from the upper left corner; layers go to the right or, when there are many, down."""

    def __init__(self, layout: Layout, n_in_legend: int, *, has_arcs: bool) -> None:
        self.layout = layout
        self.across = layout.n_layers <= MOST_COLUMNS
        self.legend_rows = -(-n_in_legend // 4)
        n = layout.n_layers
        if self.across:
            self.pitch = min(260.0, (WIDTH - 20) / n)
            self.step = min(46.0, TALLEST / max(1.0, layout.breadth + 1))
            self.box = (min(150.0, self.pitch - 46), min(30.0, self.step - 8))
            length = (layout.breadth + 1) * self.step
        else:
            self.pitch = max(34.0, min(72.0, TALLEST / n))
            self.step = min(150.0, (WIDTH - 20 - (HIGHEST_ARC if has_arcs else 0.0)) / (layout.breadth + 1))
            self.box = (self.step - 12, min(30.0, self.pitch - 14))
            length = n * self.pitch
        # Arcs between nodes swing out above them, or to their left.
        self.margin = HIGHEST_ARC if has_arcs else 0.0
        self.graph_height = max(90.0, length + 10) + (self.margin if self.across else 0.0)
        self.height = round(self.graph_height + 20 + 34 * self.legend_rows)

    def spot(self, name: str) -> tuple[float, float]:
        return self._at(self.layout.layer[name], self.layout.place[name])

    def _at(self, layer: float, place: float) -> tuple[float, float]:
        if self.across:
            left = (WIDTH - self.layout.n_layers * self.pitch) / 2
            top = (self.graph_height + self.margin - (self.layout.breadth + 1) * self.step) / 2
            return left + (layer + 0.5) * self.pitch, top + (place + 0.5) * self.step
        left = (WIDTH + self.margin - (self.layout.breadth + 1) * self.step) / 2
        return left + (place + 0.5) * self.step, (layer + 0.5) * self.pitch

    def arrow(self, axes: Any, tail: str, head: str, *, line: str = "-") -> None:
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        width, height = self.box
        half = (width / 2, 0.0) if self.across else (0.0, height / 2)
        start, end = self.spot(tail), self.spot(head)
        if (tail, head) not in self.layout.bends:
            # It closes a cycle.
            self._arc(axes, tail, head, arrowstyle="-|>", linestyle="-")
            return
        # Straight past the boxes of a layer, bent between two of them.
        vertices, codes = [(start[0] + half[0], start[1] + half[1])], [Path.MOVETO]
        first = self.layout.layer[tail] + 1
        passed = [self._at(first + depth, place) for depth, place in enumerate(self.layout.bends[(tail, head)])]
        stops = [((x - half[0], y - half[1]), (x + half[0], y + half[1])) for x, y in passed]
        tip = (end[0] - half[0] - 2 * self.across, end[1] - half[1] - 2 * (not self.across))
        for arrival, departure in (*stops, (tip, None)):
            last, middle = vertices[-1], ((vertices[-1][0] + arrival[0]) / 2, (vertices[-1][1] + arrival[1]) / 2)
            across = [(middle[0], last[1]), (middle[0], arrival[1])]
            vertices += [*(across if self.across else [(last[0], middle[1]), (arrival[0], middle[1])]), arrival]
            codes += [Path.CURVE4] * 3
            if departure is not None:
                vertices.append(departure)
                codes.append(Path.LINETO)
        axes.add_patch(
            FancyArrowPatch(
                path=Path(vertices, codes), arrowstyle="-|>", mutation_scale=11, color=INK, linewidth=1.1,
                linestyle=line, alpha=0.75, zorder=1,
            )
        )  # fmt: skip

    def hidden_cause(self, axes: Any, one: str, other: str) -> None:
        self._arc(axes, one, other, arrowstyle="<|-|>", linestyle="--")

    def _arc(self, axes: Any, tail: str, head: str, **style: Any) -> None:
        """From one box to another, above all boxes or to the left of them."""
        from matplotlib.patches import FancyArrowPatch

        (x1, y1), (x2, y2) = self.spot(tail), self.spot(head)
        width, height = self.box
        apart = (width / 4 if self.across else height / 4) if tail == head else 0.0
        if self.across:
            start, end, side = (x1 - apart, y1 - height / 2), (x2 + apart, y2 - height / 2), -1 if x1 <= x2 else 1
        else:
            start, end, side = (x1 - width / 2, y1 - apart), (x2 - width / 2, y2 + apart), 1 if y1 <= y2 else -1
        distance = math.hypot(end[0] - start[0], end[1] - start[1])
        # An arc of this bend is half of it times the distance high.
        bend = side * min(0.5, 2 * HIGHEST_ARC / max(distance, 1.0))
        axes.add_patch(
            FancyArrowPatch(
                start, end, connectionstyle=f"arc3,rad={bend:.3f}", mutation_scale=11, color=VERMILION, linewidth=1.6,
                shrinkA=1, shrinkB=1, zorder=1, **style,
            )
        )  # fmt: skip

    def legend(self, axes: Any, used: Sequence[str], *, with_hidden: bool) -> None:
        """Each entry is drawn as what it explains."""
        from matplotlib.patches import FancyArrowPatch

        entries = [*used, *(["hidden"] if with_hidden else [])]
        for place, role in enumerate(entries):
            x = WIDTH * (place % 4 + 0.5) / 4
            y = self.graph_height + 30 + 34 * (place // 4)
            if role != "hidden":
                _draw_node(axes, LOOKS[role], (x, y, 196.0, 24.0), LOOKS[role].words)
                continue
            axes.add_patch(
                FancyArrowPatch(
                    (x - 100, y), (x - 62, y), arrowstyle="<|-|>", mutation_scale=10, color=VERMILION, linestyle="--",
                )
            )  # fmt: skip
            axes.text(x - 56, y, HIDDEN, fontsize=9.5, va="center", color=INK)


def _draw_node(axes: Any, look: _Look, place: tuple[float, float, float, float], name: str) -> None:
    """One box: its middle, width and height."""
    x, y, width, height = place
    axes.add_patch(_outline(look, x, y, width, height))
    size = min(10.5, max(7.0, height * 0.4))
    words = fitted(cleaned(name), max(3.0, (width - 16) / (LETTER * size / 10.5)))
    axes.text(
        # A dollar would begin a formula.
        x, y, words.replace("$", r"\$"), ha="center", va="center", fontsize=size, color=look.text,
        fontweight=look.weight, zorder=4, style="italic" if look.shape == "ellipse" else "normal",
    )  # fmt: skip


def _outline(look: _Look, x: float, y: float, width: float, height: float) -> Any:
    from matplotlib.patches import Ellipse, FancyBboxPatch, Polygon, Rectangle

    style: dict[str, Any] = {
        "facecolor": look.face,
        "edgecolor": look.edge,
        "linestyle": look.line,
        "linewidth": look.width,
    }
    style["zorder"] = 3
    left, right, top, low = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    cut = min(10.0, height / 3)
    corners = {
        "pointed": [(left, top), (right - cut, top), (right, y), (right - cut, low), (left, low)],
        "slanted": [(left + cut, top), (right, top), (right - cut, low), (left, low)],
        "octagon": [
            (left + cut, top), (right - cut, top), (right, top + cut), (right, low - cut),
            (right - cut, low), (left + cut, low), (left, low - cut), (left, top + cut),
        ],
    }  # fmt: skip
    if look.shape in corners:
        return Polygon(corners[look.shape], closed=True, **style)
    if look.shape == "ellipse":
        return Ellipse((x, y), width, height, **style)
    if look.shape == "round":
        rounded = f"round,pad=0,rounding_size={height / 2:.1f}"
        return FancyBboxPatch((left, top), width, height, boxstyle=rounded, **style)
    return Rectangle((left, top), width, height, **style)
