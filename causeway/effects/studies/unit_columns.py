"""What a study knows of single units, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from causeway.effects.estimators.aipw import doubly_robust_scores
from causeway.effects.studies.study import Studied

NUMBERS_OF_THE_EFFECT = ("effect", "ci_low", "ci_high", "score", "treat")


def unit_columns(found: Studied) -> Mapping[str, Any] | None:
    """Columns of equal length, one value a unit; None where effects of units were not looked for.

    position: row of the frame. effect, ci_low, ci_high, extrapolated, treat: of the unit's effect, in units of the
    outcome. score: its doubly robust score. propensity, treated, outcome: what they were estimated from. Where the
    verdict withholds the number those of the effect are None as well.
    """
    arms, different, units = found.arms, found.heterogeneity, found.units
    if arms is None or different is None or units is None:
        return None
    problem = arms.problem
    scores = [doubly_robust_scores(problem.outcome, problem.treated, each) for each in arms.nuisances]
    columns: dict[str, Any] = {
        "position": units.positions,
        **different.unit_columns(),
        "score": np.mean(scores, axis=0),
        "propensity": np.mean([each.propensity for each in arms.nuisances], axis=0),
        "treated": problem.treated,
        "outcome": problem.outcome,
    }
    if found.answer.verdict == "withheld":
        columns |= {name: [None] * problem.n for name in NUMBERS_OF_THE_EFFECT}
    return columns
