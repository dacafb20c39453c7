"""Which nodes of a causal graph are drawn, and as what."""

from __future__ import annotations

from collections.abc import Sequence

from causeway.effects.graph.edges import Edge, latent_between
from causeway.effects.graph.graph import Graph
from causeway.effects.graph.identification import Identification

MOST_NODES = 40


def hidden_causes(edges: Sequence[Edge]) -> tuple[list[Edge], list[tuple[str, str]]]:
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


def roles_in_graph(
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


def most_important(arrows: Sequence[Edge], roles: dict[str, str], treatment: str, outcome: str) -> list[str]:
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


def through_what_is_not_drawn(arrows: Sequence[Edge], shown: Sequence[str]) -> list[Edge]:
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
        indirect += [(name, head) for head in reached]
    for edge in list(indirect):
        others = [other for other in indirect if other != edge]
        # The pair keeps both ends in the graph, whatever else leads there.
        rest = Graph.from_edges([*links, *others, *((name, name) for name in edge)])
        if edge[1] in rest.descendants(edge[:1]):
            indirect = others
    return indirect
