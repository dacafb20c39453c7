"""Words for what is not a number: decisions, statuses, methods, and which way an effect points."""

from __future__ import annotations

from causeway.plots.canvas import shorten
from causeway.report.experiment_report import ExperimentReport, ReportEffect, ReportMetric, ReportResult
from causeway.report.numbers import Scale, level, percent

STATUSES = {
    "withheld": "withheld",
    "no_units": "an arm is empty",
    "too_few_units": "too few units",
    "zero_variance": "the outcome does not vary",
    "no_covariates": "nothing to adjust with",
    "not_estimable": "cannot be estimated",
}
KINDS = {"good": "better", "bad": "worse", "open": "not separated from zero"}
LONGEST_UNIT = 12
"""Letters of a unit beside a number; a cell of a table does not break them."""

_PRIMARY_METHODS = ("adjusted", "cuped", "difference_in_means")


def said(identifier: str) -> str:
    """An identifier of ours as words.

    >>> said("difference_in_means")
    'difference in means'
    """
    return identifier.replace("_", " ")


def method_in_words(result: ReportResult) -> str:
    """The method, and when its interval may be read if that is not only once, at the end."""
    allowance = {"always_valid": ", at any look", "group_sequential": ", at planned looks"}
    return said(result.method) + allowance.get(result.interval, "")


def status_in_words(status: str) -> str:
    """Why there is no number.

    >>> status_in_words("zero_variance")
    'the outcome does not vary'
    """
    return STATUSES.get(status, said(status))


def scale_of(metric: ReportMetric) -> Scale:
    """How the metric's values are worded."""
    return Scale(metric.is_share, shorten(metric.unit, LONGEST_UNIT))


def half_width(effect: ReportEffect) -> float | None:
    """Half of the interval, which decides how many digits are shown; None without one."""
    if effect.ci_low is None or effect.ci_high is None:
        return None
    return (effect.ci_high - effect.ci_low) / 2


def kind_of(effect: ReportEffect, metric: ReportMetric) -> str:
    """ "good" or "bad" where the interval excludes zero, else "open"."""
    if effect.status != "ok" or effect.ci_low is None or effect.ci_high is None:
        return "open"
    if effect.ci_low > 0 or effect.ci_high < 0:
        return "good" if (effect.ci_low > 0) == (metric.sign > 0) else "bad"
    return "open"


def against_margin(effect: ReportEffect, metric: ReportMetric) -> str:
    """Whether the relative interval lies on the good side of the non-inferiority margin; empty without one of them."""
    margin = metric.non_inferiority_margin
    if margin is None or effect.relative_ci_low is None or effect.relative_ci_high is None:
        return ""
    # Of a negative control mean, a relative effect has the opposite sign.
    sign = metric.sign if effect.mean_control is None or effect.mean_control >= 0 else -metric.sign
    worst, best = sorted((sign * effect.relative_ci_low, sign * effect.relative_ci_high))
    if worst > -margin:
        return "non-inferior"
    return "beyond the margin" if best < -margin else "margin not excluded"


def title_of_decision(report: ExperimentReport) -> str:
    """The headline: what is to be done."""
    decision = report.decision
    words = {
        "ship": f"Ship {decision.variant}" if decision.variant else "Ship",
        "stop": "Stop",
        "continue": "Keep it running",
        "withheld": "Withheld",
        None: "No decision yet",
    }
    return words[decision.decision]


def lead_of(report: ExperimentReport) -> tuple[str, ...]:
    """One sentence for each variant on the primary metric, or why there is none."""
    if report.is_withheld:
        return ("The data do not allow a comparison of the arms. No result is shown until the checks below pass.",)
    primary = next((metric for metric in report.metrics if metric.role == "primary"), None)
    if primary is None:
        return ()
    chosen = _headline_results(report, primary.key)
    if not chosen:
        return ("There are no results yet.",)
    return tuple(_sentence(result, primary) for result in chosen)


def _headline_results(report: ExperimentReport, metric: str) -> list[ReportResult]:
    """Of each variant one result of everybody: the one that it is judged by, else the most precise that is ok."""
    by_variant: dict[str, list[ReportResult]] = {}
    for result in report.results:
        if result.metric == metric and result.segment is None and result.method != "contrast":
            by_variant.setdefault(result.variant, []).append(result)

    def rank(result: ReportResult) -> tuple[bool, bool, int]:
        known = result.method in _PRIMARY_METHODS
        return (
            not result.is_headline,
            result.effect.status != "ok",
            _PRIMARY_METHODS.index(result.method) if known else len(_PRIMARY_METHODS),
        )

    return [min(results, key=rank) for results in by_variant.values()]


def _sentence(result: ReportResult, metric: ReportMetric) -> str:
    effect = result.effect
    named = f"{result.variant} against {result.control} on {metric.key}"
    if effect.status != "ok" or effect.effect is None or effect.ci_low is None or effect.ci_high is None:
        return f"{named}: {status_in_words(effect.status)}."
    scale = scale_of(metric)
    interval = f"{level(result.confidence)} interval {scale.interval(effect.ci_low, effect.ci_high)}"
    relative = ""
    if effect.relative_effect is not None:
        relative = f", {percent(effect.relative_effect, is_signed=True)} relative to {result.control}"
    return f"{named}: {scale.effect(effect.effect, half_width(effect))} ({interval}){relative}."
