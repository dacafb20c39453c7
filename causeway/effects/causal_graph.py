"""A declared causal graph: read it, and find out whether the measured confounders close every back door.

DoWhy identifies by trying subsets, which takes seconds at twenty confounders and, at forty, gives up and
calls an identifiable effect unidentifiable (its search stops after 100,000 sets; py-why/dowhy#264, #1818).
Whether any valid set exists is one d-separation test, so that is asked first, and DoWhy is handed only what
matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Edge = tuple[str, str]

_TOKEN = re.compile(
    r"""\s+ | //[^\n]* | \#[^\n]* | /\*.*?\*/
    | (?P<arrow>->) | (?P<mark>[{}\[\];,=])
    | "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<word>[\w.+-]+?(?=->|[^\w.+-]|$))""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Identification:
    """Whether the effect of treatment on outcome follows from the graph and the measured confounders.

    `adjustment_set` closes every back door when `identified`; `set_aside` are declared confounders that the
    graph says not to adjust for (consequences of the treatment, colliders, causes of the treatment alone);
    `unknown` are those of them that the graph does not mention; `reason` says why not identified. `edges` is
    the part of the graph on which this rests: the ancestors of treatment and outcome.
    """

    identified: bool
    adjustment_set: tuple[str, ...]
    set_aside: tuple[str, ...]
    edges: tuple[Edge, ...]
    reason: str | None = None
    unknown: tuple[str, ...] = ()


def read_dot(text: str) -> tuple[Edge, ...]:
    """The edges of a directed graph in DOT: `digraph { a -> b; "two words" -> b -> c }`. Attributes and lone
    nodes are skipped.

    Raises ValueError for anything else: undirected graphs, subgraphs, other languages.

    >>> read_dot('digraph { age -> drug; age -> "blood pressure"; drug -> "blood pressure" [label="?"] }')
    (('age', 'drug'), ('age', 'blood pressure'), ('drug', 'blood pressure'))
    """
    tokens = list(_tokens(text))
    kinds = [kind for kind, _ in tokens]
    words = [word for _, word in tokens]
    start = words.index("{") if "{" in words else -1
    if not tokens or words[0].lower() not in ("digraph", "strict") or "digraph" not in [w.lower() for w in words[:2]]:
        raise ValueError("the graph must be written in DOT and start with: digraph {")
    if start < 0 or words[-1] != "}" or words.count("{") != 1 or words.count("}") != 1:
        raise ValueError("the graph needs one pair of braces, without subgraphs")
    edges: list[Edge] = []
    tail: str | None = None
    arrow = False
    in_attributes = False
    for kind, word in zip(kinds[start + 1 : -1], words[start + 1 : -1], strict=True):
        if in_attributes or (kind == "mark" and word == "["):
            in_attributes = not (kind == "mark" and word == "]")
        elif kind == "arrow":
            if tail is None or arrow:
                raise ValueError("an arrow in the graph has no beginning")
            arrow = True
        elif kind == "mark":
            if arrow:
                raise ValueError("an arrow in the graph has no end")
            tail = None
        else:
            if arrow and tail is not None:
                edges.append((tail, word))
            tail, arrow = word, False
    if arrow:
        raise ValueError("an arrow in the graph has no end")
    if not edges:
        raise ValueError("the graph has no arrows")
    return tuple(dict.fromkeys(edges))


def common_cause_graph(treatment: str, outcome: str, confounders: Sequence[str]) -> tuple[Edge, ...]:
    """The graph meant by a list of confounders: each is a cause of both treatment and outcome."""
    return (
        *((confounder, treatment) for confounder in confounders),
        *((confounder, outcome) for confounder in confounders),
        (treatment, outcome),
    )


def identify_by_adjustment(
    edges: Iterable[Edge], *, treatment: str, outcome: str, measured: Sequence[str]
) -> Identification:
    """Pearl's back-door criterion (2009, "Causality", def. 3.3.1) with the measured confounders.

    If any set of measured variables closes the back doors, then so does the set of all measured ancestors of
    treatment or outcome that are not consequences of the treatment (van der Zander, Liskiewicz & Textor
    2014, UAI, theorem on Z = An(X, Y)), so a single d-separation test decides. Causes of the treatment alone
    are then left out when the rest still suffices: they cost precision.

    >>> edges = [("age", "drug"), ("age", "bp"), ("drug", "bp"), ("drug", "dizzy")]
    >>> found = identify_by_adjustment(edges, treatment="drug", outcome="bp", measured=["age", "dizzy"])
    >>> found.adjustment_set, found.set_aside
    (('age',), ('dizzy',))
    """
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_edges_from(edges)

    def refused(reason: str) -> Identification:
        return Identification(False, (), tuple(measured), (), reason)

    absent = [name for name in (treatment, outcome) if name not in graph]
    if absent:
        return refused(f"the graph does not contain {' and '.join(absent)}")
    if not nx.is_directed_acyclic_graph(graph):
        return refused("the graph has a cycle")
    if not nx.has_path(graph, treatment, outcome):
        return refused(f"the graph has no path from {treatment} to {outcome}: it says that the effect is zero")

    unknown = tuple(name for name in measured if name not in graph)
    relevant = nx.ancestors(graph, treatment) | nx.ancestors(graph, outcome) | {outcome}
    graph = graph.subgraph(relevant).copy()
    without_effects = graph.copy()
    without_effects.remove_edges_from(list(graph.out_edges(treatment)))

    def closes_back_doors(names: Sequence[str]) -> bool:
        return bool(nx.is_d_separator(without_effects, {treatment}, {outcome}, set(names)))

    allowed = relevant - {treatment, outcome} - nx.descendants(graph, treatment)
    adjustment_set = [name for name in measured if name in allowed]
    if not closes_back_doors(adjustment_set):
        unmeasured = sorted(allowed - set(adjustment_set))
        reason = f"a back door between {treatment} and {outcome} stays open"
        return refused(f"{reason}: not measured {', '.join(unmeasured)}" if unmeasured else reason)
    causes_of_outcome = nx.ancestors(without_effects, outcome)
    leaner = [name for name in adjustment_set if name in causes_of_outcome]
    if closes_back_doors(leaner):
        adjustment_set = leaner
    return Identification(
        identified=True,
        adjustment_set=tuple(adjustment_set),
        set_aside=tuple(name for name in measured if name not in adjustment_set),
        edges=tuple(sorted(graph.edges)),
        unknown=unknown,
    )


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            raise ValueError(f"the graph cannot be read at: {text[position : position + 20]!r}")
        position = match.end()
        kind = match.lastgroup
        if kind is not None:
            word = match.group(kind)
            yield kind, word.replace('\\"', '"') if kind == "quoted" else word
