"""Which variables move the treatment and nothing else: instruments, given what has to be adjusted for.

Pearl 2009 ("Causality", def. 7.4.1): Z is an instrument for the effect of X on Y given W, of which nothing is a
consequence of X, if W separates Z from Y once the arrows into X are cut, and does not separate Z from X.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causeway.effects.graph.graph import Graph
from causeway.effects.graph.separation import is_connected, nearest_separator, open_path


@dataclass(frozen=True, slots=True)
class Instrument:
    """A valid instrument and what to adjust for with it; `declared` as one, or found among what was measured."""

    name: str
    conditioning_set: tuple[str, ...]
    declared: bool


@dataclass(frozen=True, slots=True)
class _Question:
    """The two graphs and the variables that may be adjusted for, the same for every candidate."""

    graph: Graph
    fixed: Graph
    treatment: str
    outcome: str
    usable: tuple[str, ...]

    def separator(self, names: Sequence[str]) -> tuple[str, ...] | None:
        """W nearest to the outcome: where any W among the ancestors leaves a way from Z to X open, this one does
        (van der Zander, Textor & Liskiewicz 2015, IJCAI, on ancestral instruments; others are NP-hard to find)."""
        allowed = set(self.usable) - set(names)
        found = nearest_separator(self.fixed, self.outcome, names, allowed)
        return None if found is None else tuple(name for name in self.usable if name in found)

    def is_relevant(self, name: str, given: Sequence[str]) -> bool:
        return is_connected(self.graph, name, self.treatment, given)


def valid_instruments(
    graph: Graph,
    treatment: str,
    outcome: str,
    *,
    declared: Sequence[str],
    candidates: Sequence[str],
    measured: Sequence[str],
) -> tuple[Instrument, ...]:
    """The valid ones of the declared instruments, then of the other candidates, in the order given.

    `measured` may be adjusted for, as far as it is no consequence of the treatment. One pass over the graph for each
    candidate.
    """
    question = _question(graph, treatment, outcome, measured)
    found = []
    for name in dict.fromkeys((*declared, *candidates)):
        if name in (treatment, outcome) or name not in graph:
            continue
        given = question.separator((name,))
        if given is not None and question.is_relevant(name, given):
            found.append(Instrument(name, given, name in declared))
    return tuple(found)


def common_conditioning_set(
    graph: Graph, treatment: str, outcome: str, instruments: Sequence[Instrument], measured: Sequence[str]
) -> tuple[str, ...] | None:
    """One set that makes all of them instruments at once, as two-stage least squares wants it, or None."""
    names = [instrument.name for instrument in instruments]
    question = _question(graph, treatment, outcome, measured)
    given = question.separator(names)
    if given is None or not all(question.is_relevant(name, given) for name in names):
        return None
    return given


def why_not_an_instrument(graph: Graph, treatment: str, outcome: str, name: str, measured: Sequence[str]) -> str:
    """In words, what is wrong with an instrument that is not among the valid ones."""
    if name not in graph:
        return f"{name} is declared as an instrument, but not in the graph"
    if name in (treatment, outcome):
        return f"{name} cannot be its own instrument"
    question = _question(graph, treatment, outcome, measured)
    given = question.separator((name,))
    if given is not None:
        return f"{name} is no instrument: the graph says that it does not move {treatment}" + _given(given)
    ancestors = question.fixed.ancestors((name, outcome))
    given = tuple(other for other in question.usable if other in ancestors and other != name)
    path = open_path(question.fixed, name, outcome, given)
    return f"{name} is no instrument: the graph connects it with {outcome} also past {treatment}, {path}"


def _given(names: Sequence[str]) -> str:
    return f" given {', '.join(names)}" if names else ""


def _question(graph: Graph, treatment: str, outcome: str, measured: Sequence[str]) -> _Question:
    consequences = graph.descendants((treatment,))
    usable = tuple(
        name for name in dict.fromkeys(measured) if name in graph and name not in consequences and name != outcome
    )
    return _Question(graph, graph.without_arrows(into=(treatment,)), treatment, outcome, usable)
