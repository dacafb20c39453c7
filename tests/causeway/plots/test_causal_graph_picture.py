"""A graph is drawn so that causes stand before effects, nothing overlaps, and every role can be told in grey."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.effects.graph.dot import read_dot
from causeway.effects.graph.edges import Edge, implied_graph
from causeway.effects.graph.identification import identify
from causeway.plots.causal_graph import LOOKS, causal_graph_plot
from causeway.plots.causal_graph_roles import MOST_NODES, through_what_is_not_drawn
from causeway.plots.layered_layout import layered_layout

EVERYTHING = read_dot(
    'digraph { {z i} -> t; {age "blood $ugar"} -> {t y}; u -> {t m}; v -> {m y}; t -> "a <b>" -> y; t -> y; w -> y }'
)


def random_graph(n: int, seed: int = 0) -> tuple[Edge, ...]:
    rng = np.random.default_rng(seed)
    return tuple(
        sorted(
            {(f"v{rng.integers(max(0, j - 12), j)}", f"v{j}") for j in range(1, n) for _ in range(1 + rng.poisson(1))}
        )
    )


def picture(
    edges: Sequence[Edge],
    measured: Sequence[str] = (),
    *,
    treatment: str = "t",
    outcome: str = "y",
    instruments: Sequence[str] = (),
    svg: bool = False,
) -> bytes:
    pair: dict[str, Any] = {"treatment": treatment, "outcome": outcome}
    found = identify(edges, measured=measured, instruments=instruments, ask_dowhy=False, **pair)
    return causal_graph_plot(edges, found, title="a <title>", svg=svg, **pair)


def words(svg: bytes) -> list[str]:
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


PICTURES: dict[str, dict[str, Any]] = {
    "everything": {"edges": EVERYTHING, "measured": ["age", "blood $ugar", "m", "a <b>", "i"], "instruments": ["z"]},
    "three": {"edges": [("c", "t"), ("c", "y"), ("t", "y")], "measured": ["c"]},
    "forty confounders": {"edges": implied_graph("t", "y", [f"c{i}" for i in range(38)]), "measured": ["c1"]},
    "a chain of forty": {"edges": [(f"v{i}", f"v{i + 1}") for i in range(39)], "treatment": "v2", "outcome": "v39"},
    "hidden causes": {"edges": read_dot("digraph { z -> t -> m -> y; t <-> y; z <-> q }"), "measured": ["m"]},
    "hidden causes from above": {
        "edges": [*((f"v{i}", f"v{i + 1}") for i in range(9)), *read_dot("digraph { v0 <-> v9 }")],
        "treatment": "v0", "outcome": "v9",
    },
    "a cycle": {"edges": [("t", "y"), ("y", "x"), ("x", "t"), ("t", "t")]},
    "without the treatment": {"edges": [("a", "y")]},
    "nothing": {"edges": []},
    "long names": {"edges": [("W" * 300, "t"), ("t", "y"), ("\x00\u202e", "y")], "measured": ["W" * 300]},
    "five hundred": {"edges": random_graph(500), "treatment": "v300", "outcome": "v499",
                     "measured": [f"v{i}" for i in range(0, 500, 2)]},
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_png_at_most_900_pixels_wide(name: str) -> None:
    drawn = picture(**PICTURES[name])
    assert drawn.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", drawn[16:24])
    assert width == 900
    assert 150 <= height <= 1_700


def test_the_same_graph_gives_the_same_bytes() -> None:
    assert picture(**PICTURES["everything"]) == picture(**PICTURES["everything"])
    assert picture(**PICTURES["five hundred"], svg=True) == picture(**PICTURES["five hundred"], svg=True)


def test_every_node_and_every_role_in_use_is_named() -> None:
    written = words(picture(**PICTURES["everything"], svg=True))
    for name in ("age", "blood $ugar", "a <b>", "m", "u", "i", "z", "t", "y"):
        assert name in written
    for role in ("treatment", "outcome", "adjusted", "instrument", "set_aside", "refused", "unmeasured"):
        assert LOOKS[role].words in written
    assert LOOKS["missing"].words not in written
    assert "identified by the back door" in written


def test_what_would_have_to_be_measured_is_told_from_what_need_not_be() -> None:
    written = words(picture([("u", "t"), ("u", "y"), ("t", "y"), ("e", "y")], svg=True))
    assert LOOKS["missing"].words in written and LOOKS["unmeasured"].words in written
    assert "not identified" in written
    assert "not identified (cycle)" in words(picture(**PICTURES["a cycle"], svg=True))


def test_a_hidden_common_cause_is_a_broken_line_and_no_node() -> None:
    written = words(picture(**PICTURES["hidden causes"], svg=True))
    assert written.count("an unmeasured common cause") == 1  # the legend
    assert not any("of t and y" in text for text in written)


def test_of_a_large_graph_the_question_is_drawn_and_the_rest_counted() -> None:
    written = words(picture(**PICTURES["five hundred"], svg=True))
    assert {"v300", "v499"} <= set(written)
    assert sum(bool(re.fullmatch(r"v\d+", text)) for text in written) == MOST_NODES
    assert any("of 500 nodes 40 are drawn" in text for text in written)


def test_a_dotted_arrow_leads_through_what_is_not_drawn() -> None:
    chain = [("a", "hidden"), ("hidden", "b"), ("b", "c"), ("a", "other"), ("other", "c")]
    assert through_what_is_not_drawn(chain, ["a", "b", "c"]) == [("a", "b")]  # a leads to c by way of b


def test_roles_differ_by_more_than_colour() -> None:
    seen = {(look.shape, look.line, look.width, look.weight, look.face == look.edge) for look in LOOKS.values()}
    assert len(seen) == len(LOOKS)


def test_causes_stand_before_effects_and_nothing_overlaps() -> None:
    for seed in range(20):
        edges = random_graph(30, seed)
        nodes = list(dict.fromkeys(name for edge in edges for name in edge))
        layout = layered_layout(nodes, edges)
        for tail, head in edges:
            assert layout.layer[tail] < layout.layer[head]
            assert len(layout.bends[(tail, head)]) == layout.layer[head] - layout.layer[tail] - 1
        for one, other in combinations(nodes, 2):
            if layout.layer[one] == layout.layer[other]:
                assert abs(layout.place[one] - layout.place[other]) >= 1 - 1e-9
        for (tail, _), places in layout.bends.items():
            for depth, place in enumerate(places, layout.layer[tail] + 1):
                near = [layout.place[name] for name in nodes if layout.layer[name] == depth]
                assert all(abs(place - other) >= 0.675 - 1e-9 for other in near)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_any_graph_has_a_layout_even_with_cycles(pairs: list[tuple[int, int]]) -> None:
    edges = [(str(tail), str(head)) for tail, head in pairs]
    nodes = list(dict.fromkeys(name for edge in edges for name in edge))
    layout = layered_layout(nodes, edges)
    assert set(layout.place) == set(layout.layer) == set(nodes)
    assert min(layout.place.values(), default=0) >= 0
    for tail, head in layout.bends:
        assert layout.layer[tail] < layout.layer[head]


def test_two_rows_that_can_be_drawn_without_crossing_are() -> None:
    edges = [("a", "z"), ("b", "y"), ("c", "x")]
    layout = layered_layout(["a", "b", "c", "x", "y", "z"], edges)
    ranks = [sorted(row, key=lambda name: layout.place[name]) for row in (["a", "b", "c"], ["z", "y", "x"])]
    assert list(zip(*ranks, strict=True)) in (edges, edges[::-1])
