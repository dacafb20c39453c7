"""The examples in the docstrings of the report and of its drawings run, and there are some."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "plots.arm_shares",
    "plots.axis_ticks",
    "plots.balance_panel",
    "plots.causal_graph",
    "plots.effect_histogram",
    "plots.effect_over_time",
    "plots.estimates_by_method",
    "plots.forest_panel",
    "plots.overlap_panel",
    "plots.refutations",
    "plots.share_curves",
    "plots.svg",
    "report.numbers",
    "report.study_charts",
    "report.study_report",
    "report.study_words",
    "report.words",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"causeway.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
