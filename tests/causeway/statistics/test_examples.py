"""The examples in the docstrings run, and there are some."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "alpha_spending",
    "attrition",
    "burn_in",
    "clusters",
    "clusters_across_arms",
    "confidence_sequence",
    "contrasts",
    "covariate_choice",
    "critical_value",
    "cuped",
    "difference_in_means",
    "group_sequential",
    "group_sequential_bounds",
    "heterogeneity",
    "interactions",
    "joint_moments",
    "life_table",
    "linear_hypothesis",
    "mid_quantile",
    "moments",
    "multiple_testing",
    "normal_mixture",
    "post_stratification",
    "posterior",
    "quantile",
    "ratio",
    "regression_adjustment",
    "relative_effect",
    "sample_ratio",
    "sequential_sample_ratio",
    "switchback",
    "time_to_event",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_docstrings_run(name):
    result = doctest.testmod(importlib.import_module(f"causeway.statistics.{name}"))
    assert result.attempted > 0
    assert result.failed == 0
