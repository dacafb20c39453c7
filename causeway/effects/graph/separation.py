"""D-separation (Pearl 2009, "Causality", def. 1.2.3), in one pass over the arrows however many paths there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from causeway.effects.graph.graph import Graph

_State = tuple[str, bool]
"""A node, and whether it was reached against the arrow (from one of its children)."""


def connected(graph: Graph, start: str, given: Collection[str]) -> set[str]:
    """All nodes that are not d-separated from `start` by `given` (Koller & Friedman 2009, algorithm 3.1).

    >>> graph = Graph.from_edges([("a", "c"), ("b", "c")])
    >>> sorted(connected(graph, "a", ())), sorted(connected(graph, "a", ("c",)))
    (['a', 'c'], ['a', 'b'])
    """
    return {name for name, _ in _walk(graph, start, given, None)} - set(given)


def is_connected(graph: Graph, start: str, end: str, given: Collection[str]) -> bool:
    """Whether `given` does not d-separate the two; ends where `end` is met."""
    return any(name == end for name, _ in reversed(_walk(graph, start, given, end))) and end not in given


def open_path(graph: Graph, start: str, end: str, given: Collection[str]) -> str | None:
    """A shortest path that `given` leaves open, with its arrows, or None where all are closed.

    >>> open_path(Graph.from_edges([("u", "t"), ("u", "y")]), "t", "y", ())
    't <- u -> y'
    """
    came_from = _walk(graph, start, given, end)
    states = [state for state in came_from if state[0] == end]
    if end in given or not states:
        return None
    trail: list[_State] = []
    state: _State | None = states[0]
    while state is not None:
        trail.append(state)
        state = came_from[state]
    trail.reverse()
    words = trail[0][0]
    for name, upwards in trail[1:]:
        words += f" {'<-' if upwards else '->'} {name}"
    return words


def nearest_separator(graph: Graph, start: str, ends: Collection[str], allowed: Collection[str]) -> set[str] | None:
    """The allowed ancestors of `start` and `ends` that are met first on the way from `start`, if they separate the two.

    A separator among `allowed` exists if and only if there is one among the ancestors (van der Zander, Liskiewicz &
    Textor 2014, UAI), and there d-separation is separation in the moral graph (Lauritzen 1990), which is walked
    without being written out: the parents of one node would be married in quadratic time.
    """
    ends = set(ends)
    ancestors = graph.ancestors({start, *ends})
    stops = set(allowed) & ancestors
    met: set[str] = set()
    seen, waiting, wed = {start}, [start], set[str]()
    while waiting:
        name = waiting.pop()
        for neighbour in _moral_neighbours(graph, name, ancestors, wed):
            if neighbour in ends:
                return None
            if neighbour in stops:
                met.add(neighbour)
            elif neighbour not in seen:
                seen.add(neighbour)
                waiting.append(neighbour)
    return met


def _moral_neighbours(graph: Graph, name: str, ancestors: Collection[str], wed: set[str]) -> Iterator[str]:
    yield from graph.parents[name]
    for child in graph.children[name]:
        if child not in ancestors:
            continue
        yield child
        if child not in wed:
            wed.add(child)
            yield from (parent for parent in graph.parents[child] if parent != name)


def _walk(graph: Graph, start: str, given: Collection[str], end: str | None) -> dict[_State, _State | None]:
    """Every state that an open path reaches, with the state before it; stops at `end`."""
    fixed = set(given)
    opened = graph.ancestors(fixed & set(graph.parents))
    came_from: dict[_State, _State | None] = {(start, True): None}
    row: list[_State] = [(start, True)]
    while row:
        following: list[_State] = []
        for state in row:
            name, upwards = state
            if name == end and name not in fixed:
                return came_from
            steps: list[_State] = []
            if name not in fixed:
                steps += [(child, False) for child in graph.children[name]]
            if (upwards and name not in fixed) or (not upwards and name in opened):
                steps += [(parent, True) for parent in graph.parents[name]]
            for step in steps:
                if step not in came_from:
                    came_from[step] = state
                    following.append(step)
        row = following
    return came_from
