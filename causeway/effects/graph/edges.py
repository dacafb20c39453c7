"""What a graph is made of: arrows between names, as declared, as a list or as what a list of confounders means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Edge = tuple[str, str]

MOST_NODES, MOST_EDGES, LONGEST_TEXT = 10_000, 50_000, 2_000_000
"""Above any of them a graph is too large: tests are one pass over it, and identification makes about twenty."""


class GraphTooLarge(ValueError):
    """More nodes, arrows or characters than are looked at."""


def check_size(*, n_nodes: int = 0, n_edges: int = 0, length: int = 0) -> None:
    """Raises GraphTooLarge, with the limits in words."""
    if n_nodes > MOST_NODES or n_edges > MOST_EDGES:
        size = f"{n_nodes:,} nodes and {n_edges:,}" if n_nodes else f"at least {n_edges:,}"
        raise GraphTooLarge(f"the graph has {size} arrows; at most {MOST_NODES:,} and {MOST_EDGES:,} are looked at")
    if length > LONGEST_TEXT:
        raise GraphTooLarge(f"the graph has {length:,} characters; at most {LONGEST_TEXT:,} are read")


def latent_between(one: str, other: str) -> str:
    """The name of the unmeasured common cause that `one <-> other` stands for; the same in both directions.

    >>> latent_between("y", "t")
    'an unmeasured common cause of t and y'
    """
    return "an unmeasured common cause of {} and {}".format(*sorted((one, other)))


def both_ways(one: str, other: str) -> tuple[Edge, Edge]:
    """The two arrows that a bidirected one stands for (Pearl 2009, "Causality", sec. 3.5)."""
    cause = latent_between(one, other)
    return (cause, one), (cause, other)


def common_cause_graph(treatment: str, outcome: str, confounders: Sequence[str]) -> tuple[Edge, ...]:
    """The graph meant by a list of confounders: each is a cause of both treatment and outcome."""
    return (
        *((confounder, treatment) for confounder in confounders),
        *((confounder, outcome) for confounder in confounders),
        (treatment, outcome),
    )


def implied_graph(
    treatment: str, outcome: str, confounders: Sequence[str], instruments: Sequence[str] = (), *, hidden: bool = False
) -> tuple[Edge, ...]:
    """The graph meant by lists of confounders and instruments: confounders cause all else, instruments the treatment.

    `hidden` adds an unmeasured common cause of treatment and outcome: the reason for wanting an instrument.
    Raises GraphTooLarge.

    >>> implied_graph("t", "y", ["c"], ["z"])
    (('c', 't'), ('c', 'y'), ('t', 'y'), ('z', 't'), ('c', 'z'))
    """
    check_size(n_edges=len(confounders) * (2 + len(instruments)))
    return (
        *common_cause_graph(treatment, outcome, confounders),
        *((instrument, treatment) for instrument in instruments),
        *((confounder, instrument) for instrument in instruments for confounder in confounders),
        *(both_ways(treatment, outcome) if hidden else ()),
    )


def read_edges(declared: Iterable[object]) -> tuple[Edge, ...]:
    """The edges of a list of pairs (cause, effect), or of texts like "a -> b" and "a <-> b" in DOT's notation.

    Raises ValueError naming the first entry that is neither, and for a list without arrows.

    >>> read_edges([["age", "drug"], "age -> {drug, bp}", "drug -> bp"])
    (('age', 'drug'), ('age', 'bp'), ('drug', 'bp'))
    """
    from causeway.effects.graph.dot import read_statements

    edges: list[Edge] = []
    for position, entry in enumerate(declared, 1):
        if isinstance(entry, str):
            try:
                edges.extend(read_statements(entry))
            except GraphTooLarge:
                raise
            except ValueError as problem:
                raise ValueError(f"entry {position} of the graph, {entry!r}: {problem}") from problem
            continue
        pair = list(entry) if isinstance(entry, list | tuple) else []
        if len(pair) != 2 or not all(isinstance(name, str) and name.strip() for name in pair):
            raise ValueError(f"entry {position} of the graph is not a pair of two names: {entry!r}")
        edges.append((pair[0], pair[1]))
        check_size(n_edges=len(edges))
    if not edges:
        raise ValueError("the graph has no arrows")
    return tuple(dict.fromkeys(edges))
