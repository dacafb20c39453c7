"""The difference in means with the design that units were randomised by: blocks, known propensities, weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from causeway.effects.influence import Array, Flags, Labels, Linearised


@dataclass(frozen=True, slots=True, eq=False)
class BlockedDifference:
    """`rows` (n,): the units of blocks with both arms, which alone say anything; others contribute nothing."""

    estimate: Linearised
    rows: Flags
    blocks: int


def difference(
    outcome: Array, treated: Flags, *, weights: Array | None = None, known_propensity: Array | None = None
) -> Linearised:
    """Difference of the arms' means, each weighed by sampling weights and by 1 / P(own arm) of the design (Hajek).

    Without weights the variance is that of Welch: each arm's own, with n - 1. With them it is the linearised one
    (Binder 1983, Int. Stat. Rev. 51, 279-292).
    """
    w = np.ones(len(outcome)) if weights is None else weights
    if known_propensity is not None:
        w = w / np.where(treated, known_propensity, 1 - known_propensity)
    effect, contributions = 0.0, np.zeros(len(outcome))
    for arm, sign in ((treated, 1.0), (~treated, -1.0)):
        total, n = float(w[arm].sum()), int(arm.sum())
        mean = float(w[arm] @ outcome[arm]) / total
        effect += sign * mean
        contributions[arm] = sign * w[arm] * (outcome[arm] - mean) / total * math.sqrt(n / max(1, n - 1))
    return Linearised(effect, contributions, _welch_df(contributions, treated) if weights is None else None)


def blocked_difference(
    outcome: Array, treated: Flags, blocks: Labels, *, weights: Array | None = None
) -> BlockedDifference:
    """Difference within blocks, averaged with the blocks' sizes (Imbens & Rubin 2015, ch. 9.5; Neyman's variance).

    Where some block has a single unit in an arm, as pairs have, the variance is that of the blocks' differences
    (Imai 2008, Stat. Med. 27; conservative where effects differ between blocks). Blocks with one arm only are left out.

    >>> y, t = np.array([1.0, 2, 5, 8, 3]), np.array([False, True, False, True, True])
    >>> found = blocked_difference(y, t, np.array([0, 0, 1, 1, 2]))
    >>> found.estimate.effect, found.blocks, found.rows.tolist()
    (2.0, 2, [True, True, True, True, False])
    """
    w = np.ones(len(outcome)) if weights is None else weights
    names, index = np.unique(blocks, return_inverse=True)
    cell = 2 * index + treated
    counts = np.bincount(cell, minlength=2 * len(names)).reshape(-1, 2)
    totals = np.bincount(cell, weights=w, minlength=2 * len(names)).reshape(-1, 2)
    complete = counts.min(axis=1) > 0
    rows = complete[index]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.bincount(cell, weights=w * outcome, minlength=2 * len(names)).reshape(-1, 2) / totals
    share = np.where(complete, totals.sum(axis=1), 0.0)
    share = share / share.sum() if complete.any() else share
    differences = np.where(complete, means[:, 1] - means[:, 0], 0.0)
    effect = float(share @ differences) if complete.any() else math.nan
    n_blocks = int(complete.sum())
    contributions = np.zeros(len(outcome))
    if counts[complete].size and counts[complete].min() >= 2:
        own, own_total = counts[index, treated.astype(int)], totals[index, treated.astype(int)]
        residual = outcome - means[index, treated.astype(int)]
        sign = np.where(treated, 1.0, -1.0)
        contributions[rows] = (sign * share[index] * w * residual / own_total * np.sqrt(own / np.maximum(1, own - 1)))[
            rows
        ]
    elif n_blocks >= 2:
        of_block = share * (differences - effect) * math.sqrt(n_blocks / (n_blocks - 1))
        # A block is one observation: its whole contribution is carried by its first unit.
        first = np.unique(index, return_index=True)[1]
        contributions[first[complete]] = of_block[complete]
    df = float(n_blocks - 1) if counts[complete].size and counts[complete].min() < 2 else None
    return BlockedDifference(Linearised(effect, contributions, df), rows, n_blocks)


def share_treated(treated: Flags, blocks: Labels) -> Array:
    """Of each unit's block, (n,): the design's propensity. In a block with one arm only it is that of all units."""
    _, index = np.unique(blocks, return_inverse=True)
    share = (np.bincount(index, weights=treated) / np.bincount(index))[index]
    return np.where((share > 0) & (share < 1), share, treated.mean())


def within_blocks_regression(
    outcome: Array, treated: Flags, x: Array, blocks: Labels, *, weights: Array | None = None
) -> Linearised:
    """Least squares of the outcome on the treatment, a constant for each block, and x (n, p).

    It weighs blocks by how evenly their units were split, n p (1 - p) (Angrist 1998, Econometrica 66, 249-288).
    Contributions hold for unequal variances, with the factor n / (n - k) of HC1.
    """
    w = np.ones(len(outcome)) if weights is None else weights / weights.mean()
    names, index = np.unique(blocks, return_inverse=True)
    total = np.bincount(index, weights=w)
    root = np.sqrt(w)

    def within(values: Array) -> Array:
        return np.asarray((values - (np.bincount(index, weights=w * values) / total)[index]) * root, dtype=np.float64)

    y, t = within(outcome), within(treated.astype(np.float64))
    rank = 0
    if x.shape[1]:
        columns = np.column_stack([within(column) for column in x.T])
        u, size, _ = np.linalg.svd(columns, full_matrices=False)
        basis = u[:, size > 1e-10 * max(1.0, float(size.max(initial=0.0)))]
        rank = basis.shape[1]
        y, t = y - basis @ (basis.T @ y), t - basis @ (basis.T @ t)
    information = float(t @ t)
    left = len(outcome) - len(names) - rank - 1
    if not information > 0 or left < 1:
        return Linearised(math.nan, np.full(len(y), math.nan))
    effect = float(t @ y) / information
    contributions = t * (y - effect * t) / information * math.sqrt(len(outcome) / left)
    return Linearised(effect, contributions, float(left))


def _welch_df(contributions: Array, treated: Flags) -> float | None:
    """Welch & Satterthwaite, from the variances of the arms."""
    parts = [float(contributions[arm] @ contributions[arm]) for arm in (treated, ~treated)]
    spent = sum(part**2 / max(1, int(arm.sum()) - 1) for part, arm in zip(parts, (treated, ~treated), strict=True))
    return sum(parts) ** 2 / spent if spent > 0 else None
