"""Reading graphs, and what they allow to be concluded."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from causeway.effects.graph.dot import read_dot
from causeway.effects.graph.edges import Edge, common_cause_graph
from causeway.effects.graph.identification import Identification, identify


def identify_by_adjustment(
    edges: Iterable[Edge], *, treatment: str, outcome: str, measured: Sequence[str]
) -> Identification:
    """The front door identifies an ATE only: of an ATT adjustment alone is left."""
    found = identify(edges, treatment=treatment, outcome=outcome, measured=measured, target="ATT", ask_dowhy=False)
    return replace(found, set_aside=tuple(name for name in measured if name not in found.adjustment_set))


M_BIAS = read_dot("digraph { u -> t; u -> m; v -> m; v -> y; t -> y }")


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("digraph { t -> y }", (("t", "y"),)),
        ("digraph name{t->y;z->t->y}", (("t", "y"), ("z", "t"))),
        (
            'strict digraph { "my age" -> t [label="a ] b", color=red]; t -> y // why\n }',
            (("my age", "t"), ("t", "y")),
        ),
        ("digraph { rankdir=LR; lonely; a_1 -> b.c }", (("a_1", "b.c"),)),
    ],
)
def test_the_edges_of_a_dot_graph_are_read(text: str, edges: tuple[tuple[str, str], ...]) -> None:
    assert read_dot(text) == edges


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "graph { a -- b }", "digraph { a -> }", "digraph { -> b }", "digraph { a -> b",
     "digraph { }", "digraph { subgraph a -> b }", "digraph { a <- b }", "dag { a -> b }"],
)  # fmt: skip
def test_anything_else_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="graph"):
        read_dot(text)


def test_a_list_of_confounders_means_common_causes_that_are_all_adjusted_for() -> None:
    edges = common_cause_graph("t", "y", ["b", "a"])
    found = identify_by_adjustment(edges, treatment="t", outcome="y", measured=["b", "a"])
    assert found.identified
    assert found.adjustment_set == ("b", "a")


@pytest.mark.parametrize(
    ("graph", "measured", "adjustment_set"),
    [
        ("digraph { c -> t; c -> y; t -> m; m -> y }", ["c", "m"], ("c",)),  # m is on the way
        ("digraph { z -> t; c -> t; c -> y; t -> y }", ["z", "c"], ("c",)),  # z moves the treatment alone
        (
            "digraph { u -> z; z -> t; u -> y; t -> y }",
            ["z"],
            ("z",),
        ),  # z moves the treatment alone, but closes u
        ("digraph { t -> y; t -> d; y -> d }", ["d"], ()),  # d is a consequence of both
        ("digraph { u -> c; c -> t; u -> y; t -> y }", ["c"], ("c",)),  # u is not measured and need not be
    ],
)
def test_only_what_closes_a_back_door_is_adjusted_for(
    graph: str, measured: list[str], adjustment_set: tuple[str, ...]
) -> None:
    found = identify_by_adjustment(read_dot(graph), treatment="t", outcome="y", measured=measured)
    assert found.identified
    assert found.adjustment_set == adjustment_set
    assert set(found.set_aside) == set(measured) - set(adjustment_set)


def test_a_collider_between_two_hidden_causes_is_left_alone() -> None:
    found = identify_by_adjustment(M_BIAS, treatment="t", outcome="y", measured=["m"])
    assert found.identified
    assert found.adjustment_set == ()


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        ("digraph { u -> t; u -> y; t -> y }", "not measured u"),
        ("digraph { y -> t }", "no path"),
        ("digraph { t -> y; y -> t }", "cycle"),
        ("digraph { a -> y }", "does not contain t"),
    ],
)
def test_an_effect_that_does_not_follow_is_refused_with_the_reason(graph: str, reason: str) -> None:
    found = identify_by_adjustment(read_dot(graph), treatment="t", outcome="y", measured=["c"])
    assert not found.identified
    assert found.reason is not None and reason in found.reason


def test_sixty_confounders_are_identified_at_once() -> None:
    """DoWhy's own search needs seven seconds for twenty and says that forty cannot be identified."""
    names = [f"c{i}" for i in range(60)]
    started = time.perf_counter()
    found = identify_by_adjustment(common_cause_graph("t", "y", names), treatment="t", outcome="y", measured=names)
    assert found.adjustment_set == tuple(names)
    assert time.perf_counter() - started < 1
