"""How the effect differs between the units of a study of two arms, where its declaration asks for that."""

from __future__ import annotations

import numpy as np
import polars as pl

from causeway.declarations.study import StudyDeclaration
from causeway.effects.heterogeneity.policy import Budget
from causeway.effects.heterogeneity.study import Heterogeneity, heterogeneity
from causeway.effects.studies.two_arms import TwoArms
from causeway.effects.studies.units import StudyUnits

MISSING = "(missing)"


def heterogeneity_of(study: StudyDeclaration, units: StudyUnits, found: TwoArms, *, seed: int) -> Heterogeneity | None:
    """By the declared modifiers and segments, with the declared policy; None where none of them is declared."""
    if not study.effect_modifiers and not study.segments and study.policy is None:
        return None
    problem, modifiers = found.problem, units.modifiers.independent()
    return heterogeneity(
        problem.outcome,
        problem.treated,
        modifiers.values,
        modifiers.columns,
        found.nuisances,
        weights=problem.weights,
        clusters=problem.clusters,
        segments={name: units.others[name].cast(pl.String).fill_null(MISSING).to_numpy() for name in study.segments},
        budget=_budget(study, units),
        seed=seed,
        n_jobs=problem.computing.n_jobs,
        backend=problem.computing.backend,
    )


def _budget(study: StudyDeclaration, units: StudyUnits) -> Budget | None:
    policy = study.policy
    if policy is None:
        return None
    if isinstance(policy.cost, str):
        cost = units.others[policy.cost].cast(pl.Float64)
        # A unit whose cost is not known is taken to cost what the dearest does: it is treated last.
        dearest = cost.max()
        filled = cost.fill_null(float(dearest) if isinstance(dearest, int | float) else 0.0).to_numpy()
        return Budget(share=policy.budget, cost=filled.astype(np.float64), value=policy.value)
    return Budget(share=policy.budget, cost=float(policy.cost), value=policy.value)
