"""Ancestors, descendants and cuts of a directed graph, each in one pass over its arrows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from causeway.effects.graph.edges import Edge

_Neighbours = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Parents and children of every node, in the order in which the arrows were declared."""

    parents: _Neighbours
    children: _Neighbours

    @classmethod
    def from_edges(cls, edges: Iterable[Edge]) -> Graph:
        """The graph of these arrows; one that is given twice counts once."""
        parents: dict[str, list[str]] = {}
        children: dict[str, list[str]] = {}
        for tail, head in dict.fromkeys(edges):
            for name in (tail, head):
                parents.setdefault(name, [])
                children.setdefault(name, [])
            parents[head].append(tail)
            children[tail].append(head)
        return cls(
            {name: tuple(names) for name, names in parents.items()},
            {name: tuple(names) for name, names in children.items()},
        )

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All arrows, sorted."""
        return tuple(sorted((tail, head) for tail, heads in self.children.items() for head in heads))

    @property
    def size(self) -> tuple[int, int]:
        """Numbers of nodes and of arrows."""
        return len(self.parents), sum(map(len, self.parents.values()))

    def __contains__(self, name: object) -> bool:
        return name in self.parents

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """The names and everything that has an effect on one of them."""
        return _reached(names, self.parents)

    def descendants(self, names: Iterable[str]) -> set[str]:
        """The names and everything that one of them has an effect on."""
        return _reached(names, self.children)

    def among(self, names: Collection[str]) -> Graph:
        """The graph of these nodes alone."""
        kept = set(names)
        return Graph(
            {name: tuple(p for p in parents if p in kept) for name, parents in self.parents.items() if name in kept},
            {name: tuple(c for c in children if c in kept) for name, children in self.children.items() if name in kept},
        )

    def without_arrows(self, *, into: Collection[str] = (), out_of: Collection[str] = ()) -> Graph:
        """The graph without the arrows into, or out of, some nodes: Pearl's G with a bar over or under them."""
        cut_into, cut_out_of = set(into), set(out_of)
        return Graph(
            {
                name: () if name in cut_into else tuple(p for p in parents if p not in cut_out_of)
                for name, parents in self.parents.items()
            },
            {
                name: () if name in cut_out_of else tuple(c for c in children if c not in cut_into)
                for name, children in self.children.items()
            },
        )

    def cycle(self) -> tuple[str, ...] | None:
        """One cycle, its first node again at the end, or None where there is none."""
        state: dict[str, int] = {}
        for root in self.children:
            if root in state:
                continue
            trail, waiting = [root], [iter(self.children[root])]
            state[root] = 1
            while trail:
                child = next(waiting[-1], None)
                if child is None:
                    state[trail.pop()] = 2
                    waiting.pop()
                elif child not in state:
                    state[child] = 1
                    trail.append(child)
                    waiting.append(iter(self.children[child]))
                elif state[child] == 1:
                    return (*trail[trail.index(child) :], child)
        return None

    def directed_path(self, start: str, end: str) -> tuple[str, ...] | None:
        """A shortest way along the arrows, or None."""
        came_from: dict[str, str | None] = {start: None}
        row = [start]
        while row and end not in came_from:
            following = []
            for name in row:
                for child in self.children[name]:
                    if child not in came_from:
                        came_from[child] = name
                        following.append(child)
            row = following
        if end not in came_from:
            return None
        path, name_or_none = [], came_from[end]
        path.append(end)
        while name_or_none is not None:
            path.append(name_or_none)
            name_or_none = came_from[name_or_none]
        return tuple(reversed(path))


def _reached(names: Iterable[str], neighbours: _Neighbours) -> set[str]:
    found = set(names)
    waiting = list(found)
    while waiting:
        for name in neighbours[waiting.pop()]:
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found
