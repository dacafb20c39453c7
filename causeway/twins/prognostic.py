"""Digital twins of the units of an experiment: what each of them would do under control.

The predicted outcome under control is a prognostic score. Used as a regression covariate in a randomised
experiment it lowers the variance of the effect by about its squared correlation with the outcome and cannot
bias it, however bad it is: PROCOVA (Schuler, Walsh, Hall, Walsh & Fisher 2022, "Increasing the efficiency of
randomized trial estimates via linear adjustment for a prognostic score", Int. J. Biostat. 18(2), 329-356,
eq. 3); online experiments know the same idea as CUPAC (Tang, Huang, Kastelman & Bauman 2020), and as the
machine-learning covariate of Guo et al. 2021 ("Machine learning for variance reduction in online
experiments", NeurIPS 34), whose cross-fitting is used here because the score is learned from the very
experiment that it adjusts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from causeway.twins.learners import CANDIDATES, Array, Learner, Regressor, one_thread

MIN_CONTROLS = 20
# With fewer training units than this in a fold the score would be noise; chance alone can make folds that
# uneven in tiny samples.
MIN_FOLD_TRAINING = 5
IMPORTANCE_ROWS_PER_FOLD = 2_000

PrognosticStatus = Literal["ok", "no_covariates", "too_few_units", "zero_variance"]


@dataclass(frozen=True, slots=True, eq=False)
class PrognosticFit:
    """A prognostic score per unit and how it was made.

    `scores` (units,), in the units of the outcome and the row order of the input; None unless status is
    "ok". `r_squared` is out of fold, on control units; below zero the score is worse than the control mean.
    `candidates` maps each learner to its validation loss (mean squared error on control units that it was
    not trained on); `fold_learners` names the one that scored each fold, `learner` the one with the least
    loss over all, which is also the kind of `model`: fitted on all `n_train` control units, for scoring
    units outside the experiment. `importances` maps each column to the rise in out-of-fold squared error
    when it is shuffled, as a share of the outcome's variance.
    """

    status: PrognosticStatus
    n_train: int
    scores: Array | None = None
    learner: str | None = None
    r_squared: float | None = None
    candidates: dict[str, float] = field(default_factory=dict)
    fold_learners: tuple[str, ...] = ()
    importances: dict[str, float] = field(default_factory=dict)
    model: Any = None


def fit_prognostic(
    x: Array,
    y: Array,
    is_control: npt.NDArray[np.bool_],
    unit_ids: Sequence[str] | npt.NDArray[Any],
    *,
    seed: int,
    folds: int = 5,
    feature_names: Sequence[str] | None = None,
) -> PrognosticFit:
    """Predict every unit's outcome under control, each from control units of other folds only.

    `x` (units, columns) finite, `y` (units,) with nan where the outcome is missing (such a unit is scored,
    not learned from), `is_control` (units,), `unit_ids` (units,) unique. The score of a unit in fold k comes
    from a model that saw no outcome of fold k, and that was also *chosen* without any: the loss that picks
    fold k's learner is measured on folds k - 1 and k + 1 by models trained without fold k. So no unit's
    outcome can reach its own score. Folds follow from the unit id and the seed alone, and rows are put in
    the order of their ids before anything is summed: the order of the input changes no bit of the scores.

    Status "no_covariates" when x has no columns, "too_few_units" with fewer than 20 control units with an
    outcome, "zero_variance" when their outcomes are all the same. Raises ValueError for shapes that
    disagree, repeated unit ids, not-finite x, or fewer than three folds.
    """
    ids = np.asarray(unit_ids, dtype=np.str_)
    _check(x, y, is_control, ids, folds)
    trainable = np.asarray(is_control, dtype=bool) & np.isfinite(y)
    n_train = int(trainable.sum())
    if x.shape[1] == 0:
        return PrognosticFit("no_covariates", n_train)
    if n_train < MIN_CONTROLS:
        return PrognosticFit("too_few_units", n_train)
    if np.ptp(y[trainable]) == 0.0:
        return PrognosticFit("zero_variance", n_train)

    order = np.argsort(ids, kind="stable")
    x, y, trainable = (
        np.ascontiguousarray(x[order], dtype=np.float64),
        y[order].astype(np.float64),
        trainable[order],
    )
    fold = unit_folds(ids[order], seed=seed, folds=folds)
    if min(int((trainable & (fold != k) & (fold != (k + 1) % folds)).sum()) for k in range(folds)) < MIN_FOLD_TRAINING:
        return PrognosticFit("too_few_units", n_train)

    with one_thread():
        squared_errors, counts = _validation_errors(x, y, trainable=trainable, fold=fold, folds=folds, seed=seed)
        chosen = [_best(squared_errors[:, k] / max(1, counts[k])) for k in range(folds)]
        models = [_fit(chosen[k], x, y, trainable & (fold != k), seed) for k in range(folds)]
        scores = np.empty(len(y))
        for k in range(folds):
            if (fold == k).any():
                scores[fold == k] = models[k].predict(x[fold == k])
        losses = squared_errors.sum(axis=1) / counts.sum()
        overall = _best(losses)
        final = _fit(overall, x, y, trainable, seed)
        names = list(feature_names) if feature_names is not None else [f"x{column}" for column in range(x.shape[1])]
        importances = _importances(models, x, y, trainable=trainable, fold=fold, seed=seed)

    observed = y[trainable]
    residual = float(np.sum((observed - scores[trainable]) ** 2))
    unsorted = np.empty_like(scores)
    unsorted[order] = scores
    return PrognosticFit(
        status="ok",
        n_train=n_train,
        scores=unsorted,
        learner=overall.name,
        r_squared=1.0 - residual / float(np.sum((observed - observed.mean()) ** 2)),
        candidates={learner.name: float(loss) for learner, loss in zip(CANDIDATES, losses, strict=True)},
        fold_learners=tuple(learner.name for learner in chosen),
        importances=dict(zip(names, importances.tolist(), strict=True)),
        model=final,
    )


def unit_folds(unit_ids: Sequence[str] | npt.NDArray[Any], *, seed: int, folds: int) -> npt.NDArray[np.int64]:
    """The fold of each unit, 0 .. folds - 1: a hash of seed and id, so that neither other units nor the arm
    matter.

    >>> unit_folds(["a", "b", "c"], seed=1, folds=5).tolist()
    [3, 3, 0]
    """
    prefix = f"prognostic:{seed}:"
    return np.fromiter(
        (int.from_bytes(blake2b((prefix + str(unit)).encode(), digest_size=8).digest()) % folds for unit in unit_ids),
        dtype=np.int64,
        count=len(unit_ids),
    )


def _check(x: Array, y: Array, is_control: npt.NDArray[np.bool_], ids: npt.NDArray[np.str_], folds: int) -> None:
    if x.ndim != 2:
        raise ValueError(f"x must be (units, columns), it has {x.ndim} dimensions")
    lengths = {"x": len(x), "y": len(y), "is_control": len(is_control), "unit_ids": len(ids)}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"one row per unit is expected everywhere, got {lengths}")
    if len(np.unique(ids)) != len(ids):
        raise ValueError("unit_ids are not unique")
    if not np.isfinite(x).all():
        raise ValueError("x has missing or infinite values; encode the covariates with design_matrix")
    if folds < 3:
        raise ValueError(
            f"at least three folds are needed to choose a learner without a unit's own outcome, got {folds}"
        )


def _fit(learner: Learner, x: Array, y: Array, rows: npt.NDArray[np.bool_], seed: int) -> Regressor:
    model = learner.make(int(rows.sum()), seed)
    model.fit(x[rows], y[rows])
    return model


def _best(losses: Array) -> Learner:
    return CANDIDATES[int(np.argmin(losses))]


def _validation_errors(
    x: Array,
    y: Array,
    *,
    trainable: npt.NDArray[np.bool_],
    fold: npt.NDArray[np.int64],
    folds: int,
    seed: int,
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Squared error of each learner, (learners, folds), and the number of units behind it, (folds,): column
    k decides for fold k.

    A model trained without the neighbouring folds k and k + 1 serves twice: its error on k + 1 counts for
    fold k, its error on k for fold k + 1. That is a nested choice for the price of one fit per fold and
    learner.
    """
    errors = np.zeros((len(CANDIDATES), folds))
    counts = np.zeros(folds, dtype=np.int64)
    for k in range(folds):
        following = (k + 1) % folds
        training = trainable & (fold != k) & (fold != following)
        held_out = {k: trainable & (fold == following), following: trainable & (fold == k)}
        for deciding_for, rows in held_out.items():
            counts[deciding_for] += int(rows.sum())
        for row, learner in enumerate(CANDIDATES):
            model = _fit(learner, x, y, training, seed)
            for deciding_for, rows in held_out.items():
                if rows.any():
                    errors[row, deciding_for] += float(np.sum((y[rows] - model.predict(x[rows])) ** 2))
    return errors, counts


def _importances(
    models: Sequence[Regressor],
    x: Array,
    y: Array,
    *,
    trainable: npt.NDArray[np.bool_],
    fold: npt.NDArray[np.int64],
    seed: int,
) -> Array:
    """Permutation importance (Breiman 2001, sec. 10) on control units the model has not seen, as a share of
    their variance.
    """
    rise = np.zeros(x.shape[1])
    used = 0
    for k, model in enumerate(models):
        generator = np.random.default_rng([seed % 2**63, k])
        rows = np.flatnonzero(trainable & (fold == k))
        if len(rows) > IMPORTANCE_ROWS_PER_FOLD:
            rows = np.sort(generator.choice(rows, IMPORTANCE_ROWS_PER_FOLD, replace=False))
        if len(rows) == 0:
            continue
        used += len(rows)
        base = float(np.sum((y[rows] - model.predict(x[rows])) ** 2))
        for column in range(x.shape[1]):
            shuffled = x[rows].copy()
            shuffled[:, column] = generator.permutation(shuffled[:, column])
            rise[column] += float(np.sum((y[rows] - model.predict(shuffled)) ** 2)) - base
    return rise / used / float(np.var(y[trainable]))
