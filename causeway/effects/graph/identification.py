"""Does the effect follow from the graph and from what was measured, and by which of three ways?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from causeway.effects.graph.back_door import adjustment_set, open_door
from causeway.effects.graph.dot import read_dot
from causeway.effects.graph.edges import Edge, GraphTooLarge, check_size, implied_graph, read_edges
from causeway.effects.graph.front_door import front_door_mediators
from causeway.effects.graph.graph import Graph
from causeway.effects.graph.instruments import (
    Instrument,
    common_conditioning_set,
    valid_instruments,
    why_not_an_instrument,
)

Way = Literal["backdoor", "instrument", "front_door"]
GraphStatus = Literal[
    "identified", "not_identified", "no_path", "cycle", "absent", "unreadable_graph", "graph_too_large"
]
Target = Literal["ATE", "ATT", "ATC", "ATO", "LATE"]

INSTRUMENT_BUDGET = 250_000
"""Nodes and edges that the search for instruments may visit; about a second. Declared instruments come first."""

LONGEST_LIST = 8


@dataclass(frozen=True, slots=True)
class Identification:
    """Whether the effect of treatment on outcome follows from the graph and what was measured.

    identified: whether `by` one of the three ways the declared target follows. by: "backdoor" (for ATE, ATT, ATC and
    ATO), "front_door" (ATE) or "instrument" (LATE, under monotonicity; Imbens & Angrist 1994). alternative: a target
    that would follow where the declared one does not.

    adjustment_set: what to adjust for: with "backdoor" it closes every back door, with "instrument" it is the set given
    which all of the `instruments` in use are valid. mediators: of the front door. instruments: all that are valid, each
    with a set of its own.

    The other declared confounders are in one of three lists. refused: consequences of the treatment, which are no
    confounders. set_aside: not needed (colliders, causes of the treatment alone, without a part in it). unknown: not in
    the graph. not_instruments: declared instruments that are not valid.

    reason: why not identified. open_path: a back door that stays open; missing: what would have to be measured to
    close all of them. remarks: sentences for a verdict, also where the effect is identified.

    edges: the part of the graph on which this rests: the ancestors of treatment and outcome.
    confirmed_by_dowhy: whether DoWhy comes to the same answer, None where it was not asked; confirmation says why.
    """

    identified: bool
    adjustment_set: tuple[str, ...]
    set_aside: tuple[str, ...]
    edges: tuple[Edge, ...]
    reason: str | None = None
    unknown: tuple[str, ...] = ()
    status: GraphStatus = "not_identified"
    by: Way | None = None
    alternative: Target | None = None
    refused: tuple[str, ...] = ()
    instruments: tuple[Instrument, ...] = ()
    not_instruments: tuple[str, ...] = ()
    mediators: tuple[str, ...] = ()
    open_path: str | None = None
    missing: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    confirmed_by_dowhy: bool | None = None
    confirmation: str = "DoWhy was not asked"


def identify(
    edges: str | Iterable[Edge] | None,
    *,
    treatment: str,
    outcome: str,
    measured: Sequence[str],
    instruments: Sequence[str] = (),
    also_measured: Sequence[str] = (),
    target: Target = "ATE",
    ask_dowhy: bool = True,
) -> Identification:
    """Identify the effect by the back-door, the instrument and the front-door criterion, by d-separation.

    edges: a graph in DOT, a list of edges, or None for the graph that the lists mean (`implied_graph`; for a LATE with
    an unmeasured common cause of treatment and outcome). measured: the declared confounders; only they are adjusted for
    at a back door. instruments: declared ones. also_measured: further columns of the data, which can serve as mediators
    and beside instruments; where one of them would close a back door, the reason says so.

    An ATE, ATT, ATC or ATO is looked for at the back door, the ATE then at the front door; a LATE follows from an
    instrument, the declared ones if any of them are valid. Other ways of identification, such as the ID algorithm's,
    are not tried: "not_identified" means not by these three.

    Statuses: no_path (the graph says that the effect is zero), cycle, absent (treatment or outcome not in the graph),
    unreadable_graph, graph_too_large (more than 10,000 nodes or 50,000 arrows). Time grows with the number of arrows.

    >>> found = identify("digraph { z -> t; t -> m; t -> y; m -> y; t <-> y }", treatment="t", outcome="y",
    ...     measured=["m"], instruments=["z"], ask_dowhy=False)
    >>> found.identified, found.alternative, found.refused, found.open_path
    (False, 'LATE', ('m',), 't <- an unmeasured common cause of t and y -> y')

    Raises ValueError for an unknown target.
    """
    if target not in get_args(Target):
        raise ValueError(f"target must be one of {', '.join(get_args(Target))}, not {target!r}")
    names = tuple(name for name in dict.fromkeys(measured) if name not in (treatment, outcome))

    try:
        declared = _declared(
            edges, treatment, outcome, measured=names, instruments=instruments, hidden=target == "LATE"
        )
        graph = Graph.from_edges(declared)
        n_nodes, n_edges = graph.size
        check_size(n_nodes=n_nodes, n_edges=n_edges)
    except GraphTooLarge as problem:
        return _without_answer(names, "graph_too_large", str(problem))
    except ValueError as problem:
        return _without_answer(names, "unreadable_graph", str(problem))
    refusal = _refusal(graph, treatment, outcome)
    if refusal is not None:
        return _without_answer(names, *refusal)
    question = _Question(graph, treatment, outcome, names, tuple(instruments), tuple(also_measured), target)
    found = question.answer()
    if not ask_dowhy:
        return found
    from causeway.effects.graph.dowhy_confirmation import confirm

    everything = (*names, *instruments, *also_measured)
    confirmed, why = confirm(found, graph, treatment=treatment, outcome=outcome, measured=everything, confounders=names)
    return replace(found, confirmed_by_dowhy=confirmed, confirmation=why)


def _declared(
    edges: str | Iterable[Edge] | None,
    treatment: str,
    outcome: str,
    *,
    measured: Sequence[str],
    instruments: Sequence[str],
    hidden: bool,
) -> tuple[Edge, ...]:
    if isinstance(edges, str):
        return read_dot(edges)
    if edges is not None:
        return read_edges(edges)
    confounders = [name for name in measured if name not in instruments]
    return implied_graph(treatment, outcome, confounders, instruments, hidden=hidden)


def _without_answer(measured: tuple[str, ...], status: GraphStatus, reason: str) -> Identification:
    confirmation = f"DoWhy was not asked: {reason}"
    return Identification(False, (), measured, (), reason, status=status, confirmation=confirmation)


def _refusal(graph: Graph, treatment: str, outcome: str) -> tuple[GraphStatus, str] | None:
    """Why the graph is not looked at further."""
    absent = [name for name in (treatment, outcome) if name not in graph]
    if absent:
        return "absent", f"the graph does not contain {' and '.join(absent)}"
    cycle = graph.cycle()
    if cycle is not None:
        return "cycle", f"the graph has a cycle: {_chain(cycle)}"
    if outcome not in graph.descendants((treatment,)):
        return "no_path", f"the graph has no path from {treatment} to {outcome}: it says that the effect is zero"
    return None


@dataclass(frozen=True, slots=True)
class _Question:
    graph: Graph
    treatment: str
    outcome: str
    measured: tuple[str, ...]
    declared_instruments: tuple[str, ...]
    also_measured: tuple[str, ...]
    target: Target

    def answer(self) -> Identification:
        graph, treatment, outcome = self.graph, self.treatment, self.outcome
        consequences = graph.descendants((treatment,))
        unknown = tuple(name for name in self.measured if name not in graph)
        refused = tuple(name for name in self.measured if name in consequences)
        everything = tuple(dict.fromkeys((*self.measured, *self.declared_instruments, *self.also_measured)))
        remarks = [self._why_refused(name) for name in refused[:LONGEST_LIST]]
        if len(refused) > LONGEST_LIST:
            remarks.append(f"so are {len(refused) - LONGEST_LIST} more: {_listed(refused[LONGEST_LIST:])}")
        if unknown:
            remarks.append(f"declared, but not in the graph and so not adjusted for: {_listed(unknown)}")

        door = adjustment_set(graph, treatment, outcome, self.measured)
        instruments, untried = self._instruments(everything)
        valid = {instrument.name for instrument in instruments}
        not_instruments = tuple(name for name in self.declared_instruments if name not in valid)
        for name in not_instruments[:LONGEST_LIST]:
            if name in untried:
                remarks.append(f"{name} was not tried as an instrument: the graph is too large for so many")
            else:
                remarks.append(why_not_an_instrument(graph, treatment, outcome, name, everything))
        mediators = front_door_mediators(graph, treatment, outcome, everything)
        given = self._together(instruments, everything) if self.target == "LATE" else None

        by, adjust_for = self._way(door, given, mediators)
        relevant = graph.ancestors((treatment, outcome))
        spoken_for = {*adjust_for, *refused, *unknown}
        found = Identification(
            identified=by is not None,
            adjustment_set=adjust_for,
            set_aside=tuple(name for name in self.measured if name not in spoken_for),
            edges=graph.among(relevant).edges,
            unknown=unknown,
            status="not_identified" if by is None else "identified",
            by=by,
            refused=refused,
            instruments=instruments,
            not_instruments=not_instruments,
            mediators=mediators or (),
            remarks=tuple(remarks),
        )
        return found if by is not None else self._why_not(found, door, instruments)

    def _way(
        self, door: tuple[str, ...] | None, given: tuple[str, ...] | None, mediators: tuple[str, ...] | None
    ) -> tuple[Way | None, tuple[str, ...]]:
        if self.target == "LATE":
            return (None, ()) if given is None else ("instrument", given)
        if door is not None:
            return "backdoor", door
        return ("front_door", ()) if mediators and self.target == "ATE" else (None, ())

    def _instruments(self, everything: Sequence[str]) -> tuple[tuple[Instrument, ...], set[str]]:
        """The valid ones, and the names that there was no budget to try."""
        # Only what is connected with the treatment can move it; its ancestors are the likeliest.
        ancestors = self.graph.ancestors((self.treatment,))
        others = [name for name in everything if name in ancestors and name not in self.declared_instruments]
        most = max(1, INSTRUMENT_BUDGET // sum(self.graph.size))
        tried = [*self.declared_instruments, *others][:most]
        found = valid_instruments(
            self.graph,
            self.treatment,
            self.outcome,
            declared=[name for name in self.declared_instruments if name in tried],
            candidates=tried,
            measured=everything,
        )
        return found, {*self.declared_instruments, *others} - set(tried)

    def _together(self, instruments: Sequence[Instrument], everything: Sequence[str]) -> tuple[str, ...] | None:
        """The set to adjust for with the declared instruments, or with those found where none was declared."""
        in_use = [each for each in instruments if each.declared] if self.declared_instruments else list(instruments)
        if not in_use:
            return None
        given = common_conditioning_set(self.graph, self.treatment, self.outcome, in_use, everything)
        return in_use[0].conditioning_set if given is None else given

    def _why_refused(self, name: str) -> str:
        path = self.graph.directed_path(self.treatment, name) or ()
        shown = path if len(path) <= LONGEST_LIST else (*path[:3], "…", *path[-3:])
        words = " -> ".join(shown)
        return (
            f"{name} is refused as a confounder: the graph says that it is a consequence of {self.treatment}, {words}"
        )

    def _why_not(
        self, found: Identification, door: tuple[str, ...] | None, instruments: Sequence[Instrument]
    ) -> Identification:
        treatment, outcome = self.treatment, self.outcome
        if self.target == "LATE":
            reason = f"the graph has no valid instrument for the effect of {treatment} on {outcome}"
            return replace(found, reason=reason, alternative=None if door is None else "ATE")
        opened = open_door(self.graph, treatment, outcome, self.measured)
        assert opened is not None, "a set that the criterion did not find"
        reason = f"a back door between {treatment} and {outcome} stays open, {opened.path}: not measured "
        reason += f"{_listed(opened.missing)}, which would close it" if opened.missing else "anything that closes it"
        at_hand = [name for name in opened.missing if name in (*self.also_measured, *self.declared_instruments)]
        if at_hand:
            reason += f"; in the data, though not declared as a confounder: {_listed(at_hand)}"
        alternative: Target | None = None
        if found.mediators:
            alternative = "ATE"
            reason += f"; the ATE follows by the front door through {_listed(found.mediators)}"
        elif instruments:
            alternative = "LATE"
            reason += f"; the LATE follows from the instrument {instruments[0].name}"
        return replace(found, reason=reason, alternative=alternative, open_path=opened.path, missing=opened.missing)


def _listed(names: Sequence[str]) -> str:
    if len(names) <= LONGEST_LIST:
        return ", ".join(names)
    return f"{', '.join(names[:LONGEST_LIST])} and {len(names) - LONGEST_LIST} more"


def _chain(path: Sequence[str]) -> str:
    shown = path if len(path) <= LONGEST_LIST else (*path[:4], "…", *path[-3:])
    return " -> ".join(shown)
