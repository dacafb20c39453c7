"""The report of an experiment from what is served about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from api.decisions.models import RecordedDecision
from api.experiments.models import Experiment, ExperimentResults, HealthCheck, Look, Result
from causeway.report.experiment_report import (
    ExperimentReport,
    ReportArm,
    ReportDecision,
    ReportEffect,
    ReportGate,
    ReportLook,
    ReportLooks,
    ReportMetric,
    ReportPosterior,
    ReportProvenance,
    ReportResult,
)


def report_of(
    experiment: Experiment,
    served: ExperimentResults,
    declared: Mapping[str, Mapping[str, Any]],
    looks: Sequence[Look] = (),
    decided: RecordedDecision | None = None,
) -> ExperimentReport:
    """What is known of an experiment as a report; ``declared`` are the metrics that it uses by name, ``decided`` is the
    newest decision that somebody took.

    The two are read one after the other; should a publication fall between them, the report is withheld if either says
    so.
    """
    metrics = [_metric(metric, declared) for metric in experiment.metrics]
    return ExperimentReport(
        experiment=experiment.experiment,
        tenant=served.tenant,
        name=experiment.name,
        hypothesis=experiment.hypothesis,
        owner=experiment.owner,
        unit=experiment.unit,
        status=experiment.status,
        version=experiment.version,
        starts_on=experiment.starts_on,
        ends_on=experiment.ends_on,
        arms=_arms(experiment, served.health.get("srm")),
        metrics=tuple(sorted(metrics, key=lambda metric: metric.role != "primary")),
        decision=_on_record(_decision(experiment, served), decided),
        gates=tuple(
            ReportGate(name, check.passed, check.blocking, check.detail or "", check.p_value)
            for name, check in served.health.items()
        ),
        results=tuple(_result(result) for result in served.results),
        looks=tuple(_looks(looks, served.results)),
        posteriors=tuple(_posterior(result) for result in served.results if _has_posterior(result)),
        multiple_testing=_family(experiment),
        provenance=ReportProvenance(
            computed_at=experiment.computed_at,
            declaration_hash=experiment.declaration_hash,
            snapshot_id=served.snapshot_id,
        ),
    )


def _metric(used: Mapping[str, Any], declared: Mapping[str, Mapping[str, Any]]) -> ReportMetric:
    """A metric with its own definition, or with that of the declared one that it names."""
    name = used.get("metric")
    definition = used if name is None else declared[name]
    return ReportMetric(
        used["key"],
        definition["type"],
        used.get("role", "secondary"),
        definition.get("direction", "increase"),
        non_inferiority_margin=definition.get("non_inferiority_margin"),
        minimum_effect=definition.get("min_effect"),
    )


def _arms(experiment: Experiment, srm: HealthCheck | None) -> tuple[ReportArm, ...]:
    """The control first; the units are those that the sample ratio test saw."""
    observed = srm.observed if srm is not None and isinstance(srm.observed, dict) else {}
    units = observed.get("units", observed)
    weights = sorted(experiment.variants.items(), key=lambda arm: arm[0] != experiment.control)
    return tuple(
        ReportArm(
            variant,
            weight,
            seen if isinstance(seen := units.get(variant), int) else None,
            variant == experiment.control,
        )
        for variant, weight in weights
    )


def _decision(experiment: Experiment, served: ExperimentResults) -> ReportDecision:
    reasons = tuple(str(reason) for reason in experiment.decision_reasons)
    if served.gates.passed is False or experiment.gates_passed is False:
        return ReportDecision("withheld", None, tuple(str(reason) for reason in served.reasons) or reasons)
    treated = [variant for variant in experiment.variants if variant != experiment.control]
    match experiment.decision:
        case "ship":
            return ReportDecision("ship", treated[0] if len(treated) == 1 else None, reasons)
        case "stop" | "continue" | "withheld" as decision:
            return ReportDecision(decision, None, reasons)
        case _:
            return ReportDecision()


def _looks(looks: Sequence[Look], results: Sequence[Result]) -> Iterator[ReportLooks]:
    """The looks at each effect, with the headline's method beside the last one where that may be read as it is."""
    judged = {(each.metric, each.variant): each for each in results if each.is_headline}
    for (metric, variant), days in groupby(looks, key=lambda look: (look.metric, look.variant)):
        of_pair = list(days)
        headline, last = judged.get((metric, variant)), of_pair[-1]
        yield ReportLooks(
            metric,
            variant,
            last.control,
            last.interval,
            tuple(ReportLook(look.day, _effect(look)) for look in of_pair),
            fixed_method=headline.method if headline is not None and headline.interval == "fixed_horizon" else None,
            confidence=1 - (last.alpha or 0.05),
        )


def _has_posterior(result: Result) -> bool:
    return result.is_headline and result.chance_to_beat is not None


def _posterior(result: Result) -> ReportPosterior:
    return ReportPosterior(result.metric, result.variant, "ok", result.chance_to_beat, result.expected_loss)


def _family(experiment: Experiment) -> str:
    """How p-values are adjusted, in words."""
    correction = str(experiment.declaration.get("analysis", {}).get("correction", "holm")).replace("_", "-")
    if correction == "none":
        return "not adjusted for the number of metrics and variants, as declared"
    return f"{correction} over the primary and secondary metrics and the variants"


def _on_record(recommended: ReportDecision, decided: RecordedDecision | None) -> ReportDecision:
    """What somebody decided, beside what the rule says now. What is withheld stays so, whoever decided before."""
    if decided is None:
        return recommended
    reasons = recommended.reasons
    if recommended.decision not in (decided.decision, "withheld", None):
        said = " ".join(filter(None, (recommended.decision, recommended.variant)))
        reasons = (f"The declared rule says: {said}.", *reasons)
    is_withheld = recommended.decision == "withheld"
    return ReportDecision(
        "withheld" if is_withheld else decided.decision,
        None if is_withheld else decided.variant,
        reasons,
        decided.decided_at,
        decided.actor,
        decided.reason if decided.is_override else None,
    )


def _effect(row: Result | Look) -> ReportEffect:
    """The numbers of a row that is ok, and the counts of any other."""
    numbers = {
        name: getattr(row, name)
        for name in (
            "mean", "mean_control", "effect", "ci_low", "ci_high", "p_value", "relative_effect",
            "relative_ci_low", "relative_ci_high",
        )
    }  # fmt: skip
    return ReportEffect(row.status, row.n or 0, row.n_control or 0, **(numbers if row.status == "ok" else {}))


def _result(result: Result) -> ReportResult:
    alpha = result.settings.get("alpha")
    return ReportResult(
        result.metric,
        result.variant,
        result.control,
        result.method,
        _effect(result),
        result.segment,
        adjusted_p_value=result.adjusted_p_value,
        confidence=1 - alpha if isinstance(alpha, float) else 0.95,
        reasons=tuple(str(reason) for reason in result.reasons),
        provenance_id=result.provenance_id,
        interval=result.interval,
        is_headline=result.is_headline,
    )
