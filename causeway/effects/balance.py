"""Are the two arms alike in what was measured? Standardised differences, before and after weighting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from causeway.effects.influence import Array, Flags

WeightedTarget = Literal["ATE", "ATT", "ATC", "ATO"]


@dataclass(frozen=True, slots=True)
class Balance:
    """Standardised mean difference of one confounder column, treated minus control; None where it does not
    vary. `variance_ratio`: treated over control; None where the control group's is zero.
    """

    covariate: str
    smd: float | None
    variance_ratio: float | None = None


def balance(
    x: Array,
    columns: Sequence[str],
    treated: Flags,
    *,
    weights: Array | None = None,
    sampling_weights: Array | None = None,
) -> tuple[Balance, ...]:
    """Standardised mean difference of each column of x (units, columns): d = (m1 - m0) / sqrt((s1^2 + s0^2)
    / 2).

    Austin 2009 ("Balance diagnostics...", Statist. Med. 28, 3083-3107, sec. 3.1). |d| above 0.1 is commonly
    called imbalance. Both groups need two units.

    weights: what each unit weighs after adjustment, (units,): `adjustment_weights`, or those of a `Matching`. Means and
    the variance ratio are then weighted, while s1 and s0 stay those before adjustment, or else weights that make a
    group alike within would make it look unbalanced (Stuart 2010, Statist. Sci. 25, 1-21, sec. 4.1).
    sampling_weights: what each unit stands for before adjustment; `weights` have to contain them.
    """
    before = np.ones(len(treated)) if sampling_weights is None else sampling_weights
    after = before if weights is None else weights
    plain, adjusted = (
        [_mean_and_variance(x[arm], each[arm]) for arm in (treated, ~treated)] for each in (before, after)
    )
    spread = np.sqrt((plain[0][1] + plain[1][1]) / 2)
    results = []
    for position, column in enumerate(columns):
        (mean, variance), (mean_control, variance_control) = (
            (float(m[position]), float(v[position])) for m, v in adjusted
        )
        smd = (mean - mean_control) / float(spread[position]) if spread[position] > 0 else None
        ratio = variance / variance_control if variance_control > 0 else None
        results.append(
            Balance(
                column,
                smd if smd is not None and np.isfinite(smd) else None,
                ratio if ratio is not None and np.isfinite(ratio) else None,
            )
        )
    return tuple(results)


def _mean_and_variance(x: Array, weights: Array) -> tuple[Array, Array]:
    """Of each column; nan in a group that weighs nothing, and the variance zero of a single unit. Equal weights give
    the usual divisor, n - 1.
    """
    total = float(weights.sum())
    if total <= 0:
        return np.full(x.shape[1], np.nan), np.full(x.shape[1], np.nan)
    share = weights / total
    # From the first value on, a column that does not vary has a variance of zero and not of rounding.
    start = x[0]
    mean = start + share @ (x - start)
    rest = 1 - float(share @ share)
    return mean, share @ (x - mean) ** 2 / rest if rest > 0 else np.zeros(x.shape[1])


def adjustment_weights(
    *, treated: Flags, propensity: Array, target: WeightedTarget, sampling_weights: Array | None = None
) -> Array:
    """What each unit weighs in its group's mean so that the groups look like the target, (n,), of mean one in each
    group: 1 / e and 1 / (1 - e) for everybody (ATE); 1 and e / (1 - e) for the treated (ATT); (1 - e) / e and 1 for the
    controls (ATC); 1 - e and e for those who might be either (ATO).

    Li, Morgan & Zaslavsky 2018, JASA 113, 390-400, table 1. Raises ValueError for a weight without bound, of a
    propensity of 0 or 1: trim first.
    """
    e = np.asarray(propensity, dtype=np.float64)
    tilt = {"ATE": np.ones(len(e)), "ATT": e, "ATC": 1 - e, "ATO": e * (1 - e)}[target]
    with np.errstate(divide="ignore", invalid="ignore"):
        weights: Array = tilt / np.where(treated, e, 1 - e)
    if not np.isfinite(weights).all():
        raise ValueError("a propensity of 0 or 1 leaves a unit without a finite weight")
    if sampling_weights is not None:
        weights = weights * sampling_weights
    for arm in (treated, ~treated):
        if weights[arm].sum() > 0:
            weights[arm] /= weights[arm].mean()
    return weights


def effective_sample_size(weights: Array) -> float:
    """How many equally weighted units would know as much, (sum w)^2 / sum w^2 (Kish 1965, Survey Sampling, sec. 8.2);
    zero for nobody.
    """
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0
