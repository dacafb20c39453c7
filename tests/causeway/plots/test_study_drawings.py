"""Drawings of studies are well-formed for every input, stand where the numbers put them, and say what they show."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.effects.sensitivity.contour import contour
from causeway.plots.balance_panel import Difference, balance_panel
from causeway.plots.causal_graph import Part, causal_graph
from causeway.plots.contour_panel import Known, contour_panel
from causeway.plots.effect_histogram import effect_histogram
from causeway.plots.estimates_by_method import MethodRow, estimates_by_method
from causeway.plots.overlap_panel import overlap_panel
from causeway.plots.refutations import Attempt, refutations_panel
from causeway.plots.share_curves import SharePoint, share_curves
from causeway.plots.svg import Drawing

FINITE = st.floats(-1e9, 1e9)
ROWS = [
    MethodRow("matching", "ATE", "too few units"),
    MethodRow("IPW", "ATE", "+1", 1.0, -0.5, 2.5),
    MethodRow("AIPW", "ATE", "+2", 2.0, 1.0, 3.0, is_headline=True),
]
EDGES = [("age", "t"), ("age", "y"), ("sex", "t"), ("sex", "y"), ("t", "m"), ("m", "y"), ("u", "y")]
PARTS = {"m": Part("refused", "refused"), "u": Part("not measured", "unseen"), "t": Part("treatment", "asked")}
CONTOUR: dict[str, Any] = {
    "effect": 2.0, "null": 0.0, "scale": 4.0, "most_treatment": 0.6, "most_outcome": 0.6, "description": "words",
}  # fmt: skip


def curves(points: list[SharePoint], chosen: tuple[float, float] | None = None) -> Drawing:
    return share_curves(points, description="words", tick=str, chosen=chosen)


DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "estimates": lambda: estimates_by_method(ROWS, title="t", tick=str),
    "estimates without a number": lambda: estimates_by_method(ROWS[:1], title="t", tick=str),
    "no estimates": lambda: estimates_by_method([], title="t", tick=str),
    "refutations": lambda: refutations_panel(
        [Attempt("placebo", "fine", False, 0.1), Attempt("subset", "problem", True, 4.0), Attempt("x", "not", None)],
        title="t", tick=str, effect=2.0, ci_low=1.0, ci_high=3.0,
    ),
    "refutations without numbers": lambda: refutations_panel([Attempt("placebo", "w", True)], title="t", tick=str),
    "no refutations": lambda: refutations_panel([], title="t", tick=str),
    "balance": lambda: balance_panel(
        [Difference(f"a long name of a covariate {i}", i / 50, i / 500) for i in range(99)], title="t", tick=str
    ),
    "balance of what does not vary": lambda: balance_panel([Difference("a", None)], title="t", tick=str),
    "overlap": lambda: overlap_panel([0.0, 1.0, 5.0], [5.0, 1.0, 0.0], title="t"),
    "overlap of nobody": lambda: overlap_panel([0.0], [0.0], title="t"),
    "curves": lambda: curves([SharePoint(0, 0, 0, 0, 0), SharePoint(1, 2, 1, 1, 3)], (0.5, 1.0)),
    "curves of nothing": lambda: curves([]),
    "curves of one point": lambda: curves([SharePoint(0.5, 0.0, 0.0)]),
    "histogram": lambda: effect_histogram(
        [-1.0, 0.0, 1.0], [1.0, 3.0], description="words", tick=str, average=0.4, ci_low=0.1, ci_high=0.7
    ),
    "histogram of nobody": lambda: effect_histogram([0.0, 0.0], [0.0], description="words", tick=str),
    "contour": lambda: contour_panel(
        **CONTOUR, tick=str, known=[Known("age", 0.1, 0.1), Known("far", 0.9, 0.9)], robustness_value=0.3
    ),
    "contour of a harm": lambda: contour_panel(**CONTOUR | {"effect": -2.0}, tick=str),
    "contour that nothing reaches": lambda: contour_panel(**CONTOUR | {"scale": 1e-6}, tick=str),
    "graph": lambda: causal_graph(EDGES, PARTS, treatment="t", outcome="y"),
    "graph of nothing": lambda: causal_graph([], {}, treatment="t", outcome="y"),
    "graph with a cycle": lambda: causal_graph([("a", "b"), ("b", "a"), ("a", "a")], {}, treatment="a", outcome="b"),
    "graph of many": lambda: causal_graph(
        [(f"a name {i}", end) for i in range(99) for end in ("t", "y")], {}, treatment="t", outcome="y"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_well_formed_and_says_what_it_shows(name: str) -> None:
    drawing = DRAWINGS[name]()
    inside = ElementTree.fromstring(drawing.markup())
    assert inside.get("role") == "img"
    assert inside.get("aria-label")
    assert ElementTree.fromstring(drawing.document()).tag == "{http://www.w3.org/2000/svg}svg"
    assert "nan" not in drawing.markup()
    assert drawing.markup() == DRAWINGS[name]().markup()


def marks(drawing: Drawing, kind: str) -> list[float]:
    return [float(x) for x in re.findall(rf'class="mark {kind}" x="([\d.]+)%"', drawing.markup())]


def test_the_headline_stands_first_and_what_has_no_number_last() -> None:
    drawing = DRAWINGS["estimates"]()
    names = re.findall(r'class="name"[^>]*><title>[^<]*</title>([^<]*)<', drawing.markup())
    assert names == ["AIPW · ATE · headline", "IPW · ATE", "matching · ATE"]
    assert drawing.markup().count('class="chosen"') == 1
    assert (len(marks(drawing, "good")), len(marks(drawing, "open"))) == (1, 1)
    assert "too few units" in drawing.description


@settings(deadline=None)
@given(FINITE, FINITE, FINITE, FINITE)
def test_refutations_lie_on_one_axis_with_the_estimate(new: float, one: float, two: float, three: float) -> None:
    low, effect, high = sorted((one, two, three))
    drawn = refutations_panel(
        [Attempt("a", "w", True, new)], title="t", tick=str, effect=effect, ci_low=low, ci_high=high
    )
    (mark,) = marks(drawn, "bad")
    (line,) = (float(x) for x in re.findall(r'class="minimum" x1="([\d.]+)%"', drawn.markup()))
    assert 3 <= mark <= 97
    assert (mark - line) * (new - effect) >= -1e-6


def test_a_problem_is_a_diamond_and_no_problem_a_disc() -> None:
    drawing = DRAWINGS["refutations"]()
    assert (len(marks(drawing, "good")), len(marks(drawing, "bad")), len(marks(drawing, "open"))) == (1, 1, 0)
    assert marks(drawing, "good") < marks(drawing, "bad")


def test_balance_shows_the_worst_and_counts_all() -> None:
    drawing = DRAWINGS["balance"]()
    assert len(marks(drawing, "open")) == 1 + 40
    assert "The 40 largest of 99 are drawn." in drawing.description
    assert "48 of 99 are beyond 0.1" in drawing.description


def test_overlap_is_in_shares_of_each_arm() -> None:
    """A rare treatment with the same propensities has the same bars."""
    bars = re.findall(r'class="bar( other)?" x="[\d.]+%" y="[\d.]+" width="[\d.]+%" height="([\d.]+)"', overlap_panel(
        [1.0, 3.0], [100.0, 300.0], title="t").markup())  # fmt: skip
    heights = {kind: [float(height) for other, height in bars if other == kind] for kind in ("", " other")}
    assert heights[""] == heights[" other"] == [28.0, 84.0]
    with pytest.raises(ValueError, match="same bins"):
        overlap_panel([1.0], [1.0, 2.0], title="t")


def test_the_contour_is_where_the_effect_vanishes() -> None:
    """Against the grid that the sensitivity analysis computes on its own."""
    grid = [0.02 * at for at in range(31)]
    known = contour(effect=2.0, scale=4.0, outcome_strengths=grid, treatment_strengths=grid)
    line = re.search(r'class="curve nothing" d="M([^"]*)"', DRAWINGS["contour"]().markup())
    assert line
    points = [tuple(map(float, point.split())) for point in line[1].split("L")]
    for d, crossing in zip(grid, known.crossing, strict=True):
        if crossing is None or crossing > 0.6 or d < points[0][0] * 0.6 / 1000:
            continue
        before = max((point for point in points if point[0] <= d / 0.6 * 1000 + 1e-6), key=lambda point: point[0])
        after = min((point for point in points if point[0] >= d / 0.6 * 1000 - 1e-6), key=lambda point: point[0])
        lowest, highest = (0.6 * (1 - point[1] / 1000) for point in (after, before))
        assert lowest - 1e-3 <= crossing <= highest + 1e-3
    assert len(re.findall('class="curve level"', DRAWINGS["contour"]().markup())) == 3
    with pytest.raises(ValueError, match="positive"):
        contour_panel(**CONTOUR | {"scale": 0.0}, tick=str)


def test_causes_stand_above_effects_and_twins_share_a_row() -> None:
    drawing = DRAWINGS["graph"]()
    text = drawing.markup()
    found = re.findall(r'class="name" x="0%" y="([\d.]+)"[^>]*>(?:<title>[^<]*</title>)?([^<]*)<', text)
    places = {name: float(y) for y, name in found}
    assert places["age, sex"] < places["t"] < places["m"] < places["y"]
    assert places["u"] < places["y"]
    assert text.count('class="node unseen"') == text.count('class="node refused"') == 1
    # age and sex are one row with two arrows; t-m, m-y and u-y are the others.
    assert text.count('class="head') == 5
    assert text.count('class="arc unseen"') == 1


def test_the_arrow_asked_about_is_marked() -> None:
    drawn = causal_graph([("a", "t"), ("a", "y"), ("t", "y")], {}, treatment="t", outcome="y").markup()
    assert drawn.count('class="arc asked"') == 1


def test_many_names_fold_and_say_how_many() -> None:
    drawn = DRAWINGS["graph of many"]().markup()
    assert drawn.count("<circle") == 3
    assert re.search(r"and \d+ more<", drawn)


def test_bars_below_zero_are_not_like_those_above() -> None:
    drawn = DRAWINGS["histogram"]().markup()
    assert (drawn.count('class="bar bad"'), drawn.count('class="bar"')) == (1, 1)
    with pytest.raises(ValueError, match="one edge more"):
        effect_histogram([0.0], [1.0], description="words", tick=str)
