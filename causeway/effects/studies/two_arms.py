"""A study of two arms whose confounders were measured, or that were randomised: estimates, diagnostics, judgements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causeway.declarations.study import StudyDeclaration
from causeway.effects.balance import Balance, adjustment_weights, balance
from causeway.effects.common_support import CommonSupport, common_support
from causeway.effects.estimators.aipw import Average
from causeway.effects.estimators.average import METHODS, Estimated, Trimmed, aipw_among
from causeway.effects.estimators.difference import share_treated
from causeway.effects.estimators.matching import match
from causeway.effects.graph.identification import Identification
from causeway.effects.influence import Array, infer
from causeway.effects.nuisances import Nuisances
from causeway.effects.problem import Computing, Problem, usual_splits
from causeway.effects.studies import judging
from causeway.effects.studies.answer import MethodEstimate
from causeway.effects.studies.negative_controls import Anew, negative_controls
from causeway.effects.studies.units import StudyUnits
from causeway.effects.studies.verdict import Judged
from causeway.effects.studies.wording import estimand_in_words
from causeway.statistics.effect import Status

LARGEST_MATCHED = 50_000
"""Matching compares every unit with its neighbours: beyond, it takes longer than all else together."""
HISTOGRAM_BINS = 40
TRIMMED: dict[Average, Trimmed] = {"ATE": "ATE_trimmed", "ATT": "ATT_trimmed", "ATC": "ATC_trimmed"}


@dataclass(frozen=True, slots=True, eq=False)
class TwoArms:
    """The problem as it was estimated, with everything that refuters, sensitivity and heterogeneity start from."""

    problem: Problem
    nuisances: tuple[Nuisances, ...]
    estimates: tuple[MethodEstimate, ...]
    found: Mapping[str, Estimated]
    headline: str
    support: CommonSupport
    judged: tuple[Judged, ...]
    diagnostics: Mapping[str, Any]
    matched: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """What is known from other questions about the very same units: `nuisances` of this problem that were fitted with
    theirs, and records of `controls`, by name, which are filled as they are made.
    """

    nuisances: tuple[Nuisances, ...]
    controls: dict[str, dict[str, Any]] = field(default_factory=dict)


def problem_of(
    study: StudyDeclaration, units: StudyUnits, identification: Identification, *, seed: int, computing: Computing
) -> Problem:
    """The arrays of a declared question about two arms."""
    assert units.treated is not None
    covariates = units.confounders.only(identification.adjustment_set).independent()
    propensity = units.known_propensity
    if propensity is None and units.blocks is not None:
        propensity = share_treated(units.treated, units.blocks)
    target = "ATE" if study.target == "LATE" else study.target
    return Problem(
        units.outcome,
        units.treated,
        covariates.values,
        covariates.columns,
        target=target,
        weights=units.weights,
        clusters=units.clusters,
        blocks=units.blocks,
        known_propensity=propensity,
        seed=seed,
        splits=usual_splits(units.n),
        computing=computing,
    )


def is_designed(problem: Problem) -> bool:
    """Whether treatment was randomised in a way that is known."""
    return problem.known_propensity is not None or problem.blocks is not None


def estimate_two_arms(
    study: StudyDeclaration,
    units: StudyUnits,
    problem: Problem,
    *,
    shared: Shared | None = None,
    outcome: str | None = None,
) -> TwoArms:
    """All estimators that suit the problem, overlap, balance, negative controls, and what the rules say of them.

    shared: with questions about the same units. outcome: its name, if not the declared one.
    """
    name = outcome or study.outcome.column
    fitted = problem.nuisances() if shared is None else shared.nuisances
    propensity = np.mean([each.propensity for each in fitted], axis=0)
    support = common_support(propensity, problem.treated, problem.target)
    headline = _headline(problem)
    found = {method: METHODS[method](problem, fitted) for method in _methods(problem)}
    estimates = [_row(study, name, method, each, problem) for method, each in found.items()]
    estimates += _trimmed(study, name, problem, fitted, support)
    matching, matched = _matching(study, name, problem, propensity)
    estimates += matching
    of_arms = adjustment_weights(
        treated=problem.treated, propensity=propensity, target=problem.target, sampling_weights=problem.weights
    )
    before = balance(problem.x, problem.columns, problem.treated, sampling_weights=problem.weights)
    after = balance(problem.x, problem.columns, problem.treated, weights=of_arms, sampling_weights=problem.weights)
    rules, controls = study.rules, study.negative_controls
    negative = negative_controls(
        problem,
        units.others,
        outcomes=controls.outcomes,
        exposures=controls.exposures,
        estimator=Anew(headline),
        known={} if shared is None else shared.controls,
    )
    on_the_treated = common_support(propensity, problem.treated, "ATT")
    judged = [
        judging.judge_overlap(rules, support, problem.target, on_the_treated),
        judging.judge_balance(rules, after, problem),
        judging.judge_negative_controls(rules, negative),
        judging.judge_instability(rules, found[headline].spread, len(fitted)),
        judging.judge_extrapolation(rules, problem, fitted),
    ]
    return TwoArms(
        problem=problem,
        nuisances=fitted,
        estimates=tuple(estimates),
        found=found,
        headline=headline,
        support=support,
        judged=tuple(judged),
        diagnostics={
            "overlap": support.as_document() | {"histogram": _histogram(propensity, problem)},
            "balance": _balances(before, after),
            "negative_controls": negative,
            "instrument": None,
            "nuisance": fitted[0].chosen,
        },
        matched=matched,
    )


def _headline(problem: Problem) -> str:
    if problem.blocks is not None or (is_designed(problem) and not problem.columns):
        return "difference_in_means"
    return "aipw"


def _methods(problem: Problem) -> list[str]:
    if problem.columns:
        return list(METHODS)
    return ["aipw", "difference_in_means", *(["linear_regression"] if problem.blocks is not None else [])]


def _row(study: StudyDeclaration, outcome: str, method: str, found: Estimated, problem: Problem) -> MethodEstimate:
    rows = found.rows
    clusters = None if problem.clusters is None else problem.clusters[rows]
    estimate = replace(found.estimate, contributions=found.estimate.contributions[rows])
    inference = infer(estimate, problem.treated[rows], clusters=clusters, scale=problem.scale)
    settings: dict[str, Any] = {"df": inference.df, "clusters": inference.clusters}
    if found.effects:
        settings |= {"splits": list(found.effects), "spread": found.spread}
    target = found.target
    return row_of(
        study, outcome, method, target, n=int(rows.sum()), effect=estimate.effect, inference=inference, **settings
    )


def row_of(
    study: StudyDeclaration,
    outcome: str,
    method: str,
    target: str,
    *,
    n: int,
    effect: float,
    inference: Any,
    **settings: Any,
) -> MethodEstimate:
    """A method's row, without a number where the inference has none."""
    words = estimand_in_words(study, outcome, target)
    if inference.status != "ok":
        return MethodEstimate(method, target, words, inference.status, n, reason=_why(inference.status))
    return MethodEstimate(
        method=method,
        target=target,
        estimand=words,
        status="ok",
        n=n,
        effect=effect,
        std_error=inference.std_error,
        ci_low=inference.ci_low,
        ci_high=inference.ci_high,
        p_value=inference.p_value,
        settings={name: value for name, value in settings.items() if value is not None},
    )


def _why(status: Status) -> str:
    return {
        "too_few_units": "too few units, or clusters, in an arm",
        "zero_variance": "no variation of the outcome is left",
        "not_estimable": "the numbers leave no finite estimate or too few degrees of freedom",
    }.get(status, status)


def _trimmed(
    study: StudyDeclaration, outcome: str, problem: Problem, nuisances: Sequence[Nuisances], support: CommonSupport
) -> list[MethodEstimate]:
    """The effect on those who could have been in either arm, where that is not everybody."""
    kept = support.kept
    if kept.all() or min(int(problem.treated[kept].sum()), int((~problem.treated[kept]).sum())) < 10:
        return []
    some = problem.among(kept)
    found = aipw_among(problem, nuisances, kept)
    row = _row(study, outcome, "aipw_trimmed", replace(found, target=TRIMMED[problem.target]), some)
    share = float(kept.mean())
    words = f"{row.estimand} ({share:.1%} of all units are kept)"
    return [replace(row, estimand=words, settings={**row.settings, "share_kept": share})]


def _matching(
    study: StudyDeclaration, outcome: str, problem: Problem, propensity: Array
) -> tuple[list[MethodEstimate], Mapping[str, Any]]:
    if not problem.columns:
        return [], {}
    words = estimand_in_words(study, outcome, problem.target)
    if problem.n > LARGEST_MATCHED:
        reason = f"not tried above {LARGEST_MATCHED:,} units"
        return [MethodEstimate("matching", problem.target, words, "not_estimable", problem.n, reason=reason)], {}
    found = match(
        treated=problem.treated,
        outcome=problem.outcome,
        x=problem.x,
        target=problem.target,
        propensity=propensity,
        curved=True,
        weights=problem.weights,
        clusters=problem.clusters,
    )
    if found.found is None:
        return [
            MethodEstimate("matching", problem.target, words, found.status, problem.n, reason=_why(found.status))
        ], {}
    inference = infer(found.found, problem.treated, clusters=problem.clusters, scale=problem.scale)
    row = row_of(
        study,
        outcome,
        "matching",
        problem.target,
        n=problem.n,
        effect=found.found.effect,
        inference=inference,
        **found.settings,
    )
    return [row], {"weights": found.weights}


def _balances(before: Sequence[Balance], after: Sequence[Balance]) -> list[dict[str, Any]]:
    return [
        {"covariate": one.covariate, "smd_before": one.smd, "smd_after": other.smd}
        for one, other in zip(before, after, strict=True)
    ]


def _histogram(propensity: Array, problem: Problem) -> dict[str, list[float]]:
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    return {
        name: [float(count) for count in np.histogram(propensity[arm], edges)[0]]
        for name, arm in (("treated", problem.treated), ("control", ~problem.treated))
    }
