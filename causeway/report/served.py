"""The report of an experiment from what is served about it: rows and documents as JSON has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

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

Row = Mapping[str, Any]

_NUMBERS = (
    "mean", "mean_control", "effect", "ci_low", "ci_high", "p_value", "relative_effect", "relative_ci_low",
    "relative_ci_high",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Served:
    """What is served of one experiment.

    experiment: the experiment as declared, with what is served of it as a whole (gates_passed, decision,
    decision_reasons). results, looks: rows of serving.experiment_results and serving.experiment_daily_looks, in the
    order in which they are shown. health: rows of serving.experiment_health by name. gates_passed: as the results say;
    reasons: why they are withheld. metrics: declarations of the metrics that are used by name. decided: the newest
    decision that somebody took.
    """

    tenant: str
    experiment: Row
    results: Sequence[Row] = ()
    looks: Sequence[Row] = ()
    health: Mapping[str, Row] = field(default_factory=dict)
    gates_passed: bool | None = None
    reasons: Sequence[Any] = ()
    metrics: Mapping[str, Row] = field(default_factory=dict)
    decided: Row | None = None
    snapshot_id: str | None = None


def report_of(served: Served) -> ExperimentReport:
    """What is known of an experiment as a report.

    Its parts may have been read one after the other; should a publication fall between them, the report is withheld if
    any of them says so.
    """
    experiment = served.experiment
    metrics = [_metric(metric, served.metrics) for metric in experiment["metrics"]]
    return ExperimentReport(
        experiment=experiment["experiment"],
        tenant=served.tenant,
        name=experiment["name"],
        hypothesis=experiment["hypothesis"],
        owner=experiment["owner"],
        unit=experiment["unit"],
        status=experiment["status"],
        version=experiment["version"],
        starts_on=experiment["starts_on"],
        ends_on=experiment["ends_on"],
        arms=_arms(experiment, served.health.get("srm")),
        metrics=tuple(sorted(metrics, key=lambda metric: metric.role != "primary")),
        decision=_on_record(_decision(served), served.decided),
        gates=tuple(
            ReportGate(name, check["passed"], check["blocking"], check["detail"] or "", check["p_value"])
            for name, check in served.health.items()
        ),
        results=tuple(_result(row) for row in served.results),
        looks=tuple(_looks(served.looks, served.results)),
        posteriors=tuple(_posteriors(served.results)),
        multiple_testing=_family(experiment["declaration"]),
        provenance=ReportProvenance(
            computed_at=experiment["computed_at"],
            declaration_hash=experiment["declaration_hash"],
            snapshot_id=served.snapshot_id,
        ),
    )


def _metric(used: Row, declared: Mapping[str, Row]) -> ReportMetric:
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


def _arms(experiment: Row, srm: Row | None) -> tuple[ReportArm, ...]:
    """The control first; the units are those that the sample ratio test saw."""
    observed = srm["observed"] if srm is not None and isinstance(srm["observed"], Mapping) else {}
    units = observed.get("units", observed)
    weights = sorted(experiment["variants"].items(), key=lambda arm: arm[0] != experiment["control"])
    return tuple(
        ReportArm(
            variant,
            weight,
            seen if isinstance(seen := units.get(variant), int) else None,
            variant == experiment["control"],
        )
        for variant, weight in weights
    )


def _decision(served: Served) -> ReportDecision:
    experiment = served.experiment
    reasons = tuple(str(reason) for reason in experiment["decision_reasons"])
    if served.gates_passed is False or experiment["gates_passed"] is False:
        return ReportDecision("withheld", None, tuple(str(reason) for reason in served.reasons) or reasons)
    treated = [variant for variant in experiment["variants"] if variant != experiment["control"]]
    match experiment["decision"]:
        case "ship":
            return ReportDecision("ship", treated[0] if len(treated) == 1 else None, reasons)
        case "stop" | "continue" | "withheld" as decision:
            return ReportDecision(decision, None, reasons)
        case _:
            return ReportDecision()


def _on_record(recommended: ReportDecision, decided: Row | None) -> ReportDecision:
    """What somebody decided, beside what the rule says now. What is withheld stays so, whoever decided before."""
    if decided is None:
        return recommended
    reasons = recommended.reasons
    if recommended.decision not in (decided["decision"], "withheld", None):
        said = " ".join(filter(None, (recommended.decision, recommended.variant)))
        reasons = (f"The declared rule says: {said}.", *reasons)
    is_withheld = recommended.decision == "withheld"
    return ReportDecision(
        "withheld" if is_withheld else decided["decision"],
        None if is_withheld else decided["variant"],
        reasons,
        decided["decided_at"],
        decided["actor"],
        decided["reason"] if decided["is_override"] else None,
    )


def _looks(looks: Sequence[Row], results: Sequence[Row]) -> Iterator[ReportLooks]:
    """The looks at each effect, with the headline's method beside the last one where that may be read as it is."""
    judged = {(row["metric"], row["variant"]): row for row in results if row["is_headline"]}
    for (metric, variant), days in groupby(looks, key=lambda look: (look["metric"], look["variant"])):
        of_pair = list(days)
        headline, last = judged.get((metric, variant)), of_pair[-1]
        is_fixed = headline is not None and headline["interval"] == "fixed_horizon"
        yield ReportLooks(
            metric,
            variant,
            last["control"],
            last["interval"],
            tuple(ReportLook(look["day"], _effect(look)) for look in of_pair),
            fixed_method=headline["method"] if headline is not None and is_fixed else None,
            confidence=1 - (last["alpha"] or 0.05),
        )


def _posteriors(results: Sequence[Row]) -> Iterator[ReportPosterior]:
    for row in results:
        if row["is_headline"] and row["chance_to_beat"] is not None:
            yield ReportPosterior(row["metric"], row["variant"], "ok", row["chance_to_beat"], row["expected_loss"])


def _family(declaration: Row) -> str:
    """How p-values are adjusted, in words."""
    correction = str(declaration.get("analysis", {}).get("correction", "holm")).replace("_", "-")
    if correction == "none":
        return "p-values are not adjusted for the number of metrics and variants, as declared"
    return f"adjusted p-values: {correction} over the primary and secondary metrics and the variants"


def _effect(row: Row) -> ReportEffect:
    """The numbers of a row that is ok, and the counts of any other."""
    numbers = {name: row[name] for name in _NUMBERS} if row["status"] == "ok" else {}
    return ReportEffect(row["status"], row["n"] or 0, row["n_control"] or 0, **numbers)


def _result(row: Row) -> ReportResult:
    alpha = row["settings"].get("alpha")
    return ReportResult(
        row["metric"],
        row["variant"],
        row["control"],
        row["method"],
        _effect(row),
        row["segment"],
        adjusted_p_value=row["adjusted_p_value"],
        confidence=1 - alpha if isinstance(alpha, float) else 0.95,
        reasons=tuple(str(reason) for reason in row["reasons"]),
        provenance_id=row["provenance_id"],
        interval=row["interval"],
        is_headline=row["is_headline"],
    )
