"""Places for the nodes of a directed graph so that arrows point one way and seldom cross.

Sugiyama, Tagawa & Toda 1981 (IEEE Trans. SMC 11, 109-125): layers, bends where an arrow passes one, order by the mean
place of the neighbours, then places as near to that mean as the order and the gaps allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SWEEPS = 12


@dataclass(frozen=True, slots=True)
class Layout:
    """`layer` and `place` (across the layers, in the units of the gaps, from zero) of each node; `bends` are the places
    of an arrow in the layers that it passes, from its tail to its head.
    """

    layer: dict[str, int]
    place: dict[str, float]
    bends: dict[tuple[str, str], tuple[float, ...]]

    @property
    def n_layers(self) -> int:
        return 1 + max(self.layer.values(), default=0)

    @property
    def breadth(self) -> float:
        """From the first to the last place."""
        return max((*self.place.values(), *(p for places in self.bends.values() for p in places)), default=0.0)


def layered_layout(
    nodes: Sequence[str], edges: Sequence[tuple[str, str]], *, node_gap: float = 1.0, bend_gap: float = 0.35
) -> Layout:
    """The same for the same nodes and edges, whose order decides ties. Arrows that close a cycle point backwards and
    have no bends. `node_gap` is the room that a node takes, `bend_gap` that of an arrow that passes by.

    >>> layered_layout(["t", "y", "c"], [("c", "t"), ("c", "y"), ("t", "y")]).layer
    {'t': 1, 'y': 2, 'c': 0}
    """
    forward = _without_cycles(nodes, edges)
    layer = _layers(nodes, forward)
    rows: list[list[str]] = [[] for _ in range(1 + max(layer.values(), default=0))]
    for name in nodes:
        rows[layer[name]].append(name)
    links: list[tuple[str, str]] = []
    chains: dict[tuple[str, str], list[str]] = {}
    for tail, head in forward:
        # No name of a column has a line break and a number behind it.
        chain = [f"{tail}\n{head}\n{depth}" for depth in range(layer[tail] + 1, layer[head])]
        for depth, bend in enumerate(chain, layer[tail] + 1):
            rows[depth].append(bend)
        chains[(tail, head)] = chain
        links.extend(zip([tail, *chain], [*chain, head], strict=True))
    before: dict[str, list[str]] = {name: [] for row in rows for name in row}
    after: dict[str, list[str]] = {name: [] for row in rows for name in row}
    for one, other in links:
        before[other].append(one)
        after[one].append(other)
    _order(rows, before, after)
    gaps = {name: node_gap if name in layer else bend_gap for row in rows for name in row}
    place = _places(rows, before, after, gaps)
    return Layout(
        layer=layer,
        place={name: place[name] for name in nodes},
        bends={edge: tuple(place[bend] for bend in chain) for edge, chain in chains.items()},
    )


def _without_cycles(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    children: dict[str, list[str]] = {name: [] for name in nodes}
    for tail, head in dict.fromkeys(edges):
        if tail in children and head in children and tail != head:
            children[tail].append(head)
    backward: set[tuple[str, str]] = set()
    state: dict[str, int] = {}
    for root in nodes:
        if root in state:
            continue
        trail, waiting = [root], [iter(children[root])]
        state[root] = 1
        while trail:
            child = next(waiting[-1], None)
            if child is None:
                state[trail.pop()] = 2
                waiting.pop()
            elif child not in state:
                state[child] = 1
                trail.append(child)
                waiting.append(iter(children[child]))
            elif state[child] == 1:
                backward.add((trail[-1], child))
    return [(tail, head) for tail in nodes for head in children[tail] if (tail, head) not in backward]


def _layers(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest way to each node; then each as near to what it causes as possible."""
    parents: dict[str, list[str]] = {name: [] for name in nodes}
    children: dict[str, list[str]] = {name: [] for name in nodes}
    for tail, head in edges:
        parents[head].append(tail)
        children[tail].append(head)
    missing = {name: len(parents[name]) for name in nodes}
    ready = [name for name in nodes if not missing[name]]
    layer = dict.fromkeys(ready, 0)
    for name in ready:
        for child in children[name]:
            missing[child] -= 1
            layer[child] = max(layer.get(child, 0), layer[name] + 1)
            if not missing[child]:
                ready.append(child)
    for name in reversed(ready):
        if children[name]:
            layer[name] = min(layer[child] for child in children[name]) - 1
    return {name: layer[name] for name in nodes}


def _order(rows: list[list[str]], before: dict[str, list[str]], after: dict[str, list[str]]) -> None:
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        neighbours = before if downwards else after
        for depth in range(1, len(rows)) if downwards else range(len(rows) - 2, -1, -1):
            row = rows[depth]
            reference = rows[depth - 1 if downwards else depth + 1]
            rank = {name: place / max(1, len(reference) - 1) for place, name in enumerate(reference)}
            own = {name: place / max(1, len(row) - 1) for place, name in enumerate(row)}
            mean = {
                name: float(np.mean([rank[other] for other in neighbours[name]])) if neighbours[name] else own[name]
                for name in row
            }
            row.sort(key=lambda name, mean=mean: mean[name])  # type: ignore[misc]


def _places(
    rows: list[list[str]], before: dict[str, list[str]], after: dict[str, list[str]], gaps: dict[str, float]
) -> dict[str, float]:
    place: dict[str, float] = {}
    for row in rows:
        offsets = _offsets(row, gaps)
        middle = offsets[-1] / 2 if len(offsets) else 0.0
        place.update({name: float(offset - middle) for name, offset in zip(row, offsets, strict=True)})
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            if not row:
                continue
            wanted = []
            for name in row:
                near = [place[other] for other in (*before[name], *after[name])]
                wanted.append(float(np.mean(near)) if near else place[name])
            offsets = _offsets(row, gaps)
            settled = _ascending(np.array(wanted) - offsets) + offsets
            place.update(dict(zip(row, settled.tolist(), strict=True)))
    lowest = min(place.values(), default=0.0)
    return {name: value - lowest for name, value in place.items()}


def _offsets(row: list[str], gaps: dict[str, float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Least distance of each from the first of its row."""
    half = np.array([gaps[name] / 2 for name in row])
    return np.concatenate([[0.0], np.cumsum(half[:-1] + half[1:])]) if row else np.empty(0)


def _ascending(wanted: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The nearest values, by squares, that do not descend (pool adjacent violators)."""
    blocks: list[tuple[float, int]] = []
    for value in wanted:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            other, count = blocks.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        blocks.append((mean, size))
    return np.concatenate([np.full(size, mean) for mean, size in blocks])
