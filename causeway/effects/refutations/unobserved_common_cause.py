"""Would a confounder as strong as the strongest observed one, were there one unobserved, undo the finding?"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from causeway.effects.influence import Array
from causeway.effects.problem import Computing, Problem
from causeway.effects.refutations.baseline import Baseline
from causeway.effects.refutations.estimators import Estimator
from causeway.effects.refutations.instrumented import InstrumentProblem
from causeway.effects.refutations.refutation import Refutation
from causeway.effects.refutations.repeating import repeat
from causeway.effects.sensitivity.observed_strengths import observed_strengths
from causeway.effects.sensitivity.simulated_confounder import refute_with_confounder, simulate_confounder
from causeway.effects.sensitivity.strength import Strength

NAME = "simulated_confounder"
# One that explains all that is left of the outcome leaves nothing to estimate with.
STRONGEST = 0.99


def unobserved_common_cause(
    problem: Problem,
    estimator: Estimator,
    base: Baseline,
    *,
    method: str,
    significant: bool,
    stream: np.random.SeedSequence,
    computing: Computing,
) -> Refutation | None:
    """A confounder of the strength of the strongest observed one is made up and adjusted for.

    A problem is an effect of zero or of the other sign. Has no p-value: a confounder is not found, but how little of it
    would do. None where nothing confounds: a known design, an instrument, a method that adjusts for nothing, no
    covariate to compare with. An effect that is not `significant` has nothing to be undone.
    """
    designed = problem.known_propensity is not None or problem.blocks is not None
    if designed or isinstance(problem, InstrumentProblem) or not estimator.adjusts or not problem.columns:
        return None
    if not significant:
        detail = "the interval holds zero already: there is no finding that a confounder could undo"
        return Refutation(NAME, method, None, None, False, detail)
    marks = observed_strengths(problem.outcome, problem.treated, problem.x, problem.columns, weights=problem.weights)
    child = stream.spawn(1)[0]
    failures: list[str] = []

    def adjusted(x: Array) -> float:
        columns = (*problem.columns, "confounder")
        # The same stream for every column, so that only the column differs.
        again = np.random.SeedSequence(child.entropy, spawn_key=child.spawn_key)
        found = repeat(estimator, [lambda generator: replace(problem, x=x, columns=columns)], again, computing)
        if found.reason is not None:
            failures.append(found.reason)
            return math.nan
        return found.estimates[0].effect

    def re_estimate(strength: Strength) -> float:
        simulated = simulate_confounder(
            treated=problem.treated,
            outcome=problem.outcome,
            x=problem.x,
            effect=base.effect,
            re_estimate=adjusted,
            outcome_strengths=[min(strength.outcome, STRONGEST)],
            treatment_strengths=[strength.treatment],
            seed=int(stream.generate_state(1)[0]),
        )
        if simulated.status != "ok" or simulated.effects[0][0] is None:
            failures.append(simulated.status)
            return math.nan
        return simulated.effects[0][0]

    try:
        found = refute_with_confounder(method=method, effect=base.effect, benchmarks=marks, re_estimate=re_estimate)
    except (ValueError, ArithmeticError) as impossible:
        return Refutation.impossible(NAME, method, str(impossible))
    if found.problem_found is None and failures:
        return Refutation.impossible(NAME, method, f"{found.detail}: {failures[0]}")
    return found
