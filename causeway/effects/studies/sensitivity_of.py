"""How much would have to be unmeasured for the answer to change: of a study of two arms."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from causeway.effects.estimators.matched_pairs import matched_pairs
from causeway.effects.nuisances import Nuisances
from causeway.effects.problem import Problem
from causeway.effects.sensitivity.bias_bounds import OmittedVariables, represent
from causeway.effects.sensitivity.contour import contour
from causeway.effects.sensitivity.e_value import e_value
from causeway.effects.sensitivity.observed_strengths import observed_strengths
from causeway.effects.sensitivity.rosenbaum import rosenbaum_bounds
from causeway.effects.studies.answer import MethodEstimate
from causeway.effects.studies.two_arms import LARGEST_MATCHED, TwoArms

MOST_BENCHMARKS = 5
GRID = 21
# Of the propensity's logit, in standard deviations (Austin 2011, Pharm. Stat. 10, 150-161): without it the last pairs
# would differ in what was measured, which no bound on what was not can answer for.
CALIPER = 0.2


def sensitivity_of(found: TwoArms, headline: MethodEstimate) -> dict[str, Any]:
    """E-value of the headline; robustness value, contour and benchmarks of the doubly robust estimate; Rosenbaum's
    bounds of matched pairs. JSON values only; what cannot be said is None.
    """
    problem = found.problem
    result: dict[str, Any] = dict.fromkeys(
        ("e_value", "e_value_ci", "e_value_scale", "robustness_value", "robustness_value_ci", "contour", "rosenbaum")
    )
    result["benchmarks"] = []
    if headline.status != "ok" or headline.effect is None or headline.ci_low is None or headline.ci_high is None:
        return result
    control = problem.outcome[~problem.treated]
    within = math.sqrt((float(np.var(control)) + float(np.var(problem.outcome[problem.treated]))) / 2)
    is_conversion = set(np.unique(problem.outcome)) <= {0.0, 1.0}
    e = e_value(
        effect=headline.effect,
        ci_low=headline.ci_low,
        ci_high=headline.ci_high,
        mean_control=float(control.mean()),
        sd=within,
        is_conversion=is_conversion,
    )
    result |= {"e_value": e.point, "e_value_ci": e.limit, "e_value_scale": e.scale}
    if "aipw" in found.found and problem.known_propensity is None and problem.blocks is None:
        result |= _robustness(found)
        result["rosenbaum"] = _rosenbaum(found)
    return result


def _robustness(found: TwoArms) -> dict[str, Any]:
    problem, nuisances = found.problem, found.nuisances[0]
    whole = _omitted(found, problem, nuisances)
    if whole is None:
        return {}
    marks = observed_strengths(problem.outcome, problem.treated, problem.x, problem.columns, weights=problem.weights)
    highest = max([0.1, *(2 * max(strength.outcome, strength.treatment) for _, strength in marks)])
    grid = np.linspace(0.0, min(0.95, highest), GRID).tolist()
    drawn = contour(effect=whole.found.effect, scale=whole.scale, outcome_strengths=grid, treatment_strengths=grid)
    return {
        "robustness_value": whole.robustness_value(),
        "robustness_value_ci": whole.robustness_value_interval(),
        "contour": asdict(drawn),
        "benchmarks": [
            {"name": name, "outcome": strength.outcome, "treatment": strength.treatment} for name, strength in marks
        ],
    }


def _rosenbaum(found: TwoArms) -> dict[str, Any] | None:
    """Of pairs without a unit in common; None where there are too many units to pair, or nothing to pair them by."""
    problem = found.problem
    if not problem.columns or problem.n > LARGEST_MATCHED:
        return None
    pairs = matched_pairs(
        treated=problem.treated,
        outcome=problem.outcome,
        x=problem.x,
        seed=problem.seed,
        propensity=np.mean([each.propensity for each in found.nuisances], axis=0),
        metric="propensity",
        caliper=CALIPER,
    )
    bounds = asdict(rosenbaum_bounds(pairs.differences))
    return bounds | {"pairs": len(pairs.differences), "unmatched": pairs.n_unmatched}


def _omitted(found: TwoArms, problem: Problem, nuisances: Nuisances) -> OmittedVariables | None:
    represented = represent(
        treated=problem.treated,
        outcome=problem.outcome,
        nuisances=nuisances,
        target=problem.target,
        weights=problem.weights,
    )
    if represented is None or not represented.scale > 0:
        return None
    return OmittedVariables(found.found["aipw"].estimate, represented, problem.treated, problem.clusters)
