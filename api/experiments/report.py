"""The report of an experiment from what is served about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.experiments.models import Experiment, ExperimentResults, HealthCheck, Result
from causeway.report.experiment_report import (
    ExperimentReport,
    ReportArm,
    ReportDecision,
    ReportEffect,
    ReportGate,
    ReportMetric,
    ReportProvenance,
    ReportResult,
)


def report_of(
    experiment: Experiment, served: ExperimentResults, declared: Mapping[str, Mapping[str, Any]]
) -> ExperimentReport:
    """What is known of an experiment as a report; ``declared`` are the metrics that it uses by name.

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
        decision=_decision(experiment, served),
        gates=tuple(
            ReportGate(name, check.passed, check.blocking, check.detail or "", check.p_value)
            for name, check in served.health.items()
        ),
        results=tuple(_result(result) for result in served.results),
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


def _result(result: Result) -> ReportResult:
    is_ok = result.status == "ok"
    numbers = {
        name: getattr(result, name)
        for name in (
            "mean", "mean_control", "effect", "ci_low", "ci_high", "p_value", "relative_effect",
            "relative_ci_low", "relative_ci_high",
        )
    }  # fmt: skip
    effect = ReportEffect(result.status, result.n or 0, result.n_control or 0, **(numbers if is_ok else {}))
    alpha = result.settings.get("alpha")
    return ReportResult(
        result.metric,
        result.variant,
        result.control,
        result.method,
        effect,
        result.segment,
        confidence=1 - alpha if isinstance(alpha, float) else 0.95,
        reasons=tuple(str(reason) for reason in result.reasons),
        provenance_id=result.provenance_id,
    )
