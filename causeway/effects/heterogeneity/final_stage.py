"""Models of the effect by x: a line, boosted trees, or a causal forest, each a weighted regression of a pseudo-outcome.

The R-learner (Nie & Wager 2021, Biometrika 108, eq. 4) regresses the outcome's residual over the treatment's with the
squared treatment residual as weight; the DR-learner (Kennedy 2023, EJS 17, algorithm 1) regresses the doubly robust
score. All columns come standardised, float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from causeway.effects.heterogeneity.scores import Scores
from causeway.effects.influence import Array
from causeway.effects.learners import bins_of_some

Learner = Literal["r_linear", "dr_linear", "r_boosted", "dr_boosted", "causal_forest"]
Standardised = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

# Shallow trees first: effects are mostly smoother than outcomes. The one with the lower loss held out is taken.
DEPTHS = (2, 4)
MOST_ROUNDS = 400
PATIENCE = 20
VALIDATION_SHARE = 0.2
# Below this a treatment residual divides by nothing; such a unit has next to no weight.
SMALLEST_RESIDUAL = 1e-3
PENALTIES = tuple(10.0**power for power in (-4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 2, 3))


class Stage(Protocol):
    """A fitted model of the effect."""

    def predict(self, z: Standardised) -> Array:
        """Effects (m,) of the rows of z (m, p)."""

    def contributions(self, z: Standardised) -> Array | None:
        """What each column adds, (m, p), and last a constant: rows add up to the effect. None: has no such thing."""

    def describe(self) -> dict[str, Any]:
        """What was really fitted; JSON values only."""


def fit_stage(learner: Learner, z: Standardised, scores: Scores, rows: Rows, groups: Array, *, seed: int) -> Stage:
    """Fit on the units `rows`. groups: (n,) numbers in [0, 1), equal within a cluster, by which boosting holds a fifth
    of the units out to know when to stop.
    """
    if learner == "causal_forest":
        from causeway.effects.heterogeneity.forest_stage import fit_forest

        return fit_forest(z, scores, rows, seed=seed)
    if learner.startswith("dr_"):
        label, weight = scores.doubly_robust[rows], scores.weights[rows]
    else:
        t = scores.treatment_residual[rows]
        t = np.where(np.abs(t) < SMALLEST_RESIDUAL, np.copysign(SMALLEST_RESIDUAL, t), t)
        label, weight = scores.outcome_residual[rows] / t, scores.weights[rows] * t**2
    weight = weight / weight.mean()
    if learner.endswith("linear"):
        return fit_line(z[rows], label, weight)
    return fit_boosted(z[rows], label, weight, groups[rows] < VALIDATION_SHARE, seed=seed)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """effect = intercept + z @ slopes, by ridge regression."""

    intercept: float
    slopes: Array
    penalty: float

    def predict(self, z: Standardised) -> Array:
        return np.asarray(self.intercept + z @ self.slopes, dtype=np.float64)

    def contributions(self, z: Standardised) -> Array:
        return np.column_stack([z * self.slopes, np.full(len(z), self.intercept)])

    def describe(self) -> dict[str, Any]:
        return {"model": "ridge", "penalty": self.penalty}


def fit_line(z: Standardised, label: Array, weight: Array) -> Line:
    """Weighted ridge regression; the penalty has the lowest generalised cross-validation error (Golub, Heath & Wahba
    1979, Technometrics 21, eq. 1.4) of eleven, from next to none to one that leaves a constant.
    """
    n = len(label)
    middle = np.average(z, axis=0, weights=weight)
    intercept = float(np.average(label, weights=weight))
    root = np.sqrt(weight)[:, None]
    design, target = root * (z - middle), root[:, 0] * (label - intercept)
    values, vectors = np.linalg.eigh(design.T @ design)
    values = np.maximum(values, 0.0)
    along = vectors.T @ (design.T @ target)
    total = float(target @ target)

    def error(penalty: float) -> float:
        shrunk = 1 / (values + n * penalty)
        residual = total - float(np.sum(along**2 * shrunk * (2 - values * shrunk)))
        return residual / max(n - 1 - float(np.sum(values * shrunk)), 1.0) ** 2

    penalty = min(PENALTIES, key=error)
    slopes = vectors @ (along / (values + n * penalty))
    return Line(intercept - float(middle @ slopes), slopes, penalty)


@dataclass(frozen=True, slots=True, eq=False)
class Boosted:
    """effect = centre + scale * trees(z); without trees a constant."""

    centre: float
    scale: float
    trees: Any
    depth: int
    rounds: int

    def predict(self, z: Standardised) -> Array:
        if self.trees is None:
            return np.full(len(z), self.centre)
        return self.centre + self.scale * np.asarray(self.trees.inplace_predict(z), dtype=np.float64)

    def contributions(self, z: Standardised) -> Array:
        """TreeSHAP (Lundberg et al. 2020, Nature Machine Intelligence 2) of the trees."""
        import xgboost

        if self.trees is None:
            return np.column_stack([np.zeros(z.shape), np.full(len(z), self.centre)])
        found = self.scale * self.trees.predict(xgboost.DMatrix(z, nthread=1), pred_contribs=True).astype(np.float64)
        found[:, -1] += self.centre
        return np.asarray(found, dtype=np.float64)

    def describe(self) -> dict[str, Any]:
        return {"model": "boosted trees", "depth": self.depth, "rounds": self.rounds}


def fit_boosted(z: Standardised, label: Array, weight: Array, held_out: npt.NDArray[np.bool_], *, seed: int) -> Boosted:
    """Histogram trees with a slow rate, half of the units a tree and large leaves; depth and number of rounds have the
    lowest squared error on `held_out`, where no round at all is one of the choices.
    """
    import xgboost

    centre = float(np.average(label, weights=weight))
    scale = float(np.sqrt(np.average((label - centre) ** 2, weights=weight)))
    constant = Boosted(centre, scale, None, 0, 0)
    inside = ~held_out
    if scale <= 1e-12 * max(1.0, abs(centre)) or held_out.sum() < 10 or inside.sum() < 20:
        return constant
    target = (label - centre) / scale
    bins = {"max_bin": 64, "nthread": 1}
    fitted, weighed = z[inside], weight[inside]
    ref = bins_of_some(fitted, weighed, seed)
    data = xgboost.QuantileDMatrix(fitted, label=target[inside], weight=weighed, ref=ref, **bins)
    held = xgboost.QuantileDMatrix(z[held_out], label=target[held_out], weight=weight[held_out], ref=data, **bins)
    best, lowest = constant, float(np.sqrt(np.average(target[held_out] ** 2, weights=weight[held_out])))
    for depth in DEPTHS:
        settings = {
            "objective": "reg:squarederror", "eval_metric": "rmse", "tree_method": "hist", **bins,
            "max_depth": depth, "eta": 0.1, "subsample": 0.5, "base_score": 0.0, "seed": seed,
            "min_child_weight": float(np.clip(inside.sum() / 200, 5, 100)), "reg_lambda": 5.0,
        }  # fmt: skip
        trees = xgboost.train(
            settings, data, MOST_ROUNDS, evals=[(held, "held_out")], early_stopping_rounds=PATIENCE, verbose_eval=False
        )
        if float(trees.best_score) < lowest:
            rounds = int(trees.best_iteration) + 1
            best, lowest = Boosted(centre, scale, trees[:rounds], depth, rounds), float(trees.best_score)
    return best
