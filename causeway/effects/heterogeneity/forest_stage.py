"""The causal forest of EconML, given our residuals instead of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causeway.effects.heterogeneity.scores import Scores
from causeway.effects.influence import Array

TREES = 200
SMALLEST_LEAF = 50


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """An honest forest; its pointwise intervals fail in the tails and are not offered."""

    forest: Any
    smallest_leaf: int

    def predict(self, z: Any) -> Array:
        return np.asarray(self.forest.predict(z), dtype=np.float64).ravel()

    def contributions(self, z: Any) -> None:
        """A forest's SHAP values do not add up to its effects (py-why/EconML#445), so there are none."""

    def describe(self) -> dict[str, Any]:
        return {"model": "causal forest", "trees": TREES, "min_samples_leaf": self.smallest_leaf}


def fit_forest(z: Any, scores: Scores, rows: Any, *, seed: int) -> Forest:
    """What CausalForestDML fits once it has residuals: `econml.grf.CausalForest` (Athey, Tibshirani & Wager 2019, Ann.
    Statist. 47, 1148-1178). Leaves of fifty are faster and closer to the truth than the default of five.
    """
    from econml.grf import CausalForest

    n = len(rows)
    leaf = int(np.clip(n // 40, 5, SMALLEST_LEAF))
    forest = CausalForest(
        n_estimators=TREES, min_samples_leaf=leaf, max_samples=0.45 if n < 20_000 else 0.25, inference=False,
        subforest_size=4, random_state=seed, n_jobs=1,
    )  # fmt: skip
    forest.fit(
        z[rows], scores.treatment_residual[rows], scores.outcome_residual[rows], sample_weight=scores.weights[rows]
    )
    return Forest(forest, leaf)
