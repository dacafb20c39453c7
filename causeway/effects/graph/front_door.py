"""Pearl's front-door criterion (2009, "Causality", def. 3.3.3): measured mediators that nothing hidden moves.

The largest set of measured variables that satisfies the second and third condition is unique, and is found without
going through subsets (Jeong, Tian & Bareinboim 2022, NeurIPS, "Finding and listing front-door adjustment sets").
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from causeway.effects.graph.graph import Graph
from causeway.effects.graph.separation import connected

MOST_ROUNDS = 60
"""Rounds of leaving mediators out, each one pass over the graph, and mediators tried one by one."""


def front_door_mediators(graph: Graph, treatment: str, outcome: str, measured: Sequence[str]) -> tuple[str, ...] | None:
    """Mediators through which the whole effect passes and whose own effects are not confounded, in the order of
    `measured`; None where there are none, or where sixty rounds do not find any.

    A measured cause of mediator and outcome that has nothing to do with the treatment's own causes can be part of the
    set: it is summed over together with the mediator. Superfluous variables are left out where there are at most sixty.
    """
    relevant = graph.ancestors((outcome,)) - {treatment, outcome}
    hidden_from = connected(graph.without_arrows(out_of=(treatment,)), treatment, ())
    # (ii) No back door is open from the treatment to any of them.
    names = [name for name in dict.fromkeys(measured) if name in relevant and name not in hidden_from]
    for _ in range(MOST_ROUNDS):
        if not names or not intercepts(graph, treatment, outcome, names):
            return None
        open_ones = connected(graph.without_arrows(out_of=names), outcome, (treatment,))
        fewer = [name for name in names if name not in open_ones]
        if len(fewer) == len(names):
            break
        names = fewer
    else:
        return None
    consequences = graph.descendants((treatment,))
    on_the_way = [name for name in names if name in consequences]
    if is_front_door(graph, treatment, outcome, on_the_way):
        names = on_the_way
    for name in reversed(names if len(names) <= MOST_ROUNDS else []):
        fewer = [other for other in names if other != name]
        if fewer and is_front_door(graph, treatment, outcome, fewer):
            names = fewer
    return tuple(names)


def is_front_door(graph: Graph, treatment: str, outcome: str, names: Collection[str]) -> bool:
    """The three conditions: (i) all directed paths are intercepted; (ii) no back door from the treatment to the
    mediators is open; (iii) the treatment closes all from the mediators to the outcome.
    """
    return (
        intercepts(graph, treatment, outcome, names)
        and not connected(graph.without_arrows(out_of=(treatment,)), treatment, ()) & set(names)
        and not connected(graph.without_arrows(out_of=names), outcome, (treatment,)) & set(names)
    )


def intercepts(graph: Graph, treatment: str, outcome: str, names: Collection[str]) -> bool:
    """Whether every directed path from treatment to outcome goes through one of the names."""
    return outcome not in graph.without_arrows(into=names).descendants((treatment,))
