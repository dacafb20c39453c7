"""Small named reports, and a large one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

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

SRM = ReportGate("srm", True, True, "The units agree with the declared weights.", 0.41)
CLOSED = ReportGate("srm", False, True, "The shares are not as declared.", 1e-9)
# Every number of an outcome below is made of these digits, which nothing else in a report has.
DIGITS = "7359"


def effect(value: float = 73.59, half: float = 7.359) -> ReportEffect:
    """An effect that is recognised wherever it turns up."""
    return ReportEffect(
        "ok", 1_000, 1_000, 173.59, 100.0, value, value - half, value + half, 0.007359, 0.7359, 0.6, 0.8
    )


def report(
    *,
    names: Sequence[str] = ("off", "on", "other"),
    metrics: Sequence[str] = ("visits",),
    days: int = 3,
    text: str = "text",
    gate: ReportGate = SRM,
    segments: Sequence[str] = ("device=phone",),
) -> ExperimentReport:
    """A report in which every part has something; ``names`` are of variants, the first of the control."""
    control, *treated = names
    results, looks, posteriors = [], [], []
    for metric in metrics:
        for variant in treated:
            for segment in (None, *segments):
                results.append(
                    ReportResult(
                        metric, variant, control, "adjusted", effect(), segment, 0.017359, provenance_id=f"{text}-id"
                    )
                )
            seen = tuple(ReportLook(date(2024, 3, 1) + timedelta(day), effect()) for day in range(days))
            looks.append(ReportLooks(metric, variant, control, "always_valid", seen, "adjusted"))
            posteriors.append(ReportPosterior(metric, variant, "ok", 0.7359, 7.359, text))
    return ExperimentReport(
        experiment="search",
        tenant=text,
        name=text,
        hypothesis=text,
        owner=text,
        unit=text,
        status="running",
        version=3,
        starts_on=date(2024, 3, 1),
        arms=tuple(ReportArm(name, 1.0, 1_000, name == control) for name in names),
        metrics=tuple(
            ReportMetric(key, "mean", "secondary" if position else "primary", unit=text, minimum_effect=0.05)
            for position, key in enumerate(metrics)
        ),
        decision=ReportDecision(
            "ship",
            treated[0],
            (f"{text}: better, +73.59 (66.231 to 80.949)",),
            datetime(2024, 3, 9, 8, 0, tzinfo=UTC),
            text,
            text,
        ),
        gates=(gate, ReportGate("crossover", None, False, text)),
        results=tuple(results),
        looks=tuple(looks),
        posteriors=tuple(posteriors),
        multiple_testing=text,
        provenance=ReportProvenance(
            datetime(2024, 3, 9, 5, 0, tzinfo=UTC), date(2024, 3, 8), "0.1.0", text, text, (text,)
        ),
    )


def withheld(**changes: object) -> ExperimentReport:
    """The same with all its numbers, behind a closed gate."""
    return replace(report(gate=CLOSED), **changes)  # type: ignore[arg-type]
