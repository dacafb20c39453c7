"""What nuisances are learnt with: a few learners, fixed and named, weighed against each other by out-of-fold loss.

The mean (nothing can be learnt), a penalised regression on the columns and their squares (small or smooth data), the
same with the products of columns (where units suffice for so many), and boosted trees over histograms (everything
else). EconML's "auto" first stages are not among them: which one it picks
flips with the split, and the estimate with it (py-why/EconML#895).

One thread a fit: the sums of a fit over threads differ in their last bit with the number of cores. What runs side by
side is fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from causeway.effects.influence import Array

Kind = Literal["regression", "probability"]
Predictor = Callable[[Array], Array]

MAX_SQUARED_COLUMNS = 400
MAX_WITH_PRODUCTS = 200
UNITS_A_PRODUCT = 10
# Trees find the products by themselves.
ENOUGH_FOR_DEEP_TREES = 50_000
LARGE = 100_000
# Beyond ten standard deviations a square is a guess, and an outlier's leverage.
FARTHEST = 10.0
ENOUGH_TO_SEE = 5_000
# Sixty-four bins are as well placed by this many units as by all.
ENOUGH_TO_BIN = 50_000
# What a column of length one has left when others determine it: rounding.
DETERMINED = 1e-6


class Learner(Protocol):
    """Something to fit. Its predictor gives one column for each of its variants: (m, p) to (m, len(variants))."""

    @property
    def variants(self) -> tuple[str, ...]: ...

    def fit(self, x: Array, y: Array, weights: Array | None, kind: Kind, seed: int) -> Predictor: ...

    def only(self, kept: tuple[int, ...]) -> Learner:
        """The same with some of its variants."""
        ...


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of those it was fitted on, whoever is asked about: what any other learner has to beat."""

    variants: tuple[str, ...] = ("mean",)

    def fit(self, x: Array, y: Array, weights: Array | None, kind: Kind, seed: int) -> Predictor:
        mean = float(np.average(y, weights=weights))
        return lambda at: np.full((len(at), 1), mean)

    def only(self, kept: tuple[int, ...]) -> Learner:
        return self


@dataclass(frozen=True, slots=True)
class Quadratic:
    """Ridge, or logistic, regression on the columns and on the squares of those with more than two values.

    products: on the products of any two columns as well. The ridge's penalty is chosen by closed-form leave-one-out
    error (Golub, Heath & Wahba 1979); from 100,000 units on it is one, which no longer matters. The logistic penalty is
    one, on standardised columns, and ten with products.
    """

    products: bool = False

    @property
    def variants(self) -> tuple[str, ...]:
        return ("quadratic with products",) if self.products else ("quadratic",)

    def fit(self, x: Array, y: Array, weights: Array | None, kind: Kind, seed: int) -> Predictor:
        from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV

        if x.shape[1] == 0 or y.min() == y.max():
            return Mean().fit(x, y, weights, kind, seed)
        squares = Squares.of(x)
        basis = squares.with_products if self.products else squares
        design = basis(x)
        if design.shape[1] == 0:
            # Among these units no column varies.
            return Mean().fit(x, y, weights, kind, seed)
        if kind == "probability":
            model = LogisticRegression(C=0.1 if self.products else 1.0, solver="newton-cholesky", max_iter=100)
            model.fit(design, y > 0.5, sample_weight=weights)
            return lambda at: np.asarray(model.predict_proba(basis(at))[:, 1:], dtype=np.float64)
        ridge = Ridge(alpha=1.0, solver="cholesky") if len(y) >= LARGE else RidgeCV(alphas=np.logspace(-2, 4, 7))
        ridge.fit(design, y, sample_weight=weights)
        return lambda at: np.asarray(ridge.predict(basis(at)), dtype=np.float64)[:, np.newaxis]

    def only(self, kept: tuple[int, ...]) -> Learner:
        return self


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """Gradient-boosted histogram trees by XGBoost (Chen & Guestrin 2016); a variant after each of `rounds`.

    No early stopping: its inner split would be one more thing that moves the answer.
    """

    # Ascending.
    rounds: tuple[int, ...]
    depth: int
    rate: float

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(f"boosted_trees: {rounds} rounds of depth {self.depth}" for rounds in self.rounds)

    def fit(self, x: Array, y: Array, weights: Array | None, kind: Kind, seed: int) -> Predictor:
        import xgboost as xgb
        from scipy.special import expit

        if x.shape[1] == 0 or y.min() == y.max():
            mean = float(np.average(y, weights=weights))
            return lambda at: np.full((len(at), len(self.rounds)), mean)
        settings = {
            "objective": "binary:logistic" if kind == "probability" else "reg:squarederror",
            "max_depth": self.depth,
            "eta": self.rate,
            "lambda": 1.0,
            # Of a probability's curvature, which is a quarter at most: four units or more as well.
            "min_child_weight": 1.0 if kind == "probability" else 4.0,
            "max_bin": 64,
            "nthread": 1,
            "seed": seed % 2**31,
            "base_score": float(np.average(y, weights=weights)),
        }
        data = xgb.QuantileDMatrix(x, y, weight=weights, max_bin=64, nthread=1, ref=bins_of_some(x, weights, seed))
        # What xgboost.train does, without its callbacks: where units are few, those take as long as the trees.
        trees = xgb.Booster(settings, [data])
        for number in range(max(self.rounds)):
            trees.update(data, number)

        def predict(at: Array) -> Array:
            # Each variant goes on from the one before, so that no tree is walked twice.
            columns: list[npt.NDArray[np.float32]] = []
            for first, last in pairwise((0, *self.rounds)):
                so_far = trees.inplace_predict(
                    at,
                    iteration_range=(first, last),
                    predict_type="margin",
                    base_margin=columns[-1] if columns else None,
                    validate_features=False,
                )
                columns.append(so_far)
            margins = np.column_stack(columns).astype(np.float64)
            return expit(margins) if kind == "probability" else margins

        return predict

    def only(self, kept: tuple[int, ...]) -> Learner:
        return BoostedTrees(tuple(self.rounds[position] for position in kept), self.depth, self.rate)


def bins_of_some(x: npt.NDArray[np.floating[Any]], weights: Array | None, seed: int) -> Any:
    """XGBoost's bins of the columns by some of the units, or None where there are few: finding them takes as long as
    growing a dozen trees. The lowest and the highest value of each column are among them, so that a rare one is seen.
    """
    import xgboost as xgb

    if len(x) <= 2 * ENOUGH_TO_BIN:
        return None
    some = np.random.default_rng(seed).integers(0, len(x), ENOUGH_TO_BIN)
    rows = np.unique(np.concatenate([some, x.argmin(axis=0), x.argmax(axis=0)]))
    return xgb.QuantileDMatrix(x[rows], weight=None if weights is None else weights[rows], max_bin=64, nthread=1)


@dataclass(frozen=True, slots=True, eq=False)
class Squares:
    """The columns `own`, standardised, and the squares of those `curved`; fixed by the units it was made of.

    Left out is a column that quadratics of the columns before it determine, such as a declared square.
    """

    own: tuple[int, ...]
    curved: tuple[int, ...]
    centre: Array
    scale: Array

    @classmethod
    def of(cls, x: Array) -> Squares:
        """More than 400 columns stay as they are, without squares."""
        own: tuple[int, ...] = tuple(range(x.shape[1]))
        curved: tuple[int, ...] = ()
        if x.shape[1] <= MAX_SQUARED_COLUMNS:
            own, curved = own_and_curved(x)
        centre, scale = x.mean(axis=0), x.std(axis=0)
        return cls(own, curved, centre, np.where(scale > 0, scale, 1.0))

    def __call__(self, at: Array) -> Array:
        z = self.columns(at)
        found = np.empty((len(at), len(self.own) + len(self.curved)))
        found[:, : len(self.own)] = z if len(self.own) == z.shape[1] else z[:, self.own]
        curved = z if len(self.curved) == z.shape[1] else z[:, self.curved]
        np.square(curved, out=found[:, len(self.own) :])
        return found

    def with_products(self, at: Array) -> Array:
        """The same, and then the products of any two of `own`."""
        z = self.columns(at)[:, self.own]
        one, other = np.triu_indices(z.shape[1], k=1)
        return np.hstack([self(at), z[:, one] * z[:, other]])

    def columns(self, at: Array) -> Array:
        """All columns, standardised."""
        z = at - self.centre
        z /= self.scale
        return np.clip(z, -FARTHEST, FARTHEST, out=z)


def own_and_curved(x: Array) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Positions of the columns that quadratics of the columns before them do not determine; and of those among them
    with more than two values, for an indicator has no square of its own.
    """
    # Whether a column is a function of others is seen in some thousands of units as well as in all.
    some = x[:: max(1, len(x) // ENOUGH_TO_SEE)]
    z = some - some.mean(axis=0)
    length = np.sqrt((z * z).mean(axis=0))
    z = z / np.where(length > 0, length, 1.0)
    both = np.empty((len(z), 2 * x.shape[1]))
    both[:, ::2], both[:, 1::2] = z, z * z - (z * z).mean(axis=0)
    norm = np.linalg.norm(both, axis=0)
    both /= np.where(norm > 0, norm, 1.0)
    few = len(both) <= both.shape[1]
    remaining = np.ones(both.shape[1]) if few else np.abs(np.diag(np.linalg.qr(both, mode="r")))
    lowest, highest = x.min(axis=0), x.max(axis=0)
    between = ((x != lowest) & (x != highest)).any(axis=0)
    own = tuple(column for column in range(x.shape[1]) if remaining[2 * column] > DETERMINED)
    return own, tuple(column for column in own if between[column])


TREES = (
    (2_000, BoostedTrees((25, 50, 100, 200), depth=2, rate=0.1)),
    (50_000, BoostedTrees((25, 50, 100, 200, 400), depth=4, rate=0.06)),
    (300_000, BoostedTrees((20, 40, 80, 160), depth=5, rate=0.15)),
    (float("inf"), BoostedTrees((20, 40, 80), depth=6, rate=0.2)),
)
"""By the number of units below which they are used."""


def learners_for(n: int, p: int, kind: Kind) -> tuple[Learner, ...]:
    """The learners to weigh where there are n units with p columns. Trees grow deeper, and fewer, where units are more.

    A probability is the smoother thing: its trees are the best long before those of an outcome on a scale. Products are
    tried for probabilities alone: an estimate that is right by the propensity needs no more of them, and outcomes with
    long tails are no place for another hundred columns.
    """
    trees = next(each for limit, each in TREES if n < limit)
    if kind == "regression":
        return (Mean(), Quadratic(), trees)
    products = (Quadratic(products=True),) if _can_have_products(n, p) else ()
    return (Mean(), Quadratic(), *products, trees.only((0, 1, 2)))


def _can_have_products(n: int, p: int) -> bool:
    columns = 2 * p + p * (p - 1) // 2
    return p > 1 and columns <= MAX_WITH_PRODUCTS and UNITS_A_PRODUCT * columns <= n < ENOUGH_FOR_DEEP_TREES
