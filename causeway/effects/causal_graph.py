"""The names under which the reading of graphs and the back-door test are used by the estimates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from causeway.effects.graph.dot import read_dot
from causeway.effects.graph.edges import Edge, common_cause_graph
from causeway.effects.graph.identification import Identification, identify

__all__ = ["Edge", "Identification", "common_cause_graph", "identify", "identify_by_adjustment", "read_dot"]


def identify_by_adjustment(
    edges: Iterable[Edge], *, treatment: str, outcome: str, measured: Sequence[str]
) -> Identification:
    """`identify` for a method that can do nothing but adjust: another way does not count as identified, and refused
    confounders are among those set aside.

    >>> edges = [("age", "drug"), ("age", "bp"), ("drug", "bp"), ("drug", "dizzy")]
    >>> found = identify_by_adjustment(edges, treatment="drug", outcome="bp", measured=["age", "dizzy"])
    >>> found.adjustment_set, found.set_aside
    (('age',), ('dizzy',))
    """
    # The front door identifies an ATE only, and an ATT is what adjustment identifies just as well.
    found = identify(edges, treatment=treatment, outcome=outcome, measured=measured, target="ATT", ask_dowhy=False)
    return replace(found, set_aside=tuple(name for name in measured if name not in found.adjustment_set))
