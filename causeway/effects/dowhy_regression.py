"""Linear regression and placebo as DoWhy does them, made safe.

What is measured of DoWhy 0.14 and worked around here: it writes into the frame it is given; its default
identification goes through all subsets of the confounders; it orders the adjustment set by a Python set; its
standard error assumes equal variances; it logs every step.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from causeway.effects.causal_graph import Edge, Identification
from causeway.effects.least_squares import TreatmentCoefficient, treatment_coefficient
from causeway.effects.refutations import PROBLEM_ALPHA, Refutation
from causeway.effects.study_frame import Encoded, StudyFrame

LINEAR_REGRESSION = "dowhy_linear_regression"
PLACEBO = "placebo_treatment"


class DowhyRegression:
    """DoWhy's model of one study, on a frame made for it alone.

    Columns are renamed: the refuter overwrites one called "placebo", and a name with a space breaks a graph.
    Linear regression is not among the estimators whose columns the refuters read back (py-why/dowhy#1728);
    another method would need an object of its own.

    `effect` is DoWhy's number; `coefficient` is the same fit with robust contributions, `df` its residual
    degrees of freedom.
    """

    effect: float
    coefficient: TreatmentCoefficient
    df: float

    def __init__(
        self,
        data: StudyFrame,
        confounders: Encoded,
        identification: Identification,
        *,
        treatment: str,
        outcome: str,
    ) -> None:
        import networkx as nx
        import pandas as pd
        from dowhy import CausalModel

        safe = [f"c{position:04d}" for position in range(len(confounders.columns))]
        columns = dict(zip(safe, confounders.values.T.copy(), strict=True))
        columns |= {"treatment": data.treated.astype(np.float64), "outcome": data.outcome.copy()}
        nodes: dict[str, list[str]] = {treatment: ["treatment"], outcome: ["outcome"]}
        for column, owner in zip(safe, confounders.owners, strict=True):
            nodes.setdefault(owner, []).append(column)
        graph = nx.DiGraph()
        graph.add_edges_from(_safe_edges(identification, nodes))
        with quiet():
            self._model = CausalModel(data=pd.DataFrame(columns), treatment="treatment", outcome="outcome", graph=graph)
            # The search for the largest set ends at once where one exists, and that was asked before; the
            # default also looks for the smallest one, through all subsets.
            self._estimand = self._model.identify_effect(method_name="maximal-adjustment")
            self._fix_adjustment_set(safe)
            self._estimate = self._model.estimate_effect(
                self._estimand,
                method_name="backdoor.linear_regression",
                control_value=0,
                treatment_value=1,
                effect_modifiers=[],
            )
        fitted = self._estimate.estimator.model
        exog = np.asarray(fitted.model.exog, dtype=np.float64)
        self.effect = float(self._estimate.value)
        self.coefficient = treatment_coefficient(exog, data.outcome)
        self.df = float(fitted.df_resid)

    def _fix_adjustment_set(self, names: list[str]) -> None:
        """DoWhy keeps the set in the order of a Python set of strings, and the sums of a fit with it:
        another in each process.
        """
        found = self._estimand.backdoor_variables
        if found.get("backdoor") is None:
            raise AssertionError("DoWhy finds no adjustment set where the d-separation test found one")
        for key in found:
            found[key] = list(names)

    def placebo(self, seed: int, simulations: int) -> Refutation:
        """Shuffle the treatment `simulations` times and estimate again: the effect should vanish.

        DoWhy's p-value is one-sided and is of the hypothesis that zero belongs to the shuffled effects:
        small means that the method finds an effect where there is none.
        """
        try:
            with quiet():
                refuted = self._model.refute_estimate(
                    self._estimand,
                    self._estimate,
                    method_name="placebo_treatment_refuter",
                    placebo_type="permute",
                    num_simulations=simulations,
                    random_state=seed % 2**32,
                    show_progress_bar=False,
                )
            new_effect = float(refuted.new_effect)
            p_value = float(refuted.refutation_result["p_value"])
        except (ValueError, np.linalg.LinAlgError) as problem:
            return Refutation(PLACEBO, LINEAR_REGRESSION, None, None, None, str(problem))
        if not (math.isfinite(new_effect) and math.isfinite(p_value)):
            return Refutation(PLACEBO, LINEAR_REGRESSION, None, None, None, "the shuffled effects do not vary")
        detail = (
            f"with the treatment shuffled {simulations} times the effect averages {new_effect:.4g} "
            f"(p = {p_value:.3f}; below {PROBLEM_ALPHA} means that effects are found where there are none)"
        )
        return Refutation(PLACEBO, LINEAR_REGRESSION, new_effect, p_value, p_value < PROBLEM_ALPHA, detail)


def _safe_edges(identification: Identification, nodes: dict[str, list[str]]) -> list[Edge]:
    """The edges between the columns of each node. What is not adjusted for goes unobserved.

    A confounder of the adjustment set without a column of its own is constant, or a function of the others:
    given them it opens no door, so it is left out of the graph.
    """
    names = dict(nodes)
    for name in sorted({name for edge in identification.edges for name in edge}):
        if name not in identification.adjustment_set:
            names.setdefault(name, [f"u{len(names):04d}"])
    return [
        (start, end)
        for tail, head in identification.edges
        for start in names.get(tail, [])
        for end in names.get(head, [])
    ]


@contextmanager
def quiet() -> Iterator[None]:
    """DoWhy logs each step and warns about its dependencies; what matters is in the result."""
    logger = logging.getLogger("dowhy")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
