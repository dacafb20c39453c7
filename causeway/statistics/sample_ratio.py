"""Did the units arrive in the declared proportions? If not, not only chance chose who was seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

SMALL_EXPECTED_COUNT = 5
MOST_OUTCOMES_TO_LIST = 200_000
DRAWS = 100_000

SampleRatioMethod = Literal["chi_square", "exact_multinomial", "monte_carlo_multinomial"]


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Result of a sample ratio test; p_value is None where there was nothing to test, and `detail` says why.

    statistic: Pearson's chi-square over the variants with weight; df: their number less one.
    observed, expected: units by variant. method: how the p-value was really obtained, None without one.
    """

    p_value: float | None
    passed: bool
    statistic: float | None
    df: int
    observed: dict[str, int]
    expected: dict[str, float]
    detail: str
    method: SampleRatioMethod | None = None


def sample_ratio_test(
    observed: Mapping[str, int], weights: Mapping[str, float], *, threshold: float = 0.001
) -> SampleRatio:
    """Test the numbers of units by variant against the declared weights (Fabijan et al. 2019).

    Pearson's chi-square with as many degrees of freedom as variants with weight, less one. A variant of
    weight 0 is left
    out of them, but a unit seen in it fails the test outright: the declaration says that cannot happen (p =
    0). With an expected count below 5 the chi-square is not trusted: the exact multinomial test adds up the
    probability of every outcome no likelier than the observed one; beyond 200,000 possible outcomes 100,000
    seeded draws stand in, with p = (hits + 1) / (draws + 1) (Phipson & Smyth 2010).

    observed: distinct units by variant; a declared variant that is not named has none.
    weights: declared weight by variant, any scale. threshold: the test passes at p >= threshold.
    Raises ValueError for a negative or unusable weight or count, and for a variant that was not declared.

    >>> result = sample_ratio_test({"a": 500, "b": 600}, {"a": 1, "b": 1})
    >>> result.passed, round(result.p_value, 5), result.df
    (True, 0.00257, 1)
    """
    check_counts(observed, weights)
    units = {variant: int(observed.get(variant, 0)) for variant in weights}
    weighted = [variant for variant, weight in weights.items() if weight > 0]
    strays = {variant: n for variant, n in units.items() if weights[variant] == 0 and n > 0}
    total = sum(units[variant] for variant in weighted)
    scale = sum(weights[variant] for variant in weighted)
    shares = np.array([weights[variant] / scale for variant in weighted])
    expected = {variant: total * weights[variant] / scale for variant in weights}
    df = len(weighted) - 1

    if strays:
        detail = f"{_listed(strays)} although the weight is 0: the assignment does not follow the declaration."
        return SampleRatio(0.0, False, None, df, units, expected, detail)
    if total == 0:
        detail = "No unit has been assigned yet: there is nothing to test and nothing to estimate."
        return SampleRatio(None, False, None, df, units, expected, detail)
    if df == 0:
        detail = f"Only {weighted[0]} has weight: every unit belongs there, and there is no ratio to test."
        return SampleRatio(None, True, None, df, units, expected, detail)

    counts = np.array([units[variant] for variant in weighted])
    statistic = float(((counts - total * shares) ** 2 / (total * shares)).sum())
    method: SampleRatioMethod
    if total * shares.min() >= SMALL_EXPECTED_COUNT:
        method, p_value = "chi_square", float(stats.chi2.sf(statistic, df))
    elif math.comb(total + df, df) <= MOST_OUTCOMES_TO_LIST:
        method, p_value = "exact_multinomial", _exact_p_value(counts, shares)
    else:
        method, p_value = "monte_carlo_multinomial", _monte_carlo_p_value(counts, shares)
    passed = p_value >= threshold
    seen = ", ".join(f"{variant} {units[variant]:,} (expected {expected[variant]:,.1f})" for variant in weighted)
    verdict = "agree with" if passed else "contradict"
    detail = f"The units {verdict} the declared weights: {seen}; p = {p_value:.3g}, threshold {threshold:g}."
    return SampleRatio(p_value, passed, statistic, df, units, expected, detail, method)


def _exact_p_value(counts: NDArray[np.int64], shares: NDArray[np.float64]) -> float:
    """Sum of the probabilities of all outcomes (by stars and bars) no likelier than the observed one."""
    total, arms = int(counts.sum()), len(counts)
    bars = np.array(list(combinations(range(total + arms - 1), arms - 1)))
    edges = np.column_stack([np.full(len(bars), -1), bars, np.full(len(bars), total + arms - 1)])
    outcomes = np.diff(edges, axis=1) - 1
    probabilities = stats.multinomial.pmf(outcomes, total, shares)
    likeliest = stats.multinomial.pmf(counts, total, shares) * (1 + 1e-7)  # ties must survive rounding
    return float(min(1.0, probabilities[probabilities <= likeliest].sum()))


def _monte_carlo_p_value(counts: NDArray[np.int64], shares: NDArray[np.float64]) -> float:
    total = int(counts.sum())
    draws = np.random.default_rng(0).multinomial(total, shares, size=DRAWS)
    log_likeliest = stats.multinomial.logpmf(counts, total, shares) + 1e-7
    hits = int((stats.multinomial.logpmf(draws, total, shares) <= log_likeliest).sum())
    return (hits + 1) / (DRAWS + 1)


def check_counts(observed: Mapping[str, int], weights: Mapping[str, float]) -> None:
    """Raise ValueError for a negative or unusable weight or count, and for a variant that was not declared."""
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights.values()) or not any(weights.values()):
        raise ValueError(f"weights must be numbers of at least 0, one of them above 0: {dict(weights)}")
    unknown = sorted(set(observed) - set(weights))
    if unknown:
        raise ValueError(f"variants without a declared weight: {', '.join(unknown)}")
    if any(n < 0 for n in observed.values()):
        raise ValueError(f"a count is negative: {dict(observed)}")


def _listed(units: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} units in {variant}" for variant, n in units.items())
