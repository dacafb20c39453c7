"""A causal graph as a column of names with arrows beside them: it has room for any name, on a phone too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from causeway.plots.svg import Drawing, breadth, fitted

WIDEST, LONGEST_LINE, MOST_LINES = 130.0, 26, 4
LINE, BELOW = 17, 26
MOST_NODES = 60


@dataclass(frozen=True, slots=True)
class Part:
    """What a name is in the study, in words. kind: asked (treatment and outcome), seen, refused or unseen."""

    words: str
    kind: str = "seen"


@dataclass(frozen=True, slots=True)
class _Row:
    names: tuple[str, ...]
    part: Part
    lines: tuple[str, ...]

    @property
    def height(self) -> int:
        return LINE * len(self.lines) + BELOW


def causal_graph(
    edges: Sequence[tuple[str, str]], parts: Mapping[str, Part], *, treatment: str, outcome: str
) -> Drawing:
    """Causes above their effects; names of the same part with the same causes and effects share a row.

    The arrow that is asked about is heavier. A name without a part is "in the graph". At most sixty rows are drawn. A
    graph with a cycle is drawn too, its arrows going upwards where they have to.

    >>> graph = causal_graph([("age", "t"), ("age", "y"), ("t", "y")], {}, treatment="t", outcome="y")
    >>> graph.markup().count('class="head'), graph.markup().count("<circle")
    (3, 3)
    """
    rows = _rows(edges, parts, treatment=treatment, outcome=outcome)[:MOST_NODES]
    row_of = {name: at for at, row in enumerate(rows) for name in row.names}
    tops = [4 + sum(row.height for row in rows[:at]) for at in range(len(rows) + 1)]
    arrows = sorted(
        {(row_of[one], row_of[other]) for one, other in edges if one in row_of and other in row_of}
        - {(at, at) for at in range(len(rows))}
    )
    drawing = Drawing(tops[-1] + 2, _description(edges, parts, treatment, outcome))
    levels = [tops[at] + 12 for at in range(len(rows))]
    bulges = {pair: min(WIDEST, 30 + 0.42 * abs(levels[pair[0]] - levels[pair[1]])) for pair in arrows}
    # A curve like this reaches three quarters as far as its handles.
    gutter = 14 + 0.75 * max([0.0, *bulges.values()])
    # The long ones first, so that the short ones lie above them.
    for start, end in sorted(arrows, key=lambda pair: (-abs(pair[0] - pair[1]), pair)):
        kind = "asked" if (treatment in rows[start].names and outcome in rows[end].names) else ""
        if "unseen" in (rows[start].part.kind, rows[end].part.kind):
            kind = f"{kind} unseen".strip()
        drawing.arrow(gutter, levels[start], levels[end], bulges[start, end], kind)
    for at, row in enumerate(rows):
        drawing.node(gutter, levels[at], row.part.kind)
        for place, line in enumerate(row.lines):
            drawing.text(
                0, levels[at] + 4 + LINE * place, line, "name", hint=", ".join(row.names) if place == 0 else "",
                shift=gutter + 16,
            )  # fmt: skip
        drawing.text(0, levels[at] + 4 + LINE * len(row.lines), row.part.words, "quiet", shift=gutter + 16)
    return drawing


def _rows(edges: Sequence[tuple[str, str]], parts: Mapping[str, Part], *, treatment: str, outcome: str) -> list[_Row]:
    names = list(dict.fromkeys([*(name for edge in edges for name in edge), treatment, outcome, *parts]))
    causes: dict[str, set[str]] = {name: set() for name in names}
    effects: dict[str, set[str]] = {name: set() for name in names}
    for one, other in edges:
        if one != other:
            causes[other].add(one)
            effects[one].add(other)
    left, ordered = list(names), list[str]()
    while left:
        # The outcome as low as it may stand, the treatment right above it.
        free = [name for name in left if not causes[name] & set(left)] or left[:1]
        rest = [name for name in free if name not in (treatment, outcome)]
        chosen = rest or [name for name in free if name == treatment] or free
        ordered += chosen
        left = [name for name in left if name not in chosen]
    together: dict[object, list[str]] = {}
    for name in ordered:
        alone = name in (treatment, outcome)
        sign = name if alone else (_part(name, parts), frozenset(causes[name]), frozenset(effects[name]))
        together.setdefault(sign, []).append(name)
    return [_Row(tuple(each), _part(each[0], parts), _lines(each)) for each in together.values()]


def _part(name: str, parts: Mapping[str, Part]) -> Part:
    return parts.get(name, Part("in the graph"))


def _lines(names: Sequence[str]) -> tuple[str, ...]:
    """The names in lines that fit, and how many are not in them."""
    lines: list[str] = []
    for at, name in enumerate(names):
        mark = "," if at < len(names) - 1 else ""
        word = fitted(name, LONGEST_LINE - 1) + mark
        if lines and breadth(f"{lines[-1]} {word}") <= LONGEST_LINE:
            lines[-1] = f"{lines[-1]} {word}"
        elif len(lines) == MOST_LINES:
            return (*lines, f"and {len(names) - at} more")
        else:
            lines.append(word)
    return tuple(lines)


def _description(edges: Sequence[tuple[str, str]], parts: Mapping[str, Part], treatment: str, outcome: str) -> str:
    by_words: dict[str, list[str]] = {}
    for name, part in parts.items():
        by_words.setdefault(part.words, []).append(name)
    said = "; ".join(f"{words}: {', '.join(names)}" for words, names in by_words.items())
    arrows = ", ".join(f"{one} to {other}" for one, other in edges[:40])
    more = f" and {len(edges) - 40} more" if len(edges) > 40 else ""
    return f"Causal graph of {treatment} and {outcome}. Arrows from {arrows}{more}. {said}."
