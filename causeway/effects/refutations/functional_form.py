"""Does the effect survive letting the covariates act in ways that the method leaves out?"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from scipy import stats

from causeway.effects.influence import Array
from causeway.effects.learners import Squares
from causeway.effects.problem import Computing, Problem
from causeway.effects.refutations.estimators import Estimator
from causeway.effects.refutations.refutation import PROBLEM_ALPHA, Refutation
from causeway.effects.refutations.repeating import repeat
from causeway.effects.refutations.scores import inferred

NAME = "functional_form"
UNITS_A_COLUMN = 10


def functional_form(
    problem: Problem, estimator: Estimator, *, method: str, stream: np.random.SeedSequence, computing: Computing
) -> Refutation | None:
    """A linear regression gets the squares of the covariates, the g-formula, which has them, their products. None for
    other methods, and where nothing is to be added or there are fewer than ten units a column.

    The two estimates come from the same units, so the variance of their difference is the sum of the squared
    differences of each unit's contribution (Hausman 1978, Econometrica 46, 1251-1271, without his assumption that one
    of them is efficient). A problem is a difference that is both unlikely (p < 0.05) and larger than one standard
    error: in large data every curve is significant, and one that does not move the answer does not matter.
    """
    if method not in ("linear_regression", "g_formula") or not problem.columns:
        return None
    added = _squares(problem.x) if method == "linear_regression" else _products(problem.x)
    if not added.shape[1] or problem.n < UNITS_A_COLUMN * (2 + problem.x.shape[1] + added.shape[1]):
        return None
    columns = (*problem.columns, *(f"bent_{place}" for place in range(added.shape[1])))
    bent = replace(problem, x=np.column_stack([problem.x, added]), columns=columns)
    found = repeat(estimator, [lambda generator: problem, lambda generator: bent], stream, computing)
    if found.reason is not None:
        return Refutation.impossible(NAME, method, found.reason)
    straight, curved = found.estimates
    inference = inferred(problem, straight)
    change = inferred(problem, replace(curved, contributions=curved.contributions - straight.contributions, df=None))
    if inference.std_error is None:
        return Refutation.impossible(NAME, method, "the estimate has no standard error")
    difference = curved.effect - straight.effect
    p_value = float(2 * stats.norm.sf(abs(difference) / change.std_error)) if change.std_error else 1.0
    what = "squares" if method == "linear_regression" else "products"
    detail = (
        f"with {what} of the covariates the effect is {curved.effect:.4g} instead of {straight.effect:.4g}, "
        f"{abs(difference) / inference.std_error:.1f} standard errors away (p = {p_value:.3f})"
    )
    is_problem = p_value < PROBLEM_ALPHA and abs(difference) > inference.std_error
    return Refutation(NAME, method, curved.effect, p_value, is_problem, detail)


def _squares(x: Array) -> Array:
    basis = Squares.of(x)
    return basis.columns(x)[:, basis.curved] ** 2


def _products(x: Array) -> Array:
    basis = Squares.of(x)
    z = basis.columns(x)
    pairs = [z[:, one] * z[:, other] for one, other in combinations(basis.own, 2)]
    return np.column_stack(pairs) if pairs else np.empty((len(x), 0))
