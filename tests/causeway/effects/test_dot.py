"""Graphs as people write them are read; what cannot be read is refused with the place."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.effects.graph.dot import read_dot
from causeway.effects.graph.edges import GraphTooLarge, latent_between, read_edges

AB = latent_between("a", "b")


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("digraph { a -> {b c} }", [("a", "b"), ("a", "c")]),
        ("digraph { a -> {b, c;} -> d }", [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]),
        ("digraph { {a b} -> c; }", [("a", "c"), ("b", "c")]),
        ("digraph { subgraph cluster_0 { label=x; a -> b } -> c }", [("a", "b"), ("a", "c"), ("b", "c")]),
        ("digraph { a -> {b -> c} }", [("b", "c"), ("a", "b"), ("a", "c")]),
        ("digraph { a <-> b }", [(AB, "a"), (AB, "b")]),
        ("digraph { b -> a [dir=both, style=dashed] }", [(AB, "b"), (AB, "a")]),
        ('digraph { "blood pressure" -> "größe (m)" }', [("blood pressure", "größe (m)")]),
        ("digraph { größe -> 体重; x.1->y_2 }", [("größe", "体重"), ("x.1", "y_2")]),
        (r'digraph { "say \"x\"" -> "a -> b; c" }', [('say "x"', "a -> b; c")]),
        ('digraph { "two\\\n words" -> "b" + " c" }', [("two words", "b c")]),
        ("digraph\n{\na -> b\n-> c\nd -> c\n}\n", [("a", "b"), ("b", "c"), ("d", "c")]),
        ("\ufeffSTRICT DiGraph g { node [shape=box]; edge [color=red] graph [a=b]\n a -> b }", [("a", "b")]),
        ('digraph { a [latent, pos="0,1"]; a -> b [label="->"][x=y] /* b -> a */ # c -> d\n }', [("a", "b")]),
        ("digraph { rankdir=LR\n a -> -1.5 }", [("a", "-1.5")]),
        ("digraph { a->b->a }", [("a", "b"), ("b", "a")]),
    ],
)
def test_dot_is_read(text: str, edges: list[tuple[str, str]]) -> None:
    assert list(read_dot(text)) == edges


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("digraph {\n a -> b;\n c -> ;\n}", "line 3, column 7: ';'"),
        ("digraph {\n a -> blood pressure }", "line 2, column 13"),
        ("digraph { blood pressure -> a }", "put 'blood pressure' into quotes"),
        ("digraph { a -- b }", "without a direction"),
        ("digraph { a <- b }", "line 1, column 13: '<- b }'"),
        ("digraph { a -> b [dir=back] }", "write it from cause to effect"),
        ("digraph { a -> b", "closing brace"),
        ("digraph { a -> {b c }", "closing brace"),
        ("digraph { a -> b } c", "after its last brace"),
        ("digraph { a -> b [label=x }", "without its end"),
        ("digraph { a:north -> b }", "colon"),
        ('digraph { "" -> b }', "empty name"),
        ("digraph { node -> b }", "has to stand in quotes"),
        ("digraph { a -> edge }", "has to stand in quotes"),
        ('digraph { "a -> b }', "cannot be read at line 1, column 11"),
        ("digraph { <b>x</b> -> b }", "cannot be read"),
        ("graph { a }", "digraph {"),
        ("digraph { a; b }", "no arrows"),
        ("digraph { " + "{" * 60 + " a -> b " + "}" * 60 + " }", "fifty"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_the_place(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="graph") as problem:
        read_dot(text)
    assert words in str(problem.value)


NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='\\"'), min_size=1).filter(str.strip)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(NAME, NAME), min_size=1, max_size=8, unique=True))
def test_any_name_in_quotes_survives(edges: list[tuple[str, str]]) -> None:
    text = "digraph { " + "; ".join(f'"{tail}" -> "{head}"' for tail, head in edges) + " }"
    assert list(read_dot(text)) == edges


@settings(deadline=None, max_examples=200)
@given(st.text('abc{}[];,=->"<: \n+', max_size=40))
def test_nonsense_is_an_error_and_never_a_crash(text: str) -> None:
    try:
        read_dot("digraph {" + text + "}")
    except ValueError as problem:
        assert str(problem)


def test_it_agrees_with_networkx_on_what_graphviz_writes() -> None:
    graph = nx.gnp_random_graph(30, 0.2, seed=1, directed=True)
    lines = [f"  {tail} -> {head} [weight={tail}.5];" for tail, head in graph.edges]
    assert {(int(tail), int(head)) for tail, head in read_dot("digraph G {\n" + "\n".join(lines) + "\n}")} == set(
        graph.edges
    )


def test_a_list_of_edges_is_pairs_or_arrows() -> None:
    assert read_edges([("a", "b"), ["b", "c d"], "c -> {a b}", "a <-> b"]) == (
        ("a", "b"), ("b", "c d"), ("c", "a"), ("c", "b"), (AB, "a"), (AB, "b"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "entry", ["a", "a b", ["a"], ["a", "b", "c"], ["a", 1], ["a", " "], None, {"a": "b"}, "a -> b }"]
)
def test_an_entry_that_is_neither_is_named(entry: object) -> None:
    with pytest.raises(ValueError, match="entry 2 of the graph"):
        read_edges([("t", "y"), entry])


def test_groups_cannot_multiply_without_end() -> None:
    names = " ".join(f"n{i}" for i in range(400))
    with pytest.raises(GraphTooLarge, match="50,000"):
        read_dot(f"digraph {{ {{{names}}} -> {{{names}}} }}")
    with pytest.raises(GraphTooLarge, match="characters"):
        read_dot("digraph {" + " " * 2_000_001 + "a -> b }")
