"""A declared study, answered: identified, estimated in several ways, put to the test, and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from causeway.declarations.study import StudyDeclaration
from causeway.effects.graph.identification import Identification
from causeway.effects.heterogeneity.study import Heterogeneity
from causeway.effects.influence import Array
from causeway.effects.nuisances import TooFewToSplit
from causeway.effects.problem import ALONE, Computing
from causeway.effects.refutations import Refutation
from causeway.effects.refutations.suite import refute
from causeway.effects.studies import judging
from causeway.effects.studies.answer import Estimand, MethodEstimate, StudyAnswer
from causeway.effects.studies.by_front_door import METHOD as FRONT_DOOR
from causeway.effects.studies.by_front_door import estimate_by_front_door
from causeway.effects.studies.heterogeneity_of import heterogeneity_of
from causeway.effects.studies.identifying import (
    graph_document,
    identified,
    is_randomised,
    judge_identification,
    judge_post_treatment,
)
from causeway.effects.studies.judging_data import judge_blocks, judge_data
from causeway.effects.studies.on_a_scale import LINEAR, Slopes, estimate_slopes
from causeway.effects.studies.put_to_the_test import problem_on_a_scale, sensitivity_of_slope, tested
from causeway.effects.studies.sensitivity_of import sensitivity_of
from causeway.effects.studies.two_arms import Shared, TwoArms, estimate_two_arms, is_designed, problem_of
from causeway.effects.studies.units import Refusal, StudyUnits, read_units
from causeway.effects.studies.verdict import Judged, verdict_of
from causeway.effects.studies.with_instruments import Instrumented, estimate_with_instruments, judge_agreement
from causeway.effects.studies.wording import estimand_in_words
from causeway.twins.learners import one_thread

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class Studied:
    """The answer, and what is known of single units where effects of units were asked for."""

    answer: StudyAnswer
    units: StudyUnits | None = None
    arms: TwoArms | None = None
    heterogeneity: Heterogeneity | None = None


def answer_study(
    frame: pl.DataFrame | pd.DataFrame,
    study: StudyDeclaration,
    *,
    seed: int = 0,
    computing: Computing = ALONE,
    in_full: bool = True,
) -> Studied:
    """Answer a declared study from a frame with one row a unit, which is not changed.

    What cannot be answered is an answer with verdict "withheld" and its reasons; nothing that data can be raises.
    in_full: whether to try to break the estimate, to look for effects of units, and to ask DoWhy as well.
    """
    units = read_units(frame, study)
    if isinstance(units, Refusal):
        return Studied(refused(study, units))
    return answer_units(study, units, seed=seed, computing=computing, in_full=in_full)


def answer_units(
    study: StudyDeclaration,
    units: StudyUnits,
    *,
    seed: int,
    computing: Computing,
    in_full: bool = True,
    shared: Shared | None = None,
) -> Studied:
    """The same from units that were read; shared: what is known of them from other questions."""
    # Sums over threads differ in their last bit with their number.
    with one_thread():
        return _answer(study, units, seed=seed, computing=computing, in_full=in_full, shared=shared)


def _answer(
    study: StudyDeclaration,
    units: StudyUnits,
    *,
    seed: int,
    computing: Computing,
    in_full: bool,
    shared: Shared | None,
) -> Studied:
    identification = identified(study, ask_dowhy=in_full)
    judged = [
        judge_identification(study, identification, units),
        *judging.judge_left_out(study.rules, units.left_out, units.n, is_designed=is_randomised(study)),
        *judge_data(units, units.confounders.only(identification.adjustment_set)),
        *judge_post_treatment(study, identification, units),
    ]
    base = _Base(study, units, identification, judged, seed, computing)
    uses_instruments = bool(units.instruments.shape[1]) and identification.by == "instrument"
    if not identification.identified:
        return Studied(base.answer((), None, {}, target=study.target), units)
    try:
        if uses_instruments:
            return Studied(base.with_instruments(in_full), units)
        if identification.by == "front_door" and units.treated is not None:
            return Studied(base.by_front_door(), units)
        if units.treated is None:
            return Studied(base.on_a_scale(in_full), units)
        return base.two_arms(in_full, shared)
    except TooFewToSplit as problem:
        return Studied(refused(study, Refusal("too_few_units", str(problem), units.n, units.left_out)), units)


def refused(study: StudyDeclaration, refusal: Refusal, *, outcome: str | None = None) -> StudyAnswer:
    """What is said where the data cannot answer."""
    name = outcome or study.outcome.column
    words = estimand_in_words(study, name, "slope" if study.treatment.values is None else study.target)
    row = MethodEstimate("aipw", study.target, words, refusal.status, refusal.n, reason=refusal.reason)
    judged = (Judged("data", "withhold", None, None, refusal.reason),)
    return StudyAnswer(
        outcome=name,
        verdict="withheld",
        reasons=(refusal.reason,),
        estimand=Estimand(study.target, words, False),
        estimates=(row,),
        headline=None,
        n=refusal.n,
        n_left_out=refusal.left_out.n,
        left_out=dict(refusal.left_out.rows),
        judged=judged,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Base:
    """What every kind of study begins with."""

    study: StudyDeclaration
    units: StudyUnits
    identification: Identification
    judged: list[Judged]
    seed: int
    computing: Computing

    def answer(
        self,
        rows: Sequence[MethodEstimate],
        headline: str | None,
        diagnostics: Mapping[str, Any],
        *,
        target: str,
        judged: Sequence[Judged] = (),
        **parts: Any,
    ) -> StudyAnswer:
        study, units, found = self.study, self.units, self.identification
        everything = [*self.judged, *judged]
        chosen = next((row for row in rows if row.method == headline), None)
        if headline is not None and (chosen is None or chosen.status != "ok"):
            why = "there is no estimate" if chosen is None else chosen.reason or chosen.status
            everything.append(Judged("data", "withhold", None, None, f"{headline} gives no number: {why}"))
        verdict, reasons = verdict_of(everything)
        words = chosen.estimand if chosen else estimand_in_words(study, study.outcome.column, target)
        return StudyAnswer(
            outcome=study.outcome.column,
            verdict=verdict,
            reasons=reasons,
            estimand=Estimand(study.target, words, found.identified, found.adjustment_set, found.by),
            estimates=tuple(rows),
            headline=headline,
            n=units.n,
            n_left_out=units.left_out.n,
            left_out=dict(units.left_out.rows),
            judged=tuple(everything),
            diagnostics={
                **dict.fromkeys(("overlap", "balance", "negative_controls", "instrument", "nuisance")),
                **diagnostics,
                "graph": graph_document(found),
                "data": _data(units),
            },
            **parts,
        ).served()

    def with_instruments(self, in_full: bool) -> StudyAnswer:
        study, units = self.study, self.units
        covariates = units.confounders.only(self.identification.adjustment_set).independent()
        found = self._instrumented(covariates.values)
        rows = list(found.rows)
        if units.treated is None:
            rows += [row for row in self._slopes(covariates.values).rows if row.method == LINEAR]
        problem = problem_on_a_scale(
            units, covariates.values, covariates.columns,
            instruments=units.instruments, seed=self.seed, computing=self.computing,
        )  # fmt: skip
        refutations, controls = tested(
            study, units, problem, method=found.headline, found=found.found, seed=self.seed, in_full=in_full
        )
        judged = [*found.judged, *self._judged_tests(refutations, controls)]
        diagnostics = {"instrument": found.diagnostics, "negative_controls": controls}
        return self.answer(rows, found.headline, diagnostics, target="LATE", judged=judged, refutations=refutations)

    def _instrumented(self, x: Array) -> Instrumented:
        outcome = self.study.outcome.column
        return estimate_with_instruments(
            self.study, self.units, x, outcome=outcome, seed=self.seed, computing=self.computing
        )

    def _slopes(self, x: Array) -> Slopes:
        outcome = self.study.outcome.column
        return estimate_slopes(self.study, self.units, x, outcome=outcome, seed=self.seed, computing=self.computing)

    def _judged_tests(
        self, refutations: Sequence[Refutation], controls: Sequence[Mapping[str, object]]
    ) -> list[Judged]:
        rules = self.study.rules
        judged = [judging.judge_negative_controls(rules, controls)] if controls else []
        return [*judged, *(judging.judge_refutations(rules, refutations) if refutations else ())]

    def by_front_door(self) -> StudyAnswer:
        row = estimate_by_front_door(self.study, self.units, self.identification, seed=self.seed)
        return self.answer((row,), FRONT_DOOR, {}, target="ATE")

    def on_a_scale(self, in_full: bool) -> StudyAnswer:
        study, units = self.study, self.units
        covariates = units.confounders.only(self.identification.adjustment_set).independent()
        slopes = self._slopes(covariates.values)
        over = slopes.over
        problem = problem_on_a_scale(
            units, covariates.values, covariates.columns, instruments=None, seed=self.seed, computing=self.computing
        )
        refutations, controls = tested(
            study, units, problem, method=slopes.headline, found=slopes.found, seed=self.seed, in_full=in_full
        )
        splits = len(over.effects) if over else 0
        judged = [
            judging.judge_instability(study.rules, over.spread if over else None, splits),
            *self._judged_tests(refutations, controls),
            *([] if covariates.columns else [_nothing_adjusted()]),
        ]
        return self.answer(
            slopes.rows,
            slopes.headline,
            {"nuisance": slopes.nuisance, "negative_controls": controls},
            target="slope",
            judged=judged,
            refutations=refutations,
            sensitivity=sensitivity_of_slope(units, slopes, slopes.rows[0]),
        )

    def two_arms(self, in_full: bool, shared: Shared | None) -> Studied:
        study, units = self.study, self.units
        assert units.treated is not None
        problem = problem_of(study, units, self.identification, seed=self.seed, computing=self.computing)
        if float(np.linalg.norm(_left_of(problem.treated, problem.x))) < 1e-5 * np.sqrt(problem.n):
            detail = "the treatment is a function of the confounders: no unit has a counterpart"
            if problem.x.shape[1] >= problem.n - 1:
                detail = f"{problem.n} units are too few to tell {len(self.units.confounders.columns)} columns apart"
            judged = [Judged("overlap", "withhold", 1.0, study.rules.overlap.withhold, detail)]
            return Studied(self.answer((), None, {}, target=study.target, judged=judged), units)
        found = estimate_two_arms(study, units, problem, shared=shared)
        chosen = next(row for row in found.estimates if row.method == found.headline)
        judged = [
            *found.judged,
            judging.judge_clusters(study.rules, units.treated, units.clusters, self._columns()),
            *([] if found.problem.columns or is_designed(found.problem) else [_nothing_adjusted()]),
            *judge_blocks(study.rules, units.treated, units.blocks),
        ]
        refutations: tuple[Refutation, ...] = ()
        if in_full and chosen.status == "ok":
            refutations = refute(
                found.problem, found.nuisances, method=found.headline, found=found.found[found.headline], seed=self.seed
            )
            judged += list(judging.judge_refutations(study.rules, refutations))
        different = heterogeneity_of(study, units, found, seed=self.seed) if in_full and chosen.status == "ok" else None
        rows, diagnostics = list(found.estimates), dict(found.diagnostics)
        if units.instruments.shape[1]:
            # Confounders identify what is asked for; what the instruments say stands beside it.
            moved = self._instrumented(found.problem.x)
            rows, diagnostics["instrument"] = [*rows, *moved.rows], moved.diagnostics
            judged += judge_agreement(moved.diagnostics)
        answer = self.answer(
            rows,
            found.headline,
            diagnostics,
            target=study.target,
            judged=judged,
            refutations=refutations,
            sensitivity=sensitivity_of(found, chosen),
            heterogeneity={} if different is None else different.as_document(),
        )
        return Studied(answer, units, found, different)

    def _columns(self) -> dict[str, pl.Series]:
        """The columns that could show groups: covariates as they were declared, and segments."""
        covariates = self.units.confounders
        found = {
            name: pl.Series(name, covariates.values[:, position])
            for position, (name, owner) in enumerate(zip(covariates.columns, covariates.owners, strict=True))
            if name == owner
        }
        return found | dict(self.units.others)


def _nothing_adjusted() -> Judged:
    detail = "nothing was adjusted for: the estimate is the difference as it is, an effect only of a random treatment"
    return Judged("identification", "caution", None, None, detail)


def _left_of(treated: np.ndarray[Any, Any], x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What a linear function of x leaves of the treatment."""
    design = np.column_stack([np.ones(len(treated)), x])
    q = np.linalg.qr(design)[0]
    t = treated.astype(np.float64)
    return np.asarray(t - q @ (q.T @ t))


def _data(units: StudyUnits) -> dict[str, Any]:
    return {
        "constant": list(units.confounders.constant),
        "folded_levels": dict(units.confounders.folded or {}),
        "clusters": None if units.clusters is None else len(np.unique(units.clusters)),
        "blocks": None if units.blocks is None else len(np.unique(units.blocks)),
    }
