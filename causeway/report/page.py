"""The report of an experiment as one HTML page that needs nothing else: no script, no file, no request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from causeway.plots.effect_over_time import day_in_words
from causeway.report.chart import Chart
from causeway.report.charts import arms_of, forest_of, over_time_of
from causeway.report.experiment_report import (
    ExperimentReport,
    ReportGate,
    ReportMetric,
    ReportPosterior,
    ReportResult,
)
from causeway.report.numbers import level, p_value, percent, whole
from causeway.report.rendering import moment_in_words, page_of
from causeway.report.words import (
    KINDS,
    against_margin,
    half_width,
    kind_of,
    lead_of,
    method_in_words,
    said,
    scale_of,
    status_in_words,
    title_of_decision,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison in a table. With `absent`, why there is no number, the fields of numbers are empty."""

    variant: str
    segment: str
    method: str
    units: str
    absent: str = ""
    means: str = ""
    effect: str = ""
    interval: str = ""
    relative: str = ""
    relative_interval: str = ""
    p: str = ""
    adjusted_p: str = ""
    verdict: str = ""
    kind: str = "open"


@dataclass(frozen=True, slots=True)
class MetricPart:
    """What a page says of one metric."""

    metric: ReportMetric
    about: str
    forest: Chart | None
    rows: tuple[Row, ...]
    over_time: tuple[Chart, ...]
    segments: Chart | None
    segment_rows: tuple[Row, ...]
    posteriors: tuple[tuple[str, str, str, str], ...]


def render(report: ExperimentReport) -> str:
    """The page. It shows `report.as_shown()`: nothing that is withheld is in it, not even out of sight.

    Every text is escaped, in HTML and in the drawings; the page forbids scripts and requests to the browser
    (`content_security_policy`). Equal reports give equal pages.
    """
    shown = report.as_shown()
    metrics = tuple(_metric_part(shown, metric, position) for position, metric in enumerate(shown.metrics))
    return page_of(
        "experiment_report.html.j2",
        title=shown.name or shown.experiment,
        headline=title_of_decision(shown),
        report=shown,
        lead=lead_of(shown),
        metrics=metrics,
        arms=arms_of(shown, "arms-chart"),
        arm_rows=_arm_rows(shown),
        gates=sorted(shown.gates, key=_gravity),
        facts=_facts(shown),
        missing=_missing(shown),
        provenance=_provenance(shown),
    )


def _facts(report: ExperimentReport) -> list[tuple[str, str]]:
    units = [arm.units for arm in report.arms if arm.units is not None]
    days = [day_in_words(day) if day else "open" for day in (report.starts_on, report.ends_on)]
    facts = [
        ("Hypothesis", report.hypothesis or ""),
        ("Owner", report.owner or ""),
        ("Status", f"{said(report.status)}{f', version {report.version}' if report.version else ''}"),
        ("Days", f"{days[0]} to {days[1]}" if report.starts_on or report.ends_on else ""),
        ("Randomised", report.unit),
        ("Units", whole(sum(units)) if units else "none counted yet"),
        ("Data through", day_in_words(report.provenance.data_through) if report.provenance.data_through else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _arm_rows(report: ExperimentReport) -> list[tuple[str, str, str, str]]:
    total = sum(arm.units or 0 for arm in report.arms)
    weights = sum(arm.weight for arm in report.arms)
    return [
        (
            f"{arm.variant} (control)" if arm.is_control else arm.variant,
            percent(arm.weight / weights, 0.002) if weights > 0 else "none",
            "not counted" if arm.units is None else whole(arm.units),
            percent(arm.units / total, 0.002) if arm.units is not None and total > 0 else "none",
        )
        for arm in report.arms
    ]


def _gravity(gate: ReportGate) -> tuple[bool, bool]:
    return (not gate.is_closed, gate.passed is True)


def _metric_part(report: ExperimentReport, metric: ReportMetric, position: int) -> MetricPart:
    results = [result for result in report.results if result.metric == metric.key]
    over_time = []
    for count, looks in enumerate(looks for looks in report.looks if looks.metric == metric.key):
        chart = over_time_of(report, looks, metric, f"time-{position}-{count}")
        if chart is not None:
            over_time.append(chart)
    about = [
        f"{said(metric.type)}, in {metric.unit}" if metric.unit else said(metric.type),
        f"{'more' if metric.sign > 0 else 'less'} is better",
    ]
    if metric.non_inferiority_margin is not None:
        about.append(f"a relative loss of {level(metric.non_inferiority_margin)} is tolerated")
    if metric.minimum_effect is not None:
        about.append(f"smallest relative effect of interest {level(metric.minimum_effect)}")
    return MetricPart(
        metric,
        "; ".join(about),
        forest_of(report, metric, f"forest-{position}", segments=False),
        tuple(_row(result, metric) for result in results if result.segment is None),
        tuple(over_time),
        forest_of(report, metric, f"segments-{position}", segments=True),
        tuple(_row(result, metric) for result in results if result.segment is not None),
        tuple(_posterior(each, metric) for each in report.posteriors if each.metric == metric.key),
    )


def _row(result: ReportResult, metric: ReportMetric) -> Row:
    effect, scale = result.effect, scale_of(metric)
    about = (
        result.variant,
        result.segment or "",
        method_in_words(result),
        f"{whole(effect.n)} / {whole(effect.n_control)}",
    )
    if effect.status != "ok" or effect.effect is None or effect.ci_low is None or effect.ci_high is None:
        why = status_in_words(effect.status)
        return Row(*about, absent=f"{why}: {'; '.join(result.reasons)}" if result.reasons else why)
    half, kind = half_width(effect), kind_of(effect, metric)
    means = ""
    if effect.mean is not None and effect.mean_control is not None:
        means = f"{scale.value(effect.mean, half)} / {scale.value(effect.mean_control, half)}"
    relative, relative_interval = "not separated from zero in the control", ""
    if effect.relative_effect is not None:
        relative = percent(effect.relative_effect, is_signed=True)
        if effect.relative_ci_low is not None and effect.relative_ci_high is not None:
            resolution = (effect.relative_ci_high - effect.relative_ci_low) / 2
            relative = percent(effect.relative_effect, resolution, is_signed=True)
            low, high = (percent(bound, resolution) for bound in (effect.relative_ci_low, effect.relative_ci_high))
            relative_interval = f"{low} to {high}"
    margin = against_margin(effect, metric)
    return Row(
        *about,
        means=means,
        effect=scale.effect(effect.effect, half),
        interval=scale.interval(effect.ci_low, effect.ci_high),
        relative=relative,
        relative_interval=relative_interval,
        p="" if effect.p_value is None else p_value(effect.p_value),
        adjusted_p="" if result.adjusted_p_value is None else p_value(result.adjusted_p_value),
        verdict=f"{KINDS[kind]}; {margin}" if margin else KINDS[kind],
        kind=kind,
    )


def _posterior(posterior: ReportPosterior, metric: ReportMetric) -> tuple[str, str, str, str]:
    chance = loss = status_in_words(posterior.status)
    if posterior.status == "ok":
        chance = "none" if posterior.chance_to_beat is None else _chance(posterior.chance_to_beat)
        loss = "none" if posterior.expected_loss is None else scale_of(metric).loss(posterior.expected_loss)
    return posterior.variant, chance, loss, posterior.prior


def _chance(probability: float) -> str:
    if probability > 0.999:
        return f"over {percent(0.999, 0.01)}"
    if probability < 0.001:
        return f"below {percent(0.001, 0.01)}"
    return percent(probability, 0.01)


def _missing(report: ExperimentReport) -> list[tuple[str, str]]:
    """What has no number, and why: one line for each reason, with what it concerns."""
    concerned: dict[str, dict[str, None]] = {}
    for result in report.results:
        if result.effect.status == "ok":
            continue
        why = status_in_words(result.effect.status)
        if result.reasons:
            why = f"{why}: {'; '.join(result.reasons)}"
        where = f", {result.segment}" if result.segment else ""
        what = f"{result.metric}, {result.variant}{where} ({method_in_words(result)})"
        concerned.setdefault(why, {})[what] = None
    return [(why, "; ".join(what)) for why, what in concerned.items()]


def _provenance(report: ExperimentReport) -> list[tuple[str, str]]:
    given = report.provenance
    ids = dict.fromkeys((*given.provenance_ids, *(each.provenance_id for each in report.results if each.provenance_id)))
    lines: list[tuple[str, Any]] = [
        ("Computed at", moment_in_words(given.computed_at) if given.computed_at else None),
        ("Data through", day_in_words(given.data_through) if given.data_through else None),
        ("Code version", given.code_version),
        ("Declaration", given.declaration_hash),
        ("Snapshot", given.snapshot_id),
        ("How the rows were made", ", ".join(ids)),
    ]
    return [(name, value) for name, value in lines if value]
