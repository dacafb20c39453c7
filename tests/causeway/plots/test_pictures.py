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
from causeway.plots.calibration import calibration_plot
from causeway.plots.canvas import new_figure, shorten, with_decimals
from causeway.plots.events_over_time import events_over_time_plot
from causeway.plots.mde_curve import mde_curve_plot
from causeway.twins.calibration_bins import calibration_bins

DAYS = [date(2024, 1, 1) + timedelta(days=i) for i in range(30)]
SCORES = np.random.default_rng(0).normal(size=500)
T: dict[str, Any] = {"title": "t"}
AXIS: dict[str, Any] = {"title": "t", "unit": "kg"}
UNKNOWN = ReachableEffect(1, None, None, None, None)
FALLING = [UNKNOWN, *(ReachableEffect(d, 100.0 * d, d**-0.5, (d + 1) ** -0.5, None) for d in range(2, 29))]

PICTURES: dict[str, Callable[[], bytes]] = {
    "calibration": lambda: calibration_plot(calibration_bins(SCORES, SCORES), **AXIS),
    "calibration of nobody": lambda: calibration_plot((), **AXIS),
    "calibration of one": lambda: calibration_plot(calibration_bins(np.ones(1), np.ones(1)), **AXIS),
    "events": lambda: events_over_time_plot(DAYS, {f"type {i}": [i] * 30 for i in range(12)}, **T),
    "events of one day": lambda: events_over_time_plot(DAYS[:1], {"a": [4]}, **T),
    "no events": lambda: events_over_time_plot([], {}, **T),
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
