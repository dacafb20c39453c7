"""The examples in the docstrings run, and there are some."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "baseline",
    "comparison",
    "duration",
    "lifts",
    "monte_carlo",
    "noncentral_t",
    "plan",
    "power",
    "replay",
    "sequential_power",
    "simulated_power",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_docstrings_run(name):
    result = doctest.testmod(importlib.import_module(f"causeway.design.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
