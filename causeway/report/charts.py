"""The drawings of an experiment's report, each with its caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from causeway.plots.arm_shares import ArmShare, arm_shares
from causeway.plots.effect_over_time import (
    FixedInterval,
    Look,
    day_in_words,
    effect_over_time,
    leaves_the_picture,
)
from causeway.plots.forest_panel import PanelRow, forest_panel
from causeway.report.chart import Chart
from causeway.report.experiment_report import (
    ExperimentReport,
    ReportEffect,
    ReportLook,
    ReportLooks,
    ReportMetric,
    ReportResult,
)
from causeway.report.numbers import level, percent, whole
from causeway.report.words import half_width, kind_of, method_in_words, said, scale_of, status_in_words


def forest_of(report: ExperimentReport, metric: ReportMetric, chart_id: str, *, segments: bool) -> Chart | None:
    """The effects on one metric by variant and method, of everybody or by segment; None where nothing was compared."""
    results = [each for each in report.results if each.metric == metric.key and (each.segment is not None) == segments]
    if not results:
        return None
    several = len({method_in_words(result) for result in results}) > 1
    arms = len({result.variant for result in results}) > 1
    rows = [_row(result, metric, with_method=several, with_variant=arms or not segments) for result in results]
    scale = scale_of(metric)
    lines = _Lines() if segments else _lines(results, metric)
    drawing = forest_panel(rows, title=metric.key, tick=scale.tick, margin=lines.margin, minimum=lines.minimum)
    drawn = any(row.effect is not None for row in rows)
    # Of everybody, it stands right below the metric's own heading.
    title = f"{metric.key} by segment" if segments else ""
    return Chart(chart_id, title, drawing, _forest_caption(results, metric, lines) if drawn else "")


def over_time_of(report: ExperimentReport, looks: ReportLooks, metric: ReportMetric, chart_id: str) -> Chart | None:
    """How one effect went; None where no look has numbers."""
    shown = [_look(look) for look in looks.looks]
    with_numbers = [look.effect for look in looks.looks if look.effect.status == "ok"]
    if not with_numbers:
        return None
    scale = scale_of(metric)
    fixed = _fixed(report, looks)
    first, last = looks.looks[0].day, looks.looks[-1].day
    clear = _first_clear(looks, metric)
    verdict = f"It first excluded zero on {clear}." if clear else "It has not excluded zero."
    spoken = (
        f"Effect of {looks.variant} against {looks.control} on {metric.key}, {len(shown)} looks from"
        f" {day_in_words(first)} to {day_in_words(last)}. At the last look {_said(with_numbers[-1], metric)}. {verdict}"
    )
    caption = f"{verdict} Band: {level(looks.confidence)} {said(looks.method)}."
    if fixed is not None and looks.fixed_method is not None:
        caption += f" Bar: {said(looks.fixed_method)} at the last look."
    if scale.axis:
        caption = f"In {scale.axis}. {caption}"
    if leaves_the_picture(shown, fixed):
        caption += " The wide bands of the first looks leave the picture."
    of_all = [each for each in report.results if each.metric == metric.key and each.segment is None]
    lines = _lines(of_all, metric)
    drawing = effect_over_time(
        shown, description=spoken, tick=scale.tick, fixed=fixed, margin=lines.margin, minimum=lines.minimum
    )
    return Chart(chart_id, f"{metric.key}: {looks.variant} against {looks.control}", drawing, caption)


def arms_of(report: ExperimentReport, chart_id: str) -> Chart:
    """The units of each arm against its weight."""
    units = [arm.units for arm in report.arms]
    total = sum(each for each in units if each is not None)
    weights = sum(arm.weight for arm in report.arms)
    srm = next((gate for gate in report.gates if gate.check_name == "srm"), None)
    shares = []
    for arm in report.arms:
        expected = arm.weight / weights if weights > 0 else 0.0
        observed = arm.units / total if arm.units is not None and total > 0 else None
        seen = "not counted" if arm.units is None else whole(arm.units)
        share = "" if observed is None else f" = {percent(observed, 0.002)}"
        label = f"{arm.variant} (control)" if arm.is_control else arm.variant
        shares.append(ArmShare(label, f"{seen}{share}", observed, expected))
    mismatch = srm is not None and srm.passed is False
    caption = "Bar: share of the units. Stroke: what the declared weights promise."
    return Chart(chart_id, "", arm_shares(shares, is_mismatch=mismatch), caption)


def _row(result: ReportResult, metric: ReportMetric, *, with_method: bool, with_variant: bool) -> PanelRow:
    parts = [
        result.segment or "",
        result.variant if with_variant else "",
        method_in_words(result) if with_method else "",
    ]
    label = " · ".join(part for part in parts if part)
    effect = result.effect
    if effect.status != "ok" or effect.effect is None or effect.ci_low is None or effect.ci_high is None:
        return PanelRow(label, status_in_words(effect.status))
    words = scale_of(metric).brackets(effect.effect, effect.ci_low, effect.ci_high)
    return PanelRow(label, words, effect.effect, effect.ci_low, effect.ci_high, kind_of(effect, metric))


def _forest_caption(results: Sequence[ReportResult], metric: ReportMetric, lines: _Lines) -> str:
    scale = scale_of(metric)
    confidences = sorted({level(result.confidence) for result in results})
    parts = [
        f"Effect{f' in {scale.axis}' if scale.axis else ''} with its {' or '.join(confidences)} interval;"
        f" {'more' if metric.sign > 0 else 'less'} is better. Disc: better; diamond: worse; ring: not separated from"
        " zero."
    ]
    if metric.non_inferiority_margin is not None and lines.margin is not None:
        parts.append(f"Dashed: non-inferiority margin, {level(metric.non_inferiority_margin)} of the control mean.")
    if metric.minimum_effect is not None and lines.minimum is not None:
        parts.append(f"Dotted: minimum effect of interest, {level(metric.minimum_effect)} of the control mean.")
    return " ".join(parts)


@dataclass(frozen=True, slots=True)
class _Lines:
    """Where the declared lines lie on the axis of the effect; None where there is none."""

    margin: float | None = None
    minimum: float | None = None


def _lines(results: Sequence[ReportResult], metric: ReportMetric) -> _Lines:
    """The lines at the control mean of the first result that has one."""
    means = (result.effect.mean_control for result in results if result.effect.mean_control is not None)
    control = next(means, None)
    if control is None:
        return _Lines()
    size = metric.sign * abs(control)
    margin, minimum = metric.non_inferiority_margin, metric.minimum_effect
    return _Lines(None if margin is None else -size * margin, None if minimum is None else size * minimum)


def _look(look: ReportLook) -> Look:
    effect = look.effect
    return Look(look.day, effect.effect, effect.ci_low, effect.ci_high)


def _fixed(report: ExperimentReport, looks: ReportLooks) -> FixedInterval | None:
    for result in report.results:
        effect = result.effect
        same = (result.metric, result.variant, result.method) == (looks.metric, looks.variant, looks.fixed_method)
        if same and result.segment is None and effect.status == "ok":
            if effect.effect is None or effect.ci_low is None or effect.ci_high is None:
                continue
            return FixedInterval(effect.effect, effect.ci_low, effect.ci_high)
    return None


def _first_clear(looks: ReportLooks, metric: ReportMetric) -> str:
    return next((day_in_words(look.day) for look in looks.looks if kind_of(look.effect, metric) != "open"), "")


def _said(effect: ReportEffect, metric: ReportMetric) -> str:
    if effect.effect is None or effect.ci_low is None or effect.ci_high is None:
        return status_in_words(effect.status)
    scale = scale_of(metric)
    return f"{scale.effect(effect.effect, half_width(effect))} ({scale.interval(effect.ci_low, effect.ci_high)})"
