"""Two experiments on the same units: is who is in which arm independent, and do the effects add up?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from causeway.statistics.comparison import EstimatedMean, check_alpha
from causeway.statistics.contrasts import estimated_mean, linear_contrast
from causeway.statistics.effect import Effect, Status
from causeway.statistics.linear_hypothesis import linear_hypothesis
from causeway.statistics.moments import Moments
from causeway.statistics.multiple_testing import benjamini_hochberg
from causeway.statistics.sample_ratio import sample_ratio_test

SMALL_EXPECTED_COUNT = 5
DRAWS = 20_000

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AssignmentDependence:
    """Whether the variants of experiment A and those of B were dealt independently of each other.

    status: "ok", or why nothing was tested; then p_value, statistic and cramers_v are None.
    n: units in both experiments. statistic: Pearson's chi-square with `df` degrees of freedom.
    cramers_v: size of the dependence, 0 none to 1 complete; with a million units a p-value alone alarms too easily.
    """

    status: Status
    n: int
    p_value: float | None = None
    statistic: float | None = None
    df: int | None = None
    cramers_v: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Interaction:
    """Whether the effect of A depends on the variant of B.

    status: "ok", or why nothing was tested; then p_value, statistic and df_denominator are None.
    statistic, df, df_denominator: approximate F of "all differences of differences are zero".
    effects: by (variant of A, variant of B), controls left out: effect of A's variant among the units of B's variant
    less its effect among the units of B's control. None of them has a relative effect.
    """

    status: Status
    n: int
    p_value: float | None = None
    statistic: float | None = None
    df: int | None = None
    df_denominator: float | None = None
    effects: dict[Pair, Effect] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Screened:
    """What a screen over all pairs says of one of them; p_value_adjusted is None where nothing could be tested."""

    p_value_adjusted: float | None
    found: bool


def assignment_dependence(
    counts: Mapping[Pair, int], *, weights: tuple[Mapping[str, float], Mapping[str, float]] | None = None, seed: int = 0
) -> AssignmentDependence:
    """Chi-square test that the two assignments are independent, from the units in each pair of variants.

    Without weights the expected count is the product of the observed margins, so that a wrong sample ratio of either
    experiment alone raises no alarm here; (r - 1) (c - 1) degrees of freedom. With an expected count below 5 the
    p-value is by 20,000 seeded tables with the same margins (Patefield 1981), (hits + 1) / (draws + 1) (Phipson &
    Smyth 2010). With weights the expected shares are the products of the declared ones, r c - 1 degrees of freedom,
    and a wrong ratio of either experiment counts too (`sample_ratio_test`).

    counts: units by (variant of A, variant of B); a pair that is not named has none.
    weights: declared weights by variant of A and of B, any scale.
    Statuses: no_units, not_estimable (fewer than two variants of either experiment have units).
    Raises ValueError for a negative count, or a variant that the weights do not have.

    >>> found = assignment_dependence({("a", "x"): 50, ("a", "y"): 50, ("b", "x"): 50, ("b", "y"): 70})
    >>> round(found.statistic, 4), found.df, round(found.p_value, 4)
    (1.5278, 1, 0.2164)
    """
    if any(count < 0 for count in counts.values()):
        raise ValueError(f"a count is negative: {dict(counts)}")
    variants = _variants(counts)
    table = np.array([[counts.get((a, b), 0) for b in variants[1]] for a in variants[0]], dtype=np.int64)
    n = int(table.sum())
    if n == 0:
        return AssignmentDependence("no_units", 0)
    if weights is not None:
        shares = {(a, b): wa * wb for a, wa in weights[0].items() for b, wb in weights[1].items()}
        # A pair as one name, which no variant's own name can imitate.
        observed = {repr(pair): int(count) for pair, count in counts.items()}
        ratio = sample_ratio_test(observed, {repr(pair): share for pair, share in shares.items()})
        settings: dict[str, Any] = {"expected": "product_of_weights", "method": ratio.method}
        if ratio.p_value is None:
            return AssignmentDependence("not_estimable", n, settings={**settings, "reason": ratio.detail})
        return AssignmentDependence("ok", n, ratio.p_value, ratio.statistic, ratio.df, _cramers_v(table), settings)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    settings = {"expected": "product_of_margins"}
    if min(table.shape) < 2:
        reason = "fewer than two variants of an experiment have units"
        return AssignmentDependence("not_estimable", n, settings={**settings, "reason": reason})
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    statistic = float(np.sum((table - expected) ** 2 / expected))
    df = (table.shape[0] - 1) * (table.shape[1] - 1)
    if expected.min() >= SMALL_EXPECTED_COUNT:
        settings["method"] = "chi_square"
        p_value = float(stats.chi2.sf(statistic, df))
    else:
        settings["method"] = "monte_carlo_margins"
        drawn = stats.random_table(table.sum(axis=1), table.sum(axis=0)).rvs(DRAWS, random_state=seed)
        statistics = np.sum((drawn - expected) ** 2 / expected, axis=(1, 2))
        hits = int(np.sum(statistics >= statistic * (1 - 1e-9)))
        p_value = (hits + 1) / (DRAWS + 1)
    return AssignmentDependence("ok", n, p_value, statistic, df, _cramers_v(table), settings)


def interaction(cells: Mapping[Pair, Moments | EstimatedMean], *, control: Pair, alpha: float = 0.05) -> Interaction:
    """Test that the effects of A and of B on a metric add up, from the units in each pair of variants.

    Two by two: the difference of differences (t, t) - (t, c) - (c, t) + (c, c) with Welch-Satterthwaite degrees of
    freedom. With r by c variants: all (r - 1)(c - 1) of them at once by Johansen's (1980) approximate-F Wald test
    (`linear_hypothesis`), which for two by two is the same.

    cells: moments of the outcome, or any estimated mean, by (variant of A, variant of B); a pair that is not named
    has no units. control: the control variant of A and that of B. alpha: of the intervals of `effects`.
    Statuses: no_units, too_few_units (a cell has none, or one), zero_variance, not_estimable (an experiment has one
    variant, or too many cells are constant).
    Raises ValueError if the control is not among the variants.

    >>> cell = {("t", "t"): 5.0, ("t", "c"): 2.0, ("c", "t"): 2.0, ("c", "c"): 1.0}
    >>> found = interaction({pair: EstimatedMean(100, y, 0.25) for pair, y in cell.items()}, control=("c", "c"))
    >>> found.effects["t", "t"].effect, found.effects["t", "t"].std_error, round(found.p_value, 4)
    (2.0, 1.0, 0.0462)
    """
    check_alpha(alpha)
    variants_a, variants_b = (_control_last(found, c) for found, c in zip(_variants(cells), control, strict=True))
    pairs = [(a, b) for a in variants_a for b in variants_b]
    found = {pair: cells.get(pair, Moments.empty()) for pair in pairs}
    means = {pair: estimated_mean(cell) if isinstance(cell, Moments) else cell for pair, cell in found.items()}
    n = sum(mean.n for mean in means.values())
    effects = {
        (a, b): _difference_of_differences(means, (a, b), control, alpha)
        for a in variants_a[:-1]
        for b in variants_b[:-1]
    }
    settings: dict[str, Any] = {"alpha": alpha, "variance": "welch_james", "control": list(control)}
    smallest = min(mean.n for mean in means.values())
    rows = np.kron(_against_last(len(variants_a)), _against_last(len(variants_b)))
    status: Status | None = None
    if n == 0 or smallest == 0:
        status = "no_units"
    elif smallest == 1:
        status = "too_few_units"
    elif len(rows) == 0:
        status = "not_estimable"
    elif not any(mean.variance > 0 for mean in means.values()):
        status = "zero_variance"
    if status is not None:
        return Interaction(status, n, effects=effects, settings=settings)
    test = linear_hypothesis(
        [mean.value for mean in means.values()],
        [mean.variance for mean in means.values()],
        [mean.n - 1 for mean in means.values()],
        rows,
    )
    if test is None:
        reason = "too many cells are constant"
        return Interaction("not_estimable", n, effects=effects, settings={**settings, "reason": reason})
    return Interaction("ok", n, test.p_value, test.f, test.df, test.df_denominator, effects, settings)


def screen(pairs: Mapping[str, AssignmentDependence | Interaction], *, q: float = 0.05) -> dict[str, Screened]:
    """Which of all pairs stand out, with the false discovery rate at q (Benjamini & Hochberg 1995).

    One family a call: screen the assignments and the metric's interactions apart. A pair that could not be tested
    counts in the size of the family.
    """
    check_alpha(q)
    adjusted = benjamini_hochberg({name: pair.p_value for name, pair in pairs.items()})
    return {name: Screened(p, found=p is not None and p <= q) for name, p in adjusted.items()}


def _variants(cells: Mapping[Pair, Any]) -> tuple[list[str], list[str]]:
    return list(dict.fromkeys(a for a, _ in cells)), list(dict.fromkeys(b for _, b in cells))


def _control_last(variants: list[str], control: str) -> list[str]:
    if control not in variants:
        raise ValueError(f"the control {control!r} is not among the variants {variants}")
    return [*(name for name in variants if name != control), control]


def _against_last(k: int) -> NDArray[np.float64]:
    """Rows that compare each of k - 1 variants with the last one."""
    return np.column_stack([np.eye(k - 1), -np.ones(k - 1)])


def _difference_of_differences(means: Mapping[Pair, EstimatedMean], pair: Pair, control: Pair, alpha: float) -> Effect:
    (a, b), (a_control, b_control) = pair, control
    named = {" | ".join(cell): cell for cell in ((a, b), (a, b_control), (a_control, b), (a_control, b_control))}
    coefficients = dict(zip(named, (1.0, -1.0, -1.0, 1.0), strict=True))
    effect = linear_contrast({name: means[cell] for name, cell in named.items()}, coefficients, alpha=alpha)
    return replace(
        effect,
        mean=None,
        mean_control=None,
        relative_effect=None,
        relative_ci_low=None,
        relative_ci_high=None,
        settings={**effect.settings, "relative_status": "not_defined_for_an_interaction"},
    )


def _cramers_v(table: NDArray[np.int64]) -> float | None:
    """Cramer's V of the table's own dependence; None where there is one row or column."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    smaller = min(table.shape) - 1
    if smaller < 1:
        return None
    n = table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    return math.sqrt(float(np.sum((table - expected) ** 2 / expected)) / float(n) / smaller)
