"""Whether a declared study's effect follows from its graph and its columns, and what is said of that."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from causeway.declarations.study import StudyDeclaration
from causeway.effects.graph.identification import Identification, identify
from causeway.effects.post_treatment import post_treatment_signs
from causeway.effects.studies.units import StudyUnits
from causeway.effects.studies.verdict import Judged, consequence


def identified(study: StudyDeclaration, *, ask_dowhy: bool = True) -> Identification:
    """By the declared graph, or the one that the lists of columns mean. A design identifies whatever was measured."""
    target = study.target
    if study.instruments and study.treatment.values is None:
        # A treatment on a scale with instruments: what they identify is a weighted average of slopes.
        target = "LATE"
    found = _identify_once(
        study.graph,
        treatment=study.treatment.column,
        outcome=study.outcome.column,
        measured=study.confounders,
        instruments=study.instruments,
        also_measured=study.effect_modifiers,
        target=target,
        ask_dowhy=ask_dowhy,
    )
    if is_randomised(study) and not found.identified and study.graph is None:
        return replace(found, identified=True, by="backdoor", adjustment_set=tuple(study.confounders))
    return found


# A study's segments all ask the same.
_identify_once = lru_cache(maxsize=256)(identify)


def is_randomised(study: StudyDeclaration) -> bool:
    return study.known_propensity is not None or study.blocks is not None


def judge_identification(study: StudyDeclaration, found: Identification, units: StudyUnits) -> Judged:
    if not found.identified:
        return Judged("identification", "withhold", None, None, f"the effect is not identified: {found.reason}")
    if found.by == "front_door":
        via = ", ".join(found.mediators)
        if units.treated is None or not set(found.mediators) <= set(study.confounders):
            detail = f"the effect is identified only by the front door through {via}: declare them as confounders"
            return Judged("identification", "withhold", None, None, detail)
        detail = f"identified only by the front door through {via}: they must carry all of the effect"
        return Judged("identification", "caution", None, None, detail)
    if found.by == "instrument" and not units.instruments.shape[1]:
        detail = "the effect is identified only by an instrument, and none is declared"
        return Judged("identification", "withhold", None, None, detail)
    if found.unknown:
        detail = f"declared, but not in the graph and so not adjusted for: {', '.join(found.unknown)}"
        return Judged("identification", "caution", None, None, detail)
    return Judged("identification", "fine", None, None, f"identified by {found.by}")


def judge_post_treatment(study: StudyDeclaration, found: Identification, units: StudyUnits) -> list[Judged]:
    judged = []
    if found.refused:
        names = ", ".join(found.refused)
        detail = f"by the graph a consequence of the treatment, refused as a confounder: {names}"
        judged.append(
            Judged("post_treatment", consequence(True, study.rules.post_treatment.by_graph), None, None, detail)
        )
    covariates = units.confounders.only(found.adjustment_set)
    if units.treated is not None and covariates.columns and study.known_propensity is None:
        signs = list(units.missing_by_arm)
        signs += post_treatment_signs(units.treated, covariates.values, covariates.columns, owners=covariates.owners)
        for sign in {sign.name: sign for sign in reversed(signs)}.values():
            severity = consequence(True, study.rules.post_treatment.by_look)
            judged.append(
                Judged(
                    "post_treatment",
                    severity,
                    None,
                    None,
                    f"{sign.name} looks like a consequence of the treatment: {sign.detail}",
                )
            )
    return judged or [
        Judged("post_treatment", "fine", None, None, "no confounder looks like a consequence of the treatment")
    ]


def graph_document(found: Identification) -> dict[str, Any]:
    return {
        "edges": [list(edge) for edge in found.edges],
        "adjusted": list(found.adjustment_set),
        "set_aside": list(found.set_aside),
        "refused": list(found.refused),
        "unmeasured": list(found.missing),
        "remarks": list(found.remarks),
        "confirmed_by_dowhy": found.confirmed_by_dowhy,
        "confirmation": found.confirmation,
    }
