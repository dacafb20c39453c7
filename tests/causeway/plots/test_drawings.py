"""Drawings are well-formed for every input, stand where the numbers put them, and say in words what they show."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causeway.plots.arm_shares import ArmShare, arm_shares
from causeway.plots.axis_ticks import axis_ticks
from causeway.plots.effect_over_time import FixedInterval, Look, effect_over_time, leaves_the_picture
from causeway.plots.forest_panel import PanelRow, forest_panel
from causeway.plots.svg import Drawing, breadth, cleaned, escaped, fitted

START = date(2024, 3, 1)
FINITE = st.floats(-1e9, 1e9)


def looks(count: int, width: Callable[[int], float] = lambda day: 1.0) -> list[Look]:
    return [Look(START + timedelta(day), 2.0, 2.0 - width(day), 2.0 + width(day)) for day in range(count)]


def over_time(given_: list[Look], fixed: FixedInterval | None = None) -> Drawing:
    return effect_over_time(given_, description="words", tick=str, fixed=fixed)


DRAWINGS: dict[str, Callable[[], Drawing]] = {
    "forest": lambda: forest_panel([PanelRow("a", "1", 1, 0, 2), PanelRow("b", "withheld")], title="t", tick=str),
    "forest of one without a number": lambda: forest_panel([PanelRow("b", "withheld")], title="t", tick=str),
    "forest without rows": lambda: forest_panel([], title="t", tick=str),
    "forest of a point": lambda: forest_panel([PanelRow("a", "0", 0.0, 0.0, 0.0)], title="t", tick=str),
    "forest with lines": lambda: forest_panel(
        [PanelRow("a", "1", 1.0, 0.5, 1.5, "good"), PanelRow("b", "-1", -1.0, -2.0, -0.5, "bad")],
        title="t", tick=str, margin=-3.0, minimum=0.5,
    ),
    "over time": lambda: over_time(looks(60), FixedInterval(2.0, 1.5, 2.5)),
    "over one day": lambda: over_time(looks(1)),
    "over no day": lambda: over_time([]),
    "over days without a number": lambda: over_time([Look(START), Look(START + timedelta(1))]),
    "over days with gaps": lambda: over_time([*looks(3), Look(START + timedelta(3)), *[
        Look(START + timedelta(4), 2.0, 1.0, 3.0)
    ]]),
    "arms": lambda: arm_shares([ArmShare("a", "words", 0.6, 0.5), ArmShare("b", "words", None, 0.5)], is_mismatch=True),
    "no arms": lambda: arm_shares([], is_mismatch=False),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_well_formed_and_says_what_it_shows(name: str) -> None:
    drawing = DRAWINGS[name]()
    inside = ElementTree.fromstring(drawing.markup())
    assert inside.get("role") == "img"
    assert inside.get("aria-label")
    file = ElementTree.fromstring(drawing.document())
    assert file.tag == "{http://www.w3.org/2000/svg}svg"
    assert "nan" not in drawing.markup()
    assert drawing.markup() == DRAWINGS[name]().markup()


@settings(deadline=None)
@given(st.lists(st.tuples(FINITE, FINITE, FINITE), min_size=1, max_size=6), FINITE, FINITE)
def test_everything_in_a_forest_lies_inside_it_and_in_order(
    rows: list[tuple[float, float, float]], margin: float, minimum: float
) -> None:
    effects = [PanelRow("a", "w", *(sorted(row)[place] for place in (1, 0, 2))) for row in rows]
    drawing = forest_panel(effects, title="t", tick=str, margin=margin, minimum=minimum)
    spans = re.findall(r'class="span open" x1="([\d.]+)%" y1="[\d.]+" x2="([\d.]+)%"', drawing.markup())
    marks = re.findall(r'class="mark open" x="([\d.]+)%"', drawing.markup())
    assert len(spans) == len(marks) == len(rows)
    for (low, high), mark in zip(spans, marks, strict=True):
        assert 3 <= float(low) <= float(mark) <= float(high) <= 97


def test_a_forest_is_to_scale() -> None:
    rows = [PanelRow("a", "w", 5.0, 0.0, 10.0, "good")]
    found = re.search(r'class="span good" x1="([\d.]+)%" y1="\d+" x2="([\d.]+)%"', forest_panel(
        rows, title="t", tick=str).markup())  # fmt: skip
    zero = re.search(r'class="zero" x1="([\d.]+)%"', forest_panel(rows, title="t", tick=str).markup())
    assert found and zero
    assert float(zero[1]) == float(found[1])
    assert float(found[2]) - float(found[1]) == pytest.approx(94 / 1.06, abs=0.02)


def test_the_effect_over_time_is_to_scale() -> None:
    given_ = [
        Look(START, 0.0, -1.0, 1.0),
        Look(START + timedelta(1), 1.0, 0.5, 1.5),
        Look(START + timedelta(4), 1.0, 0.5, 1.5),
    ]
    curve = re.search(r'class="curve" d="M([^"]*)"', over_time(given_).markup())
    assert curve
    points = [tuple(map(float, point.split())) for point in curve[1].split("L")]
    assert [x for x, _ in points] == [0.0, 250.0, 1000.0]
    # From -1 to 1.5, with 6 % of that on either side.
    assert [y for _, y in points] == pytest.approx([1000 * (1.65 - y) / 2.8 for y in (0.0, 1.0, 1.0)], abs=0.01)


def test_a_gap_in_the_looks_is_a_gap_in_the_curve() -> None:
    assert DRAWINGS["over days with gaps"]().markup().count('class="band"') == 2
    assert DRAWINGS["over time"]().markup().count('class="band"') == 1


def test_wide_first_bands_leave_the_picture_instead_of_flattening_it() -> None:
    narrowing = looks(20, lambda day: 100.0 if day == 0 else 1.0)
    assert leaves_the_picture(narrowing)
    assert not leaves_the_picture(looks(20))
    ys = [float(y) for y in re.findall(r"[ML][\d.]+ (-?[\d.]+)", over_time(narrowing).markup())]
    assert min(ys) < 0 and max(ys) > 1000


def test_looks_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="ascend"):
        over_time([*looks(2), *looks(1)])


@settings(deadline=None)
@given(FINITE, FINITE, st.integers(2, 8))
def test_ticks_are_few_round_and_inside(one: float, other: float, most: int) -> None:
    low, high = min(one, other), max(one, other)
    ticks = axis_ticks(low, high, most)
    assert len(ticks) <= most
    assert list(ticks) == sorted(set(ticks))
    slack = 1e-6 * max(high - low, 1e-300)
    assert all(low - slack <= tick <= high + slack for tick in ticks)


@settings(deadline=None)
@given(st.text(max_size=80), st.integers(3, 60))
def test_a_label_fits_and_is_well_formed(label: str, room: int) -> None:
    assert breadth(fitted(label, room)) <= max(room, 5.1)
    found = ElementTree.fromstring(f'<a b="{escaped(label)}">{escaped(label)}</a>')
    # XML makes a line break of a carriage return, and a space of either in an attribute.
    assert (found.text or "") == cleaned(label)
    assert len(found.get("b") or "") == len(label)


def test_a_mismatch_changes_the_bars_and_the_words() -> None:
    arms = [ArmShare("a", "words", 0.6, 0.5)]
    assert "bar bad" in arm_shares(arms, is_mismatch=True).markup()
    assert "not as declared" in arm_shares(arms, is_mismatch=True).description
    assert "bar bad" not in arm_shares(arms, is_mismatch=False).markup()
