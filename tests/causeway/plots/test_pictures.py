"""Every picture is a PNG of a sane size for every input, and never shows a number that was withheld."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from causeway.design.duration import ReachableEffect
from causeway.effects.sensitivity.bias_bounds import Benchmark
from causeway.effects.sensitivity.contour import contour
from causeway.effects.sensitivity.strength import Strength, robustness
from causeway.plots.calibration import calibration_plot
from causeway.plots.canvas import new_figure, shorten, with_decimals
from causeway.plots.events_over_time import events_over_time_plot
from causeway.plots.love import love_plot
from causeway.plots.mde_curve import mde_curve_plot
from causeway.plots.placebo import placebo_plot
from causeway.plots.propensity_overlap import propensity_overlap_plot
from causeway.plots.sensitivity_contour import sensitivity_contour_plot
from causeway.twins.calibration_bins import calibration_bins

DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(30)]
SCORES = np.random.default_rng(0).normal(size=500)
T: dict[str, Any] = {"title": "t"}
AXIS: dict[str, Any] = {"title": "t", "unit": "kg"}
UNKNOWN = ReachableEffect(1, None, None, None, None)
FALLING = [UNKNOWN, *(ReachableEffect(d, 100.0 * d, d**-0.5, (d + 1) ** -0.5, None) for d in range(2, 29))]
PROPENSITY = 1 / (1 + np.exp(-SCORES))
TREATED = np.random.default_rng(1).uniform(size=500) < PROPENSITY
GRID = np.linspace(0, 0.6, 25)
CONTOUR = contour(effect=3.2, scale=12.0, outcome_strengths=GRID, treatment_strengths=GRID)
BENCHMARKS = [Benchmark("age", Strength(0.2, 0.05), 0.3), Benchmark("all", None, 9.0), Benchmark(
    "a long name of a group of covariates", Strength(0.05, 0.3, 0.4), 0.1)]  # fmt: skip

PICTURES: dict[str, Callable[[], bytes]] = {
    "calibration": lambda: calibration_plot(calibration_bins(SCORES, SCORES), **AXIS),
    "calibration of nobody": lambda: calibration_plot((), **AXIS),
    "calibration of one": lambda: calibration_plot(calibration_bins(np.ones(1), np.ones(1)), **AXIS),
    "placebo": lambda: placebo_plot(
        effect=3.0, ci_low=2.0, ci_high=4.0, new_effect=0.1, p_value=0.4, problem_found=False, **AXIS
    ),
    "placebo withheld": lambda: placebo_plot(
        effect=None, ci_low=None, ci_high=None, new_effect=None, p_value=None, problem_found=None, **AXIS
    ),
    "placebo alone": lambda: placebo_plot(
        effect=None, ci_low=None, ci_high=None, new_effect=2.0, p_value=0.01, problem_found=True, **AXIS
    ),
    "events": lambda: events_over_time_plot(DAYS, {f"type {i}": [i] * 30 for i in range(12)}, **T),
    "events of one day": lambda: events_over_time_plot(DAYS[:1], {"a": [4]}, **T),
    "no events": lambda: events_over_time_plot([], {}, **T),
    "love": lambda: love_plot({"age": 0.3, "constant": None}, {"age": 0.01}, **T),
    "love of many": lambda: love_plot({f"a long name of a confounder, {i}": i / 9 for i in range(99)}, **T),
    "love of nothing": lambda: love_plot({}, **T),
    "love made worse": lambda: love_plot({"age": 0.3, "b": 0.2}, {"age": 0.01, "b": 1.4, "new": 0.2, "c": None}, **T),
    "overlap": lambda: propensity_overlap_plot(PROPENSITY, TREATED, limits=(0.1, 0.9), **T),
    "overlap of one group": lambda: propensity_overlap_plot(PROPENSITY, np.ones(500, dtype=bool), **T),
    "overlap of nobody": lambda: propensity_overlap_plot(np.empty(0), np.empty(0, dtype=bool), **T),
    "overlap of unknown propensities": lambda: propensity_overlap_plot(np.full(9, np.nan), TREATED[:9], **T),
    "contour": lambda: sensitivity_contour_plot(
        CONTOUR, benchmarks=BENCHMARKS, robustness_value=0.234, **AXIS
    ),
    "contour that crosses nowhere": lambda: sensitivity_contour_plot(
        contour(effect=-90.0, scale=1.0, outcome_strengths=GRID, treatment_strengths=GRID), **AXIS
    ),
    "contour of nothing": lambda: sensitivity_contour_plot(None, **AXIS),
    "contour of one cell": lambda: sensitivity_contour_plot(
        contour(effect=1.0, scale=1.0, outcome_strengths=[0.1], treatment_strengths=[0.1]), **AXIS
    ),
    "mde": lambda: mde_curve_plot({"plain": FALLING, "adjusted": FALLING[:9]}, **AXIS, relevant=0.3, planned_day=21),
    "mde of nothing": lambda: mde_curve_plot({"plain": [UNKNOWN], "adjusted": []}, **AXIS),
    "mde of one day": lambda: mde_curve_plot({"plain": FALLING[1:2], "adjusted": []}, **AXIS, percent=False),
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_png_at_most_900_pixels_wide(name: str) -> None:
    picture = PICTURES[name]()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert 300 <= width <= 900
    assert 100 <= height <= 1_700


def test_the_same_numbers_give_the_same_bytes() -> None:
    assert PICTURES["calibration"]() == PICTURES["calibration"]()


def test_no_picture_leaves_anything_behind_in_pyplot() -> None:
    import matplotlib.pyplot as plt

    for picture in PICTURES.values():
        picture()
    assert plt.get_fignums() == []


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    written: list[str] = []
    annotate = Axes.annotate

    def listen(axes: Axes, text: str, *args: Any, **kwargs: Any) -> Any:
        written.append(text)
        return annotate(axes, text, *args, **kwargs)

    monkeypatch.setattr(Axes, "annotate", listen)
    return written


def test_rare_types_share_a_colour_and_no_event_is_lost(texts: list[str]) -> None:
    events_over_time_plot(DAYS, {f"type {i}": [i] * 30 for i in range(12)}, title="t")
    assert texts == ["1,980 events, 01 Jan 2024 to 30 Jan 2024"]
    with pytest.raises(ValueError, match="one count per day"):
        events_over_time_plot(DAYS, {"a": [1]}, title="t")


def test_labels_and_numbers_stay_short() -> None:
    assert len(shorten("x" * 100, 34)) == 34
    assert shorten("short") == "short"
    assert with_decimals(0.0, 0.0) == "0.000"
    with pytest.raises(ValueError, match="900"):
        new_figure(901, 100)


def test_smallest_effects_without_a_day_are_said_in_words(texts: list[str]) -> None:
    mde_curve_plot({"plain": [UNKNOWN]}, title="t", unit="%")
    assert texts == ["no day can be answered for"]
    with pytest.raises(ValueError, match="at most 4"):
        mde_curve_plot({str(i): FALLING for i in range(5)}, title="t", unit="%")


def test_a_love_plot_counts_what_is_beyond_before_and_after(texts: list[str]) -> None:
    love_plot({"a": 0.3, "b": -0.2, "c": 0.0, "d": None}, {"a": 0.01, "b": -0.15, "c": 0.02}, title="t")
    love_plot({"a": 0.3, "d": None}, title="t")
    assert texts == [
        "2 of 3 beyond 0.1 before, 1 of 3 after; 1 without variation",
        "1 of 1 beyond 0.1; 1 without variation",
    ]


@pytest.fixture
def axes_drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []
    original = Axes.set_xlabel

    def keep(axes: Axes, *args: Any, **kwargs: Any) -> Any:
        made.append(axes)
        return original(axes, *args, **kwargs)

    monkeypatch.setattr(Axes, "set_xlabel", keep)
    return made


def test_what_adjustment_made_worse_is_on_top_and_inside_the_picture(axes_drawn: list[Any]) -> None:
    love_plot({"a": 0.3, "b": 0.2}, {"a": 0.01, "b": 1.4}, title="t")
    (axes,) = axes_drawn
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    assert axes.get_xlim()[1] > 1.4


def test_histograms_of_propensities_are_shares_of_each_group_mirrored(axes_drawn: list[Any], texts: list[str]) -> None:
    propensity = np.array([0.05, 0.5, 0.5, 0.95, 0.95, np.nan])
    treated = np.array([False, False, True, True, True, True])
    propensity_overlap_plot(propensity, treated, title="t", limits=(0.1, 0.9))
    (axes,) = axes_drawn
    heights = [bar.get_height() for bar in axes.patches if bar.get_height() and bar.get_width() < 0.05]
    assert sorted(h for h in heights if h > 0) == pytest.approx([100 / 3, 200 / 3])
    assert sorted(-h for h in heights if h < 0) == pytest.approx([50, 50])
    assert texts == ["3 treated, 2 controls; 2 and 1 of them outside 0.1 to 0.9; 1 without a propensity"]


def test_the_contour_of_no_effect_runs_through_the_robustness_value(axes_drawn: list[Any], texts: list[str]) -> None:
    value = robustness(3.2 / 12)
    sensitivity_contour_plot(CONTOUR, title="t", unit="kg", benchmarks=BENCHMARKS, robustness_value=value)
    (axes,) = axes_drawn
    line = next(each for each in axes.get_lines() if each.get_label() == "no effect is left")
    assert np.interp(value, line.get_xdata(), line.get_ydata()) == pytest.approx(value, abs=2e-3)
    assert texts == [
        "effect 3.2 kg; robustness value 23.3%; 1 benchmark not shown",
        "age",
        shorten(BENCHMARKS[2].name, 24),
    ]
