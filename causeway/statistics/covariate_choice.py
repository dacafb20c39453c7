"""Which of the covariates that a metric declares can be adjusted for, and how far the arms differed in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from causeway.statistics.joint_moments import JointMoments

DropReason = Literal["constant", "collinear", "too_few_units"]

# A covariate of which the ones before it leave less than this share unexplained adds only rounding.
COLLINEAR = 1e-8


def usable_covariates(
    samples: Sequence[JointMoments], covariates: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, DropReason]]:
    """The covariates that a regression in each of the samples can hold together, and why the others cannot.

    In the order given: one that is constant in a sample, or a linear combination of those kept before it, is
    dropped, as is whatever would leave a sample without a residual degree of freedom. Outcomes are not looked at.

    >>> arm = JointMoments.from_arrays({"a": [1.0, 2.0, 4.0, 3.0], "b": [2.0, 4.0, 8.0, 6.0], "c": [1.0] * 4})
    >>> usable_covariates([arm], ["a", "b", "c"])
    (('a',), {'b': 'collinear', 'c': 'constant'})
    """
    kept: list[str] = []
    dropped: dict[str, DropReason] = {}
    for name in covariates:
        if not all(sample.variance(name) for sample in samples):
            dropped[name] = "constant"
        elif min(sample.n for sample in samples) < len(kept) + 3:
            dropped[name] = "too_few_units"
        elif any(_unexplained(sample, kept, name) <= COLLINEAR for sample in samples):
            dropped[name] = "collinear"
        else:
            kept.append(name)
    return tuple(kept), dropped


def imbalance(treated: JointMoments, control: JointMoments, covariates: Sequence[str]) -> dict[str, float | None]:
    """Mean of the treated minus mean of the control, in standard deviations of both arms; None for a constant."""
    both = treated + control
    found: dict[str, float | None] = {}
    for name in covariates:
        variance = both.variance(name)
        found[name] = (treated.mean(name) - control.mean(name)) / math.sqrt(variance) if variance else None
    return found


def _unexplained(sample: JointMoments, kept: Sequence[str], name: str) -> float:
    """Share of the covariate's variance that regression on those kept leaves: 1 - R squared."""
    if not kept:
        return 1.0
    spreads = np.sqrt([sample.comoment(each, each) for each in kept])
    correlations = sample.comoment_matrix(kept, kept) / spreads / spreads[:, None]
    with_name = sample.comoment_matrix(kept, [name])[:, 0] / spreads / math.sqrt(sample.comoment(name, name))
    return float(1 - with_name @ np.linalg.solve(correlations, with_name))
