"""Do the units arrive in the declared proportions? A test that may be looked at after every unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from causeway.statistics.sample_ratio import check_counts

CONCENTRATIONS = (10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)
"""How sure the alternatives are of the declared shares, from "far off, seen within a hundred units" to "off by a
tenth of a per cent, seen within a million": the mixture has them all, each with the same weight."""


@dataclass(frozen=True, slots=True)
class SequentialSampleRatio:
    """Result of the sequential test at the last look.

    p_value: smallest 1 / Bayes factor up to now, None where there was nothing to test, and `detail` says why;
    0.0 also stands for a number too small to write. passed: p_value >= threshold, at this and every look before.
    log_bayes_factor: of the last look, natural logarithm, mismatch against match; None without a p-value.
    p_values: by look, never rising. first_failure: index of the first look that failed, None if none did.
    observed, expected: units by variant at the last look.
    """

    p_value: float | None
    passed: bool
    log_bayes_factor: float | None
    p_values: tuple[float, ...]
    first_failure: int | None
    observed: dict[str, int]
    expected: dict[str, float]
    detail: str


def log_bayes_factor(
    counts: ArrayLike, shares: ArrayLike, *, concentrations: Sequence[float] = CONCENTRATIONS
) -> NDArray[np.float64]:
    """Logarithm of the Bayes factor of "some other shares" against the declared ones.

    For one concentration c the other shares are Dirichlet(c * shares), and the factor is
    Gamma(c) / Gamma(c + n) * prod Gamma(c s_i + x_i) / Gamma(c s_i) / s_i**x_i
    (Lindon & Malek 2022, "Anytime-valid inference for multinomial count data", equation 5). Several
    concentrations are averaged: an average of martingales that start at 1 is one too. So under the declared
    shares the factor ever exceeds 1 / p with probability p at most, and it depends on the counts alone, not on
    the order of units within a look.

    The logarithms of the gamma functions are about n log n large, so a billion units leave an error of 1e-5.

    counts: shape (..., variants). shares: shape (variants,), each above 0, adding up to 1. Returns shape (...).

    >>> float(log_bayes_factor([60, 40], [0.5, 0.5], concentrations=[100.0]).round(4))
    0.6589
    """
    x, s = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    n = x.sum(axis=-1)
    logs = [
        special.gammaln(c)
        - special.gammaln(c + n)
        + (special.gammaln(c * s + x) - special.gammaln(c * s) - special.xlogy(x, s)).sum(axis=-1)
        for c in concentrations
    ]
    found: NDArray[np.float64] = special.logsumexp(np.stack(logs), axis=0) - math.log(len(logs))
    return found


def sequential_sample_ratio_test(
    looks: Sequence[Mapping[str, int]],
    weights: Mapping[str, float],
    *,
    threshold: float = 0.001,
    concentrations: Sequence[float] = CONCENTRATIONS,
) -> SequentialSampleRatio:
    """Test the numbers of units by variant against the declared weights, at every look so far.

    The multinomial test of Lindon & Malek (2022); see `log_bayes_factor`. A test of declared weights fails by
    chance with probability `threshold` at most, over all looks together, however many there are. A variant of
    weight 0 is left out, but a unit seen in it fails the test from that look on (p = 0).

    looks: distinct units by variant up to each look, cumulative; a declared variant that is not named has none.
    weights: declared weight by variant, any scale, the same at all looks. threshold: the test passes at p >=
    threshold. concentrations: see CONCENTRATIONS; fixed in advance, not from the data.

    Raises ValueError without looks, for unusable weights, counts or concentrations, for a variant that was not
    declared, and where a cumulative count falls.

    >>> days = [{"a": 510, "b": 490}, {"a": 1100, "b": 900}, {"a": 1500, "b": 1500}]
    >>> result = sequential_sample_ratio_test(days, {"a": 1, "b": 1})
    >>> result.passed, [round(p, 5) for p in result.p_values]
    (True, [1.0, 0.00101, 0.00101])
    """
    _check(looks, weights, concentrations)
    weighted = [variant for variant, weight in weights.items() if weight > 0]
    scale = sum(weights[variant] for variant in weighted)
    shares = np.array([weights[variant] / scale for variant in weighted])
    counts = np.array([[int(look.get(variant, 0)) for variant in weighted] for look in looks])
    strays = np.array([sum(look.get(variant, 0) for variant in weights if weights[variant] == 0) for look in looks])
    observed = {variant: int(looks[-1].get(variant, 0)) for variant in weights}
    total = int(counts[-1].sum())
    expected = {variant: total * weights[variant] / scale for variant in weights}

    if strays[-1] == 0 and total == 0:
        detail = "No unit has been assigned yet: there is nothing to test and nothing to estimate."
        return SequentialSampleRatio(None, False, None, (), None, observed, expected, detail)
    if strays[-1] == 0 and len(weighted) == 1:
        detail = f"Only {weighted[0]} has weight: every unit belongs there, and there is no ratio to test."
        return SequentialSampleRatio(None, True, None, (), None, observed, expected, detail)

    evidence = log_bayes_factor(counts, shares, concentrations=concentrations)
    evidence = np.where(strays > 0, np.inf, evidence)
    p_values = tuple(float(p) for p in np.exp(-np.maximum.accumulate(np.maximum(evidence, 0.0))))
    failures = [look for look, p in enumerate(p_values) if p < threshold]
    first_failure = failures[0] if failures else None
    passed = first_failure is None
    if strays[-1] > 0:
        where = ", ".join(f"{n:,} units in {variant}" for variant, n in observed.items() if n and not weights[variant])
        detail = f"{where} although the weight is 0: the assignment does not follow the declaration."
    else:
        seen = ", ".join(f"{variant} {observed[variant]:,} (expected {expected[variant]:,.1f})" for variant in weighted)
        since = "" if passed else f" since look {failures[0] + 1} of {len(looks)}"
        detail = (
            f"The units {'agree with' if passed else 'contradict'} the declared weights{since}: {seen};"
            f" sequential p = {p_values[-1]:.3g}, threshold {threshold:g}."
        )
    last = float(evidence[-1]) if math.isfinite(evidence[-1]) else None
    return SequentialSampleRatio(p_values[-1], passed, last, p_values, first_failure, observed, expected, detail)


def _check(looks: Sequence[Mapping[str, int]], weights: Mapping[str, float], concentrations: Sequence[float]) -> None:
    if not looks:
        raise ValueError("no look has been taken: give at least one, empty if there is no unit")
    if not concentrations or not all(math.isfinite(c) and c > 0 for c in concentrations):
        raise ValueError(f"concentrations must be numbers above 0: {list(concentrations)}")
    for look in looks:
        check_counts(look, weights)
    for before, after in pairwise(looks):
        fallen = [variant for variant in weights if after.get(variant, 0) < before.get(variant, 0)]
        if fallen:
            raise ValueError(
                f"cumulative counts cannot fall: {', '.join(fallen)}, from {dict(before)} to {dict(after)}"
            )
