"""Pearl's back-door criterion (2009, "Causality", def. 3.3.1): which measured confounders to adjust for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causeway.effects.graph.graph import Graph
from causeway.effects.graph.separation import is_connected, nearest_separator, open_path

MOST_TRIED = 50
"""Missing variables that are tried one by one for being superfluous; more of them are named all together."""


@dataclass(frozen=True, slots=True)
class OpenDoor:
    """A back door that the measured confounders leave open, and what would have to be measured to close all of them."""

    path: str
    missing: tuple[str, ...]


def adjustment_set(graph: Graph, treatment: str, outcome: str, measured: Sequence[str]) -> tuple[str, ...] | None:
    """The confounders to adjust for, in the order of `measured`, or None where no set of them is valid.

    If any set of measured variables is valid then so is that of all measured ancestors of treatment or outcome that are
    not consequences of the treatment (van der Zander, Liskiewicz & Textor 2014, UAI): one test decides. Causes of the
    treatment alone cost precision (Henckel, Perkovic & Maathuis 2022, JRSS B 84, 579-599): they are left out, but for
    those that stand nearest to the outcome on a back door which nothing else closes.
    """
    without_effects = graph.without_arrows(out_of=(treatment,))
    allowed = _allowed(graph, treatment, outcome) & set(measured)
    nearest = nearest_separator(without_effects, outcome, (treatment,), allowed)
    if nearest is None:
        return None
    wanted = without_effects.ancestors((outcome,)) & allowed
    if is_connected(without_effects, outcome, treatment, wanted):
        wanted |= nearest
    return tuple(name for name in dict.fromkeys(measured) if name in wanted)


def open_door(graph: Graph, treatment: str, outcome: str, measured: Sequence[str]) -> OpenDoor | None:
    """What is missing, where no set of `measured` is valid; None where one is.

    Of the ways to close all doors that lie nearest to the treatment and to the outcome, the one that needs fewer
    further variables, without those of them that are not needed. Some set always does it: that of all the treatment's
    causes.
    """
    without_effects = graph.without_arrows(out_of=(treatment,))
    allowed = _allowed(graph, treatment, outcome)
    have = [name for name in measured if name in allowed]
    path = open_path(without_effects, treatment, outcome, have)
    if path is None:
        return None
    ways = [
        nearest_separator(without_effects, start, (end,), allowed)
        for start, end in ((outcome, treatment), (treatment, outcome))
    ]
    wanted = min((sorted(way - set(have)) for way in ways if way is not None), key=len)
    if len(wanted) <= MOST_TRIED:
        for name in list(wanted):
            fewer = [other for other in wanted if other != name]
            if nearest_separator(without_effects, outcome, (treatment,), {*have, *fewer}) is not None:
                wanted = fewer
    return OpenDoor(path, tuple(wanted))


def _allowed(graph: Graph, treatment: str, outcome: str) -> set[str]:
    """Ancestors of treatment or outcome that are not consequences of the treatment."""
    return graph.ancestors((treatment, outcome)) - graph.descendants((treatment,)) - {outcome}
