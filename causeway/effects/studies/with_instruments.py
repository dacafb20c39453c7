"""A study whose treatment is moved by instruments: two-stage least squares, the local average effect, strength."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from causeway.declarations.study import StudyDeclaration
from causeway.declarations.study_rules import StudyRules
from causeway.effects.influence import Array, Flags, Linearised
from causeway.effects.instruments.confidence_set import ConfidenceSet
from causeway.effects.instruments.learnt import learnt_local_average_effect
from causeway.effects.instruments.local_average import LocalAverageEffect
from causeway.effects.instruments.two_stage_least_squares import TwoStageLeastSquares, two_stage_least_squares
from causeway.effects.nuisances import TooFewToSplit
from causeway.effects.problem import Computing
from causeway.effects.studies.answer import MethodEstimate
from causeway.effects.studies.two_arms import row_of
from causeway.effects.studies.units import StudyUnits
from causeway.effects.studies.verdict import Judged, graded
from causeway.effects.studies.wording import estimand_in_words

TWO_STAGE = "2sls"
LOCAL = "late"


@dataclass(frozen=True, slots=True, eq=False)
class Instrumented:
    """Rows, the headline among them, the record of the instruments, and what the rules say of them.

    found: the headline's estimate, None where there is none.
    """

    rows: tuple[MethodEstimate, ...]
    headline: str
    found: Linearised | None
    diagnostics: dict[str, Any]
    judged: tuple[Judged, ...]


def estimate_with_instruments(
    study: StudyDeclaration, units: StudyUnits, x: Array, *, outcome: str, seed: int, computing: Computing
) -> Instrumented:
    """Two-stage least squares with every instrument; of two arms and one two-valued instrument also the LATE."""
    two_stage = two_stage_least_squares(
        units.outcome, units.treatment, units.instruments, x, weights=units.weights, clusters=units.clusters
    )
    rows = [_row_of_two_stage(study, outcome, two_stage)]
    record: dict[str, Any] = {"two_stage_least_squares": _record(two_stage)}
    headline, found, strength = TWO_STAGE, two_stage.effect, _effective_f(two_stage)
    instrument = _two_valued(units.instruments)
    if units.treated is not None and instrument is not None:
        local = _local(units, units.treated, instrument, x, seed=seed, computing=computing)
        if local is not None:
            rows.append(_row_of_local(study, outcome, local))
            record["local_average_effect"] = _record_of_local(local)
            if local.status == "ok" and x.shape[1]:
                headline, found = LOCAL, local.effect
                # Where everybody does what the instrument says, there is nothing to be weak.
                strength = math.inf if local.first_stage_f is None else local.first_stage_f
    judged = (_judge_strength(study.rules, two_stage, strength), *_judge_exclusion(two_stage))
    return Instrumented(tuple(rows), headline, found, record, judged)


def _row_of_two_stage(study: StudyDeclaration, outcome: str, found: TwoStageLeastSquares) -> MethodEstimate:
    target = "LATE"
    if found.effect is None or found.inference is None:
        words = estimand_in_words(study, outcome, target)
        return MethodEstimate(TWO_STAGE, target, words, found.status, found.units, reason=found.reason)
    return row_of(
        study, outcome, TWO_STAGE, target,
        n=found.units, effect=found.effect.effect, inference=found.inference,
        std_error_classical=found.std_error_classical, robust_set=_set(found.robust_set),
    )  # fmt: skip


def _row_of_local(study: StudyDeclaration, outcome: str, found: LocalAverageEffect) -> MethodEstimate:
    if found.effect is None or found.inference is None:
        words = estimand_in_words(study, outcome, "LATE")
        return MethodEstimate(LOCAL, "LATE", words, found.status, found.units, reason=found.reason)
    return row_of(
        study, outcome, LOCAL, "LATE",
        n=found.units, effect=found.effect.effect, inference=found.inference,
        share_of_compliers=found.share_of_compliers, robust_set=_set(found.robust_set),
    )  # fmt: skip


def _local(
    units: StudyUnits, treated: Flags, instrument: Flags, x: Array, *, seed: int, computing: Computing
) -> LocalAverageEffect | None:
    """None where nothing can be learnt of an arm of the instrument: it is too small."""
    if min(int(instrument.sum()), int((~instrument).sum())) < 2:
        return None
    try:
        return learnt_local_average_effect(
            units.outcome, treated, instrument, x,
            weights=units.weights, clusters=units.clusters, seed=seed,
            n_jobs=computing.n_jobs, backend=computing.backend,
        )  # fmt: skip
    except TooFewToSplit:
        return None


def _two_valued(instruments: Array) -> Flags | None:
    if instruments.shape[1] != 1:
        return None
    values = np.unique(instruments[:, 0])
    return instruments[:, 0] == values[1] if len(values) == 2 else None


def _effective_f(found: TwoStageLeastSquares) -> float | None:
    stage = found.first_stage
    if stage is None:
        return None
    return math.inf if stage.strength == "perfect" else stage.f_effective


def _judge_strength(rules: StudyRules, found: TwoStageLeastSquares, strength: float | None) -> Judged:
    rule = rules.weak_instrument
    if strength is None:
        detail = f"the instruments' strength is not known: {found.reason or found.status}"
        return Judged("weak_instrument", "withhold", None, rule.caution, detail)
    severity = graded(strength, rule.caution, rule.withhold, above=False)
    words = found.first_stage.in_words if found.first_stage is not None else ""
    detail = words if severity == "fine" else f"weak instrument: F = {strength:.1f}, below {rule.caution:g}; {words}"
    plain = detail
    if severity == "caution" and found.robust_set is not None:
        detail += f"; what holds for weak instruments too: {found.robust_set.in_words}"
    observed = strength if math.isfinite(strength) else None
    return Judged("weak_instrument", severity, observed, rule.caution, detail, plain)


def _judge_exclusion(found: TwoStageLeastSquares) -> tuple[Judged, ...]:
    test = found.overidentification
    if test is None or test.p_value is None or test.p_value >= 0.05:
        return ()
    detail = f"the instruments contradict each other (Hansen's J, p = {test.p_value:.2g}): one of them is not valid"
    return (Judged("weak_instrument", "caution", test.p_value, 0.05, detail),)


def judge_agreement(diagnostics: Mapping[str, Any]) -> list[Judged]:
    """Where confounders identify the effect and instruments are declared too: do both say the same (Durbin, Wu and
    Hausman, robust)?
    """
    test = diagnostics["two_stage_least_squares"].get("endogeneity") or {}
    p_value = test.get("p_value")
    if p_value is None or p_value >= 0.05:
        return []
    detail = (
        f"the instruments contradict the adjustment (p = {p_value:.2g}): something unmeasured confounds, or the effect"
        " is another on those whom the instruments move"
    )
    return [Judged("identification", "caution", p_value, 0.05, detail)]


def _set(found: ConfidenceSet | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"kind": found.kind, "pieces": [list(piece) for piece in found.pieces], "in_words": found.in_words}


def _record(found: TwoStageLeastSquares) -> dict[str, Any]:
    return {
        "status": found.status,
        "reason": found.reason,
        "least_squares": found.least_squares,
        "first_stage": None if found.first_stage is None else asdict(found.first_stage),
        "robust_set": _set(found.robust_set),
        "overidentification": None if found.overidentification is None else asdict(found.overidentification),
        "endogeneity": None if found.endogeneity is None else asdict(found.endogeneity),
    }


def _record_of_local(found: LocalAverageEffect) -> dict[str, Any]:
    return {
        "status": found.status,
        "reason": found.reason,
        "share_of_compliers": found.share_of_compliers,
        "noncompliance": found.noncompliance,
        "in_words": found.in_words,
        "first_stage_f": found.first_stage_f,
        "robust_set": _set(found.robust_set),
    }
