"""The examples in the docstrings run, and there are some."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "alpha_spending",
    "attrition",
    "burn_in",
    "confidence_sequence",
    "covariate_choice",
    "critical_value",
    "cuped",
    "difference_in_means",
    "group_sequential",
    "group_sequential_bounds",
    "joint_moments",
    "life_table",
    "mid_quantile",
    "moments",
    "multiple_testing",
    "normal_mixture",
    "post_stratification",
    "quantile",
    "ratio",
    "regression_adjustment",
    "relative_effect",
    "sample_ratio",
    "sequential_sample_ratio",
    "time_to_event",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_docstrings_run(name):
    result = doctest.testmod(importlib.import_module(f"causeway.statistics.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
