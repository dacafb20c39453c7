"""DoWhy's answer to the same question, where it can give one without going through all subsets.

Asked are its functions for each way (Sharma & Kiciman 2020, arXiv 2011.04216), not its `identify_effect`, whose search
of subsets takes hours on fifty nodes (py-why/dowhy#1818, #248, #287, #208) and at its limit of 100,000 sets calls an
identifiable effect unidentifiable (#264). Nothing here depends on a clock: what is too large is not asked.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from causeway.effects.graph.graph import Graph

if TYPE_CHECKING:
    from causeway.effects.graph.identification import Identification

MOST_NODES, MOST_EDGES = 150, 2_000
"""What may be left once what is no ancestor of treatment or outcome is gone: DoWhy copies the graph for each test."""

MOST_WORK = 30_000
"""Subsets times nodes and arrows that DoWhy may go through: below a second. That is nine variables in a sparse small
graph and three in the largest.
"""


def confirm(
    found: Identification,
    graph: Graph,
    *,
    treatment: str,
    outcome: str,
    measured: Sequence[str],
    confounders: Sequence[str],
) -> tuple[bool | None, str]:
    """Whether DoWhy agrees, and how that was asked; None with the reason where it was not asked, or has no such rule.

    Agreement is on the way that identifies the effect, or, where none does, on there being none.
    """
    relevant = graph.among(graph.ancestors((treatment, outcome)))
    n_nodes, n_edges = relevant.size
    if n_nodes > MOST_NODES or n_edges > MOST_EDGES:
        limits = f"more than {MOST_NODES} or {MOST_EDGES:,}"
        return None, f"too large for DoWhy: {n_nodes:,} nodes and {n_edges:,} arrows matter, {limits}"
    asked = _Dowhy(relevant, treatment, outcome)
    with _quiet():
        if found.by == "backdoor":
            return _agreed(asked.has_back_door_set(confounders), "back door", "an adjustment set")
        if found.by == "front_door":
            return _agreed(asked.is_front_door_set(found.mediators), "front door", "mediators")
        return _instrument(found, asked) if found.by == "instrument" else _nothing(found, asked, measured, confounders)


@contextmanager
def _quiet() -> Iterator[None]:
    """DoWhy logs each step and warns about its dependencies; what matters is in the result."""
    logger = logging.getLogger("dowhy")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _nothing(
    found: Identification, asked: _Dowhy, measured: Sequence[str], confounders: Sequence[str]
) -> tuple[bool | None, str]:
    if found.alternative != "ATE" and asked.has_back_door_set(confounders):
        return False, "DoWhy finds a back-door adjustment set where there should be none"
    if found.mediators or found.instruments:
        return True, "DoWhy finds no adjustment set either"
    mediators = asked.candidates_for_front_door(measured)
    if not asked.can_go_through(mediators):
        return None, f"too large for DoWhy: it would go through all subsets of {len(mediators)} mediators"
    if asked.front_door_set(measured):
        return False, "DoWhy finds a front door where there should be none"
    return True, "DoWhy finds no adjustment set and no front door either"


def _agreed(answer: bool, way: str, what: str) -> tuple[bool, str]:
    return answer, f"DoWhy {'finds' if answer else 'does not find'} {what} too ({way})"


def _instrument(found: Identification, asked: _Dowhy) -> tuple[bool | None, str]:
    theirs = asked.instruments()
    plain = [each.name for each in found.instruments if not each.conditioning_set]
    if any(name in theirs for name in plain):
        return True, "DoWhy finds the instrument too"
    return None, "DoWhy knows only instruments that cause the treatment directly and need no adjustment"


class _Dowhy:
    """One question on a copy of the graph, its names replaced by safe ones in the order of their sorting."""

    def __init__(self, graph: Graph, treatment: str, outcome: str) -> None:
        import networkx as nx

        self._safe = {name: f"n{place:04d}" for place, name in enumerate(sorted(graph.parents))}
        self._names = {safe: name for name, safe in self._safe.items()}
        self._graph = nx.DiGraph()
        self._graph.add_nodes_from(self._safe.values())
        self._graph.add_edges_from((self._safe[tail], self._safe[head]) for tail, head in graph.edges)
        self._treatment, self._outcome = [self._safe[treatment]], [self._safe[outcome]]
        self._consequences = {self._safe[name] for name in graph.descendants((treatment,))}

    def _observed(self, measured: Sequence[str]) -> list[str]:
        names = [self._safe[name] for name in dict.fromkeys(measured) if name in self._safe]
        return [*names, *self._treatment, *self._outcome]

    def can_go_through(self, names: Collection[str]) -> bool:
        """Whether all subsets of the names are few enough."""
        size = self._graph.number_of_nodes() + self._graph.number_of_edges()
        return len(names) < 20 and 2 ** len(names) * size <= MOST_WORK

    def has_back_door_set(self, measured: Sequence[str]) -> bool:
        """By the search for the largest set where that is short, else by the generalised criterion, which needs one
        pass and is as wide for one treatment: a consequence of it is never needed."""
        from dowhy.causal_identifier import auto_identifier as identifier

        observed = self._observed(measured)
        eligible = set(observed) - self._consequences - set(self._outcome)
        if self.can_go_through(eligible):
            sets = identifier.identify_backdoor(
                self._graph.copy(),
                self._treatment,
                self._outcome,
                observed,
                identifier.BackdoorAdjustment.BACKDOOR_MAX,
            )
        else:
            sets = identifier.identify_generalized_adjustment_set(
                self._graph.copy(),
                self._treatment,
                self._outcome,
                observed,
                identifier.GeneralizedAdjustment.GENERALIZED_ADJUSTMENT_DEFAULT,
            )
        return bool(sets)

    def instruments(self) -> set[str]:
        from dowhy.graph import get_instruments

        return {self._names[name] for name in get_instruments(self._graph, self._treatment, self._outcome)}

    def candidates_for_front_door(self, measured: Sequence[str]) -> list[str]:
        return [
            name
            for name in self._observed(measured)
            if name in self._consequences and name not in (*self._treatment, *self._outcome)
        ]

    def front_door_set(self, measured: Sequence[str]) -> list[str]:
        """Goes through all subsets of the mediators; the caller sees to it that they are few."""
        from dowhy.causal_identifier import auto_identifier as identifier

        found: Any = identifier.identify_frontdoor(
            self._graph.copy(), self._treatment, self._outcome, self._observed(measured)
        )
        return [self._names[name] for name in found]

    def is_front_door_set(self, names: Sequence[str]) -> bool:
        """DoWhy's three tests of one set."""
        from dowhy import graph as tests

        chosen = [self._safe[name] for name in names]
        into_cut = tests.do_surgery(self._graph, self._treatment, remove_incoming_edges=True)
        out_cut = tests.do_surgery(self._graph, chosen, remove_outgoing_edges=True)
        return bool(
            tests.check_valid_frontdoor_set(self._graph, self._treatment, self._outcome, chosen, new_graph=into_cut)
            and tests.check_valid_backdoor_set(self._graph, self._treatment, chosen, set())["is_dseparated"]
            and tests.check_valid_backdoor_set(self._graph, chosen, self._outcome, self._treatment, new_graph=out_cut)[
                "is_dseparated"
            ]
        )
