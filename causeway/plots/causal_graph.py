"""A causal graph and what was made of it: what is adjusted for, what is not, and what nobody measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from causeway.effects.graph.edges import Edge, latent_between
from causeway.effects.graph.graph import Graph
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
from causeway.plots.layered_layout import Layout, layered_layout
from causeway.plots.svg import cleaned, fitted

MOST_NODES = 40
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
    arrows, hidden = _hidden_causes(tuple(dict.fromkeys(edges)))
    roles = _roles(arrows, found, hidden, treatment=treatment, outcome=outcome, also_measured=also_measured)
    shown = _most_important(arrows, roles, treatment, outcome)
    indirect = _through_what_is_not_drawn(arrows, shown) if len(shown) < len(roles) else []
    arrows = [(tail, head) for tail, head in arrows if tail in shown and head in shown]
    hidden = [pair for pair in hidden if set(pair) <= set(shown)]
    layout = layered_layout(shown, [*arrows, *indirect])
    used = [role for role in LOOKS if role in {roles[name] for name in shown}]
    canvas = _Canvas(layout, len(used) + bool(hidden), with_hidden=bool(hidden))
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


def _hidden_causes(edges: Sequence[Edge]) -> tuple[list[Edge], list[tuple[str, str]]]:
    """The arrows without those from unmeasured common causes of two nodes, and these pairs."""
    children: dict[str, list[str]] = {}
    for tail, head in edges:
        children.setdefault(tail, []).append(head)
    pairs = {
        tail: (heads[0], heads[1])
        for tail, heads in children.items()
        if len(heads) == 2 and tail == latent_between(*heads)
    }
    return [(tail, head) for tail, head in edges if tail not in pairs], list(pairs.values())


def _roles(
    arrows: Sequence[Edge],
    found: Identification,
    hidden: Sequence[Edge],
    *,
    treatment: str,
    outcome: str,
    also_measured: Sequence[str],
) -> dict[str, str]:
    names = dict.fromkeys(name for edge in (*arrows, *hidden) for name in edge)
    in_use = [each.name for each in found.instruments if each.declared] or [each.name for each in found.instruments]
    roles = dict.fromkeys(names, "unmeasured")
    for role, members in (
        ("missing", found.missing),
        ("measured", (*also_measured, *found.not_instruments)),
        ("set_aside", found.set_aside),
        ("refused", found.refused),
        ("instrument", in_use if found.by == "instrument" else [e.name for e in found.instruments if e.declared]),
        ("mediator", found.mediators if found.by == "front_door" else ()),
        ("adjusted", found.adjustment_set),
        ("treatment", (treatment,)),
        ("outcome", (outcome,)),
    ):
        for name in members:
            if name in roles:
                roles[name] = role
    return roles


def _most_important(arrows: Sequence[Edge], roles: dict[str, str], treatment: str, outcome: str) -> list[str]:
    """At most forty names, in the order of the graph: a causal path, what answers the question, then the nearest."""
    if len(roles) <= MOST_NODES:
        return list(roles)
    graph = Graph.from_edges(arrows)
    known = treatment in graph and outcome in graph
    path = set((graph.directed_path(treatment, outcome) if known else None) or ())
    distance, row = dict.fromkeys((treatment, outcome), 0), [treatment, outcome]
    while row:
        following = []
        for name in row:
            for other in (*graph.parents.get(name, ()), *graph.children.get(name, ())):
                if other not in distance:
                    distance[other] = distance[name] + 1
                    following.append(other)
        row = following

    def rank(name: str) -> tuple[int, int, int]:
        role = roles[name]
        first = 0 if role in ("treatment", "outcome") else 1 if role in ("instrument", "mediator", "missing") else 3
        unmeasured = role == "unmeasured"
        return min(first, 2 if name in path else 3), distance.get(name, len(roles)), unmeasured

    kept = set(sorted(roles, key=rank)[:MOST_NODES])
    return [name for name in roles if name in kept]


def _through_what_is_not_drawn(arrows: Sequence[Edge], shown: Sequence[str]) -> list[Edge]:
    """Pairs of which one leads to the other only through nodes that are not drawn, without those that go without
    saying because the drawn arrows lead there as well.
    """
    graph, drawn = Graph.from_edges(arrows), set(shown)
    links = [(tail, head) for tail, head in arrows if tail in drawn and head in drawn]
    indirect: list[Edge] = []
    for name in shown:
        seen, waiting = {name}, [name]
        reached: list[str] = []
        while waiting:
            for child in graph.children.get(waiting.pop(), ()):
                if child in seen:
                    continue
                seen.add(child)
                (reached if child in drawn else waiting).append(child)
        for head in reached:
            if head not in Graph.from_edges([*links, *indirect, (name, name)]).descendants((name,)):
                indirect.append((name, head))
    return indirect


class _Canvas:
    """Where things are, in pixels from the upper left corner; layers go to the right or, when there are many, down."""

    def __init__(self, layout: Layout, n_in_legend: int, *, with_hidden: bool) -> None:
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
            self.step = min(150.0, (WIDTH - 20 - (HIGHEST_ARC if with_hidden else 0.0)) / (layout.breadth + 1))
            self.box = (self.step - 12, min(30.0, self.pitch - 14))
            length = n * self.pitch
        # Broken lines between nodes swing out above them, or to their left.
        self.margin = HIGHEST_ARC if with_hidden else 0.0
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
            # It closes a cycle: an arc, from the side of one box to the side of the other.
            axes.add_patch(
                FancyArrowPatch(
                    start, end, arrowstyle="-|>", mutation_scale=12, color=VERMILION, linewidth=1.6,
                    connectionstyle="arc3,rad=0.5", shrinkA=height, shrinkB=height, zorder=1,
                )
            )  # fmt: skip
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
        from matplotlib.patches import FancyArrowPatch

        width, height = self.box
        aside = (0.0, -height / 2) if self.across else (-width / 2, 0.0)
        start, end = sorted((self.spot(one), self.spot(other)), key=lambda spot: spot if self.across else spot[::-1])
        distance = math.hypot(end[0] - start[0], end[1] - start[1])
        # An arc of this bend is half of it times the distance high.
        bend = min(0.5, 2 * HIGHEST_ARC / max(distance, 1.0)) * (-1 if self.across else 1)
        axes.add_patch(
            FancyArrowPatch(
                (start[0] + aside[0], start[1] + aside[1]), (end[0] + aside[0], end[1] + aside[1]), linestyle="--",
                arrowstyle="<|-|>", mutation_scale=11, color=VERMILION, linewidth=1.6, shrinkA=2, shrinkB=2, zorder=1,
                connectionstyle=f"arc3,rad={bend:.3f}",
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
