"""The outcome learners to choose from, fixed and named, so that a result can say which one it rests on.

Three are enough: the mean (nothing can be learned), a ridge regression (small or linear data) and
gradient-boosted trees over histograms (everything else). EconML's "auto" first stages are not among them:
which model they pick flips with the split, and the estimate with it (py-why/EconML#895).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class Regressor(Protocol):
    """The two methods of a scikit-learn regressor that are used here."""

    def fit(self, x: Array, y: Array) -> Any: ...

    def predict(self, x: Array) -> Any: ...


@dataclass(frozen=True, slots=True)
class Learner:
    """A name, and how to make an unfitted regressor of that name for `n_train` rows with a seed."""

    name: str
    make: Callable[[int, int], Regressor]


def mean_only(n_train: int, seed: int) -> Regressor:
    """Predicts the training mean: the candidate that any other one has to beat."""
    from sklearn.dummy import DummyRegressor

    del n_train, seed
    return DummyRegressor(strategy="mean")  # type: ignore[no-any-return]


def ridge(n_train: int, seed: int) -> Regressor:
    """Ridge regression on standardised columns, its penalty chosen by closed-form leave-one-out error (Golub
    et al. 1979).
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    del n_train, seed
    return make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-2, 4, 7)))  # type: ignore[no-any-return]


def hist_gradient_boosting(n_train: int, seed: int) -> Regressor:
    """Eighty small boosted trees; no early stopping, whose internal split would depend on the order of the
    rows.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(  # type: ignore[no-any-return]
        max_iter=80,
        learning_rate=0.08,
        max_leaf_nodes=15,
        min_samples_leaf=min(50, max(5, n_train // 20)),
        l2_regularization=1.0,
        max_bins=63,
        early_stopping=False,
        random_state=seed,
    )


MEAN_ONLY = Learner("mean_only", mean_only)
RIDGE = Learner("ridge", ridge)
HIST_GRADIENT_BOOSTING = Learner("hist_gradient_boosting", hist_gradient_boosting)

# From simple to flexible: a tie goes to the earlier one.
CANDIDATES = (MEAN_ONLY, RIDGE, HIST_GRADIENT_BOOSTING)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run numeric libraries on one thread: sums over threads differ in their last bit with the number of
    cores.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=1):
        yield
