"""What the data leave to be doubted before anything is estimated: few units, rare outcomes, levels and blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from causeway.declarations.study_rules import StudyRules
from causeway.effects.influence import Flags, Labels
from causeway.effects.studies.encoding import Covariates
from causeway.effects.studies.units import StudyUnits
from causeway.effects.studies.verdict import Judged, graded

FEW_IN_AN_ARM = 20
FEW_CLUSTERS = 10
RARE = 10
"""Units whose outcome is another than the most common one: below, intervals for large numbers are rough."""
MANY_FOLDED = 0.2
"""Share of the units in levels that are adjusted for as one, above which there is too little left of a column."""
MOST_LOST = 0.5


def judge_data(units: StudyUnits, covariates: Covariates) -> Iterator[Judged]:
    """A judgement for each doubt. covariates: those that are adjusted for."""
    if units.treated is not None:
        arms = {"treated": int(units.treated.sum()), "control": int((~units.treated).sum())}
        name = min(arms, key=lambda arm: arms[arm])
        if arms[name] < FEW_IN_AN_ARM:
            detail = f"only {arms[name]} {name} units: intervals that hold for large numbers are rough for so few"
            yield Judged("data", "caution", float(arms[name]), float(FEW_IN_AN_ARM), detail)
    counts = np.unique(units.outcome, return_counts=True)[1]
    rare = units.n - int(counts.max())
    if rare < RARE:
        detail = f"only {rare} of {units.n:,} units have another outcome than the most common one"
        yield Judged("data", "caution", float(rare), float(RARE), detail)
    clusters = 0 if units.clusters is None else len(np.unique(units.clusters))
    if 0 < clusters < FEW_CLUSTERS:
        detail = f"only {clusters} clusters: intervals that hold for many are rough for so few"
        yield Judged("data", "caution", float(clusters), float(FEW_CLUSTERS), detail)
    for name, share in (covariates.share_folded or {}).items():
        if share > MANY_FOLDED:
            how = "not adjusted for" if name in covariates.constant else "adjusted for as one"
            detail = (
                f"{name}: {share:.0%} of the units have a level too rare to be adjusted for by itself, and are {how}"
            )
            yield Judged("data", "caution", share, MANY_FOLDED, detail)


def judge_blocks(rules: StudyRules, treated: Flags, blocks: Labels | None) -> Iterator[Judged]:
    """Units in blocks with one arm only, who have nobody to be compared with."""
    if blocks is None:
        return
    index = np.unique(blocks, return_inverse=True)[1]
    share_treated = (np.bincount(index, weights=treated) / np.bincount(index))[index]
    alone = (share_treated == 0) | (share_treated == 1)
    share = float(alone.mean())
    severity = graded(share, rules.overlap.caution, MOST_LOST)
    if severity != "fine":
        detail = (
            f"{int(alone.sum()):,} of {len(alone):,} units are in blocks with one arm only: the effect is of the others"
        )
        yield Judged("overlap", severity, share, rules.overlap.caution, detail)
