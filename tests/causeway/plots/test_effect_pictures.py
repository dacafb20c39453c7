"""Pictures of effects of units: PNGs of a sane size for every input, and words where there is nothing to draw."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from causeway.effects.heterogeneity import policy, uplift
from causeway.effects.heterogeneity.drivers import Driver
from causeway.plots.cate_distribution import cate_distribution_plot
from causeway.plots.effect_drivers import effect_drivers_plot
from causeway.plots.policy_curve import policy_curve_plot
from causeway.plots.qini_curve import qini_curve_plot

EFFECTS = np.random.default_rng(0).normal(1, 0.7, 500)
A: dict[str, Any] = {"title": "t", "unit": "kg"}
QINI = [uplift.CurvePoint(share, share**0.5, share) for share in (0.0, 0.5, 1.0)]
POLICY = [policy.CurvePoint(0.0, 0.0, 0.0, 0.0, 0.0), policy.CurvePoint(1.0, -0.1, None, None, -0.1)]
DRIVERS = [Driver("age", 0.5, 0.8, "rises"), Driver("x" * 80, 0.1, 0.2, "falls"), Driver("z", 0.0, 0.0, "none")]

PICTURES: dict[str, Callable[[], bytes]] = {
    "effects": lambda: cate_distribution_plot(EFFECTS, average=1.0, ci_low=0.9, ci_high=1.1, **A),
    "one effect": lambda: cate_distribution_plot(None, average=1.0, ci_low=0.9, ci_high=1.1, **A),
    "the same effect": lambda: cate_distribution_plot(np.ones(5), average=1.0, **A),
    "effects withheld": lambda: cate_distribution_plot(EFFECTS, average=None, **A),
    "qini": lambda: qini_curve_plot(QINI, qini=0.1, ci_low=0.0, ci_high=0.2, p_value=0.005, **A),
    "no qini": lambda: qini_curve_plot([], **A),
    "policy": lambda: policy_curve_plot(POLICY, share=0.4, value=0.1, **A),
    "no policy": lambda: policy_curve_plot([], **A),
    "drivers": lambda: effect_drivers_plot(DRIVERS, **A),
    "many drivers": lambda: effect_drivers_plot(DRIVERS[:1] * 50, **A),
    "no drivers": lambda: effect_drivers_plot([], **A),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_png_at_most_900_pixels_wide_and_the_same_twice(name: str) -> None:
    picture = PICTURES[name]()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert 300 <= width <= 900
    assert 100 <= height <= 1_700
    assert picture == PICTURES[name]()


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    written: list[str] = []
    annotate = Axes.annotate

    def listen(axes: Axes, text: str, *args: Any, **kwargs: Any) -> Any:
        written.append(text)
        return annotate(axes, text, *args, **kwargs)

    monkeypatch.setattr(Axes, "annotate", listen)
    return written


def test_a_withheld_effect_gives_away_neither_average_nor_effects(texts: list[str]) -> None:
    PICTURES["effects withheld"]()
    assert texts == ["withheld"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("one effect", "average 1.00 kg; no model beats one effect for everybody"),
        ("the same effect", "average 1.0 kg; no model beats one effect for everybody"),
        ("no qini", "one effect for everybody: there is no order"),
        ("no policy", "withheld"),
        ("no drivers", "no drivers: one effect for everybody"),
        ("many drivers", "the largest 20 of 50"),
    ],
)
def test_what_cannot_be_drawn_is_said(texts: list[str], name: str, words: str) -> None:
    PICTURES[name]()
    assert words in texts
