"""Every figure of `causeway bench estimates`, with a few hundred units: it runs, and says what was measured."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks import BENCHMARKS, cate, estimates, refutations
from benchmarks.alone import alone, spend
from benchmarks.figure import Figure

FEW = 150


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the process of the test: a fresh one imports everything anew each time."""

    def done(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return work(*args, **kwargs)

    for module in (estimates, cate):
        monkeypatch.setattr(module, "alone", done)
    monkeypatch.setattr(cate, "WARM_UP", FEW)
    monkeypatch.setattr(cate, "WARM_UP_OF_THEIRS", FEW)


def test_average_effects_stand_beside_each_of_econmls(here: None) -> None:
    said: list[str] = []
    figures = estimates.average_effects(said.append, {FEW: 5.0})
    assert len(figures) == len(estimates.THEIRS)
    assert all(figure.anchor.startswith(f"{name}, ") for figure, name in zip(figures, estimates.THEIRS, strict=True))
    assert len({(figure.name, figure.value) for figure in figures}) == 1
    _was_measured(figures)
    # Effect, standard error, truth and error of both sides can be read where the figures are.
    for words in ("standard error", "truth", "error", "CPU s", "GB"):
        assert all(words in figure.name and words in figure.anchor for figure in figures)
    assert len(said) == 1 + len(estimates.THEIRS)


def test_what_is_measured_is_the_effect_that_is_sought() -> None:
    found = estimates.measure(estimates.aipw, 800)
    assert abs(found.effect - found.truth) < 4 * found.std_error < 0.6


def test_those_who_would_take_longest_are_left_out_of_larger_data(here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(units: cate.Units) -> tuple[float, float]:
        return 1.0, 0.1

    monkeypatch.setattr(estimates, "aipw", found)
    monkeypatch.setattr(estimates, "THEIRS", {"a quick one": (found, 300), "a slow one": (found, 299)})
    figures = estimates.average_effects(lambda said: None, {299: 5.0, 300: 5.0})
    assert [figure.anchor.split(", 1.")[0] for figure in figures] == ["a quick one", "a slow one", "a quick one"]


def test_effects_of_units_stand_beside_forests_and_a_line(here: None) -> None:
    figures = cate.cate(lambda said: None, n=FEW, large=2 * FEW)
    _was_measured(figures)
    anchors = [figure.anchor for figure in figures if figure.name == f"error of the CATE of {FEW} rows"]
    names = ("CausalForestDML, LightGBM nuisances", "CausalForestDML, all defaults", "LinearDML, LightGBM nuisances")
    assert anchors == list(names)
    assert [figure.name.split(" (")[0] for figure in figures[-3:]] == [
        f"SHAP of {FEW} rows",
        f"CATE of {2 * FEW} rows, RMSE {figures[-2].name.split('RMSE ')[1].split(' ')[0]}",
        f"CATE of {2 * FEW} rows, peak memory",
    ]


def test_placebos_stand_beside_dowhys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refutations, "ROWS", 300)
    monkeypatch.setattr(refutations, "PLACEBOS", 2)
    figures = refutations.refutations(lambda said: None)
    assert {figure.anchor for figure in figures} == {f"DoWhy's placebo refuter, {name}" for name in refutations.THEIRS}
    _was_measured(figures)


def test_the_benchmark_is_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def one(name: str) -> Callable[..., list[Figure]]:
        return lambda report: [Figure(name, 1.0, "s", "none", 1.0, "none", True)]

    monkeypatch.setattr(estimates, "average_effects", one("average"))
    monkeypatch.setattr(refutations, "refutations", one("placebos"))
    monkeypatch.setattr(cate, "cate", one("units"))
    assert [figure.name for figure in BENCHMARKS["estimates"](print)] == ["average", "placebos", "units"]


def test_work_alone_is_in_a_process_of_its_own_with_memory_of_its_own() -> None:
    """What this process holds must not count as what the fresh one used."""
    ballast = np.ones(60_000_000)
    _, own = spend(os.getpid)
    spent, other = alone(spend, os.getpid)
    assert other != own
    held = ballast.nbytes / 1024**3
    assert spend(os.getpid)[0].gigabytes > held > spent.gigabytes > 0


def test_cpu_seconds_are_of_work_and_not_of_waiting() -> None:
    spent, total = spend(lambda: sum(range(2_000_000)))
    assert total == 1_999_999_000_000
    assert spent.cpu_seconds > 0


def _was_measured(figures: list[Figure]) -> None:
    assert figures
    for figure in figures:
        assert np.isfinite(figure.value)
        assert np.isfinite(figure.anchor_value)
        assert figure.value >= 0 < figure.anchor_value
