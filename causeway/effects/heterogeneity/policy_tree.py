"""A rule of at most four groups that can be read aloud, found by exact search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from causeway.effects.influence import Array, Flags

# Thresholds tried for each column.
CUTS = 15
MOST_COLUMNS = 15
SEARCHES = 25

Bins = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PolicyTree:
    """One split, and one in either half: a unit goes left where its column is at most the threshold.

    columns: positions of the three columns (first, left, right). treat: of the four leaves, from left to right.
    """

    columns: tuple[int, int, int]
    thresholds: tuple[float, float, float]
    treat: tuple[bool, bool, bool, bool]

    def decide(self, x: Array) -> Flags:
        """Whether to treat each row of x (m, p)."""
        right = x[:, self.columns[0]] > self.thresholds[0]
        leaf = np.where(
            right,
            2 + (x[:, self.columns[2]] > self.thresholds[2]),
            x[:, self.columns[1]] > self.thresholds[1],
        ).astype(np.int64)
        return np.asarray(np.array(self.treat)[leaf], dtype=np.bool_)

    def rule(self, names: Sequence[str]) -> str:
        """In words: the groups that are treated."""
        if len(set(self.treat)) == 1:
            return "treat everybody" if self.treat[0] else "treat nobody"
        parts = []
        for half in (0, 1):
            left, right = self.treat[2 * half : 2 * half + 2]
            if not (left or right):
                continue
            first = f"{names[self.columns[0]]} {'>' if half else '<='} {self.thresholds[0]:.4g}"
            second = f"{names[self.columns[1 + half]]} {'<=' if left else '>'} {self.thresholds[1 + half]:.4g}"
            parts.append(first if left and right else f"{first} and {second}")
        return "treat where " + ", or where ".join(parts)


def fit_policy_tree(x: Array, reward: Array, weights: Array, *, most_share: float = 1.0) -> PolicyTree:
    """The depth-two tree with the largest sum of rewards (n,) among those treated, over all pairs of splits at up to 15
    quantiles of each column (Athey & Wager 2021, Econometrica 89, eq. 5; Sverdrup et al. 2020 for the exact search).

    reward: gain of treating a unit, net of its cost. most_share: of the weight that may be treated; then a price for
    each unit treated is raised until no more are (the dual of the budget, by bisection). Of more than 15 columns, those
    are searched between whose quantiles the reward differs most.
    """
    levels = np.arange(1, CUTS + 1) / (CUTS + 1)
    cuts = [np.unique(np.quantile(column, levels, method="lower")) for column in x.T]
    bins = [np.searchsorted(cut, column, side="left") for cut, column in zip(cuts, x.T, strict=True)]
    tried = _most_telling(bins, reward, weights)
    tree = _cheapest(
        [cuts[j] for j in tried],
        [bins[j] for j in tried],
        x[:, tried],
        reward=reward,
        weights=weights,
        most_share=most_share,
    )
    first, left, right = (tried[j] for j in tree.columns)
    return PolicyTree((first, left, right), tree.thresholds, tree.treat)


def _most_telling(bins: Sequence[Bins], reward: Array, weights: Array) -> list[int]:
    """Positions of at most 15 columns, those between whose bins the mean reward differs most."""
    centred = weights * (reward - np.average(reward, weights=weights))
    told = []
    for of_column in bins:
        mass = np.bincount(of_column, weights=weights)
        told.append(float(np.sum(np.bincount(of_column, weights=centred) ** 2 / np.where(mass > 0, mass, 1.0))))
    return sorted(sorted(range(len(bins)), key=lambda j: (-told[j], j))[:MOST_COLUMNS])


def _cheapest(
    cuts: Sequence[Array], bins: Sequence[Bins], x: Array, *, reward: Array, weights: Array, most_share: float
) -> PolicyTree:
    gains, masses = _tables(bins, weights * reward), _tables(bins, weights)
    total = float(weights.sum())

    def best(price: float) -> tuple[PolicyTree, float]:
        tree = _search({pair: gains[pair] - price * masses[pair] for pair in gains}, cuts)
        return tree, float(weights @ tree.decide(x)) / total

    tree, share = best(0.0)
    if share <= most_share:
        return tree
    low, high = 0.0, float(np.abs(reward).max()) + 1.0
    tree = best(high)[0]
    for _ in range(SEARCHES):
        price = (low + high) / 2
        found, share = best(price)
        if share <= most_share:
            tree, high = found, price
        else:
            low = price
    return tree


def _tables(bins: Sequence[Bins], values: Array) -> dict[tuple[int, int], Array]:
    """Sums of values by bin of two columns, (CUTS + 1, CUTS + 1), for each ordered pair of columns."""
    side = CUTS + 1
    tables = {}
    for i, first in enumerate(bins):
        for j in range(i, len(bins)):
            found = (
                np.bincount(first * side + bins[j], weights=values, minlength=side**2)
                .astype(np.float64)
                .reshape(side, side)
            )
            tables[i, j], tables[j, i] = found, found.T
    return tables


def _search(tables: dict[tuple[int, int], Array], cuts: Sequence[Array]) -> PolicyTree:
    columns = range(len(cuts))
    best: tuple[float, PolicyTree] | None = None
    for i in columns:
        # Of each first cut: the best second split in either half, by its value, column and cut.
        halves = []
        for flip in (False, True):
            choices = []
            for j in columns:
                below = np.cumsum(np.cumsum(tables[i, j], axis=0), axis=1)
                inside = below[-1] - below if flip else below
                left = inside[: len(cuts[i]), : len(cuts[j])]
                right = inside[: len(cuts[i]), -1:] - left
                choices.append(np.maximum(left, 0) + np.maximum(right, 0))
            widths = np.cumsum([0, *(choice.shape[1] for choice in choices)])
            values = np.concatenate(choices, axis=1)
            place = values.argmax(axis=1)
            column = np.searchsorted(widths, place, side="right") - 1
            halves.append((values.max(axis=1), column, place - widths[column]))
        value = halves[0][0] + halves[1][0]
        at = int(value.argmax())
        if best is None or value[at] > best[0]:
            second = [(int(half[1][at]), int(half[2][at])) for half in halves]
            best = float(value[at]), _tree(i, at, second, tables, cuts)
    if best is None:
        raise ValueError("a tree needs a column")
    return best[1]


def _tree(
    i: int, at: int, second: Sequence[tuple[int, int]], tables: dict[tuple[int, int], Array], cuts: Sequence[Array]
) -> PolicyTree:
    treat: list[bool] = []
    for half, (j, cut) in enumerate(second):
        inside = tables[i, j][at + 1 :].sum(axis=0) if half else tables[i, j][: at + 1].sum(axis=0)
        treat += [bool(inside[: cut + 1].sum() > 0), bool(inside[cut + 1 :].sum() > 0)]
    return PolicyTree(
        (i, second[0][0], second[1][0]),
        (float(cuts[i][at]), float(cuts[second[0][0]][second[0][1]]), float(cuts[second[1][0]][second[1][1]])),
        (treat[0], treat[1], treat[2], treat[3]),
    )
