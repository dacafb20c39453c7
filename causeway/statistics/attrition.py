"""Are outcomes missing more often in one arm than in another? Then the arms are no longer comparable."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

SMALL_EXPECTED_COUNT = 5
DRAWS = 100_000


def missing_shares_p_value(outcomes: Mapping[str, tuple[int, int]]) -> float | None:
    """p-value for equal shares of missing outcomes in all arms.

    None where there is nothing to compare: no outcome is missing, all are, or fewer than two arms have units.

    Pearson's chi-square on the table arms x (present, missing). With an expected count below 5, where one
    missing outcome in a small arm would look like a catastrophe, the same statistic is compared with 100,000
    seeded draws of the missing among the arms at fixed margins: p = (hits + 1) / (draws + 1) (Phipson &
    Smyth 2010).

    outcomes: (units with an outcome, units without) by variant. Raises ValueError for a negative count.

    >>> round(missing_shares_p_value({"a": (900, 100), "b": (850, 150)}), 5)
    0.00072
    """
    table = np.array(list(outcomes.values()), dtype=np.int64).reshape(-1, 2)
    if (table < 0).any():
        raise ValueError(f"a count is negative: {dict(outcomes)}")
    table = table[table.sum(axis=1) > 0]
    if len(table) < 2 or (table.sum(axis=0) == 0).any():
        return None
    arm_sizes, missing = table.sum(axis=1), table[:, 1]
    share = missing.sum() / arm_sizes.sum()
    statistic = _pearson(missing, arm_sizes, share)
    if (arm_sizes * min(share, 1 - share)).min() >= SMALL_EXPECTED_COUNT:
        return float(stats.chi2.sf(statistic, len(table) - 1))
    draws = np.random.default_rng(0).multivariate_hypergeometric(
        arm_sizes, int(missing.sum()), size=DRAWS, method="marginals"
    )
    hits = int((_pearson(draws, arm_sizes, share) >= statistic * (1 - 1e-9)).sum())
    return (hits + 1) / (DRAWS + 1)


def _pearson(missing: NDArray[np.int64], arm_sizes: NDArray[np.int64], share: float) -> NDArray[np.float64]:
    """Pearson's statistic of two-column tables from their second columns, shape (..., arms) to (...)."""
    deviation = missing - arm_sizes * share
    return np.asarray((deviation**2 / (arm_sizes * share * (1 - share))).sum(axis=-1))
