"""A study whose confounders were not measured, and whose mediators were."""

from __future__ import annotations

from causeway.declarations.study import StudyDeclaration
from causeway.effects.estimators.front_door import fit_front_door_nuisances, front_door_effect
from causeway.effects.folds import deal_folds
from causeway.effects.graph.identification import Identification
from causeway.effects.influence import Inference
from causeway.effects.nuisances import usual_folds
from causeway.effects.studies.answer import MethodEstimate
from causeway.effects.studies.two_arms import row_of
from causeway.effects.studies.units import StudyUnits
from causeway.effects.studies.wording import estimand_in_words

METHOD = "front_door"


def estimate_by_front_door(
    study: StudyDeclaration, units: StudyUnits, identification: Identification, *, seed: int
) -> MethodEstimate:
    """One row, without a number where there is none."""
    assert units.treated is not None
    mediators = units.confounders.only(identification.mediators).independent()
    x = units.confounders.only(identification.adjustment_set).independent()
    words = estimand_in_words(study, study.outcome.column, "ATE")
    if not mediators.columns:
        reason = f"the mediators {', '.join(identification.mediators)} do not vary"
        return MethodEstimate(METHOD, "ATE", words, "not_estimable", units.n, reason=reason)
    folds = deal_folds(units.treated, usual_folds(units.n), seed, clusters=units.clusters)
    nuisances = fit_front_door_nuisances(
        units.outcome, units.treated, mediators.values, x.values, folds=folds, weights=units.weights
    )
    found = front_door_effect(units.outcome, units.treated, nuisances, weights=units.weights, clusters=units.clusters)
    if found.effect is None or found.inference is None:
        return MethodEstimate(METHOD, "ATE", words, found.status, units.n, reason=found.reason)
    inference: Inference = found.inference
    return row_of(
        study, study.outcome.column, METHOD, "ATE", n=units.n, effect=found.effect.effect, inference=inference,
        mediators=list(identification.mediators),
    )  # fmt: skip
