"""The examples in the docstrings run, and there are some."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "attrition",
    "covariate_choice",
    "cuped",
    "difference_in_means",
    "joint_moments",
    "moments",
    "multiple_testing",
    "regression_adjustment",
    "post_stratification",
    "ratio",
    "relative_effect",
    "sample_ratio",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_docstrings_run(name):
    result = doctest.testmod(importlib.import_module(f"causeway.statistics.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
