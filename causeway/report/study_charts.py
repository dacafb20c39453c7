"""The drawings of a study's report, each with its caption; None where the answer holds nothing to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from causeway.plots.balance_panel import Difference, balance_panel
from causeway.plots.causal_graph import Part, causal_graph
from causeway.plots.contour_panel import Known, contour_panel
from causeway.plots.effect_histogram import effect_histogram
from causeway.plots.estimates_by_method import MethodRow, estimates_by_method
from causeway.plots.forest_panel import PanelRow, forest_panel
from causeway.plots.overlap_panel import overlap_panel
from causeway.plots.refutations import Attempt, refutations_panel
from causeway.plots.share_curves import SharePoint, share_curves
from causeway.plots.svg import Drawing
from causeway.report import study_words as words
from causeway.report.chart import Chart
from causeway.report.numbers import decimal, level, p_value, percent, whole
from causeway.report.study_report import Document, as_shown, interval, number
from causeway.report.words import said, status_in_words

LIMIT = 0.1
"""Of standardised differences, where the rules do not name another."""


def estimates_chart(answer: Document) -> Chart | None:
    """All methods above one another."""
    estimates, headline = answer.get("estimates") or (), answer.get("headline")
    if not estimates:
        return None
    rows = []
    for each in estimates:
        found = interval(each)
        effect, low, high = found or (None, None, None)
        # Why there is none is in the table, in full.
        said_of_it = words.brackets(*found) if found else status_in_words(str(each.get("status")))
        is_headline = headline is not None and each.get("method") == headline.get("method")
        rows.append(
            MethodRow(
                words.method(str(each["method"])), str(each["target"]), said_of_it, effect, low, high, is_headline
            )
        )
    drawing = estimates_by_method(rows, title=str(answer.get("outcome")), tick=words.SCALE.tick)
    if not any(row.effect is not None for row in rows):
        return Chart("estimates-chart", "", drawing, "")
    caption = (
        f"Effect on {answer.get('outcome')} with its {level(words.CONFIDENCE)} interval, beside whose effect it is."
        " Shaded: the headline. Disc: the interval excludes zero; ring: it does not. Other targets need not agree."
    )
    return Chart("estimates-chart", "", drawing, caption)


def graph_chart(answer: Document, treatment: str) -> Chart | None:
    """The part of the causal graph that the identification rests on."""
    graph = (answer.get("diagnostics") or {}).get("graph") or {}
    edges = [(str(one), str(other)) for one, other in graph.get("edges") or ()]
    outcome = str(answer.get("outcome"))
    if not edges or not treatment:
        return None
    parts = {treatment: Part("treatment", "asked"), outcome: Part("outcome", "asked")}
    roles = (
        ("refused", "consequence of the treatment: refused", "refused"),
        ("unmeasured", "not measured, and needed", "unseen"),
        ("adjusted", "adjusted for", "seen"),
        ("set_aside", "measured, not needed", "seen"),
    )
    for key, role, kind in roles:
        for name in graph.get(key) or ():
            parts.setdefault(str(name), Part(role, kind))
    drawing = causal_graph(edges, parts, treatment=treatment, outcome=outcome)
    caption = "Causes stand above their effects. Heavy: the arrow asked about. Names with the same arrows share a row."
    if any(part.kind == "unseen" for part in parts.values()):
        caption += " Dashed: what was not measured."
    return Chart("graph-chart", "", drawing, caption)


def balance_chart(answer: Document) -> Chart | None:
    """Differences between the arms before and after adjustment."""
    given = (answer.get("diagnostics") or {}).get("balance") or ()
    if not given:
        return None
    differences = [
        Difference(str(each["covariate"]), _size(each.get("smd_before")), _size(each.get("smd_after")))
        for each in given
    ]
    limit = balance_limit(answer)
    drawing = balance_panel(differences, title=str(answer.get("outcome")), tick=words.SCALE.tick, limit=limit)
    caption = (
        f"Differences between the arms in standard deviations, without their sign. Shaded: up to"
        f" {decimal(limit, limit)}. A diamond is beyond it after adjustment."
    )
    return Chart("balance-chart", "", drawing, caption)


def balance_limit(answer: Document) -> float:
    """The largest difference that the rules take for balance."""
    of_rules = (rule for rule in answer.get("rules") or () if rule.get("rule") == "balance")
    balance: Document = next(of_rules, {})
    limit = number(balance.get("limit"))
    return limit if limit is not None and limit > 0 else LIMIT


def overlap_chart(answer: Document) -> Chart | None:
    """The propensities of both arms."""
    histogram = ((answer.get("diagnostics") or {}).get("overlap") or {}).get("histogram") or {}
    treated, control = (list(histogram.get(arm) or ()) for arm in ("treated", "control"))
    if not treated or len(treated) != len(control):
        return None
    caption = "Share of each arm by its probability of treatment. Where one arm has nobody, the other has no match."
    return Chart("overlap-chart", "", overlap_panel(treated, control, title=str(answer.get("outcome"))), caption)


def refutations_chart(answer: Document) -> Chart | None:
    """Attempts to break the estimate."""
    refutations = answer.get("refutations") or ()
    if not refutations:
        return None
    found = interval(answer.get("headline"))
    half = None if found is None else (found[2] - found[1]) / 2
    attempts = []
    for each in refutations:
        new_effect = number(each.get("new_effect"))
        told = found_in_words(each.get("problem_found"))
        if new_effect is not None:
            # Beside a long name there is room for a number and a word.
            verdict = {True: "problem", False: "fine"}.get(each.get("problem_found"), told)
            told = f"{words.SCALE.effect(new_effect, half)} · {verdict}"
        attempts.append(Attempt(said(str(each["name"])), told, each.get("problem_found"), new_effect))
    effect, low, high = found or (None, None, None)
    drawing = refutations_panel(
        attempts, title=str(answer.get("outcome")), tick=words.SCALE.tick, effect=effect, ci_low=low, ci_high=high
    )
    caption = ""
    if any(attempt.new_effect is not None for attempt in attempts):
        caption = (
            "Dotted in its band: the estimate with its interval. Disc: no problem found; diamond: a problem. A made-up"
            " treatment or outcome has to come to zero, other data to the estimate."
        )
    return Chart("refutations-chart", "", drawing, caption)


def found_in_words(problem_found: object) -> str:
    """What came of an attempt.

    >>> found_in_words(True), found_in_words(None)
    ('problem found', 'not carried out')
    """
    return "problem found" if problem_found else "not carried out" if problem_found is None else "no problem found"


def contour_chart(answer: Document) -> Chart | None:
    """What would be left of the effect, by the strength of something unmeasured."""
    sensitivity = answer.get("sensitivity") or {}
    contour = sensitivity.get("contour") or {}
    scale = _scale_of(contour)
    effect, null = number(contour.get("effect")), number(contour.get("null")) or 0.0
    if scale is None or effect is None or effect == null:
        return None
    known = [
        Known(name, treatment, outcome) for name, treatment, outcome in benchmarks(sensitivity) if outcome is not None
    ]
    value = number(sensitivity.get("robustness_value"))
    # As far as the grid goes, and as far as it takes to see where the effect vanishes.
    vanishing = min(0.95, 1.2 * (value or 0.0))
    most_treatment, most_outcome = (
        max(vanishing, *(float(each) for each in contour[f"{axis}_strengths"])) for axis in ("treatment", "outcome")
    )
    spoken = f"Sensitivity of an effect of {decimal(effect)}."
    if value is not None:
        spoken += f" It vanishes where {percent(value, 0.01)} of both treatment and outcome are explained."
    named = "; ".join(f"{each.name}: {percent(each.treatment)} and {percent(each.outcome)}" for each in known)
    spoken += f" As observed, shares of treatment and outcome: {named}." if named else ""
    drawing = contour_panel(
        effect=effect, null=null, scale=scale, most_treatment=min(most_treatment, 0.999), most_outcome=most_outcome,
        description=spoken, tick=lambda left: words.SCALE.effect(left, abs(effect) / 10), known=known,
        robustness_value=value,
    )  # fmt: skip
    caption = (
        "What is left of the effect if something unmeasured is that strong; heavy line: nothing, and beyond it the"
        " other sign. Rings: as strong as what was measured. Diamond: the robustness value, where it is in sight."
    )
    return Chart("contour-chart", "", drawing, caption)


def benchmarks(sensitivity: Document) -> list[tuple[str, float, float | None]]:
    """Name, share of the treatment and of the outcome of what was measured; a share is None where it has no bound."""
    found = []
    for each in sensitivity.get("benchmarks") or ():
        strength = each.get("strength", each) or {}
        treatment, outcome = number(strength.get("treatment")), number(strength.get("outcome"))
        found.append((str(each.get("name")), treatment or 0.0, outcome if treatment is not None else None))
    return found


def effects_chart(answer: Document) -> Chart | None:
    """The predicted effects of units."""
    different = answer.get("heterogeneity") or {}
    histogram = different.get("histogram") or {}
    edges, counts = list(histogram.get("edges") or ()), list(histogram.get("counts") or ())
    if not different.get("beats_constant") or not counts or len(edges) != len(counts) + 1:
        return None
    effect, low, high = interval(different.get("average_effect")) or (None, None, None)
    described = f"Histogram of the predicted effects of {whole(int(sum(counts)))} units, from {decimal(edges[0])} to"
    drawing = effect_histogram(
        edges, counts, description=f"{described} {decimal(edges[-1])}.", tick=words.SCALE.tick, average=effect,
        ci_low=low, ci_high=high,
    )  # fmt: skip
    caption = (
        "Units by predicted effect, each predicted by models that have not seen it. Band: interval of the average."
    )
    return Chart("effects-chart", "", drawing, caption)


def groups_chart(groups: Document, chart_id: str, title: str) -> Chart | None:
    """Average effects in groups."""
    rows = []
    for each in groups.get("groups") or ():
        found = interval(each.get("effect"))
        label = f"{each['group']} · {whole(int(each['n']))}"
        if found is None:
            rows.append(PanelRow(label, status_in_words(str((each.get("effect") or {}).get("status")))))
        else:
            kind = "good" if found[1] > 0 or found[2] < 0 else "open"
            rows.append(PanelRow(label, words.brackets(*found), *found, kind))
    if not any(row.effect is not None for row in rows):
        return None
    test = number(groups.get("p_value"))
    caption = "Average effect in each group, with its units. Disc: the interval excludes zero; ring: it does not."
    if test is not None:
        caption += f" All alike: p {p_value(test)}."
    return Chart(chart_id, title, forest_panel(rows, title=title, tick=words.SCALE.tick), caption)


def qini_chart(answer: Document) -> Chart | None:
    """What is gained by treating first whom the model names first."""
    uplift = (answer.get("heterogeneity") or {}).get("uplift") or {}
    points = [SharePoint(each["share"], each["gain"], each["gain_of_chance"]) for each in uplift.get("curve") or ()]
    found, chance = interval(uplift.get("qini")), number(uplift.get("p_value"))
    if not points:
        return None
    caption = "Effect of treating the share named first, per unit of all; the arms' own order is not used."
    if found is not None:
        caption = f"Area above chance (Qini) {words.brackets(*found)}. {caption}"
    if chance is not None:
        caption += f" Against a random order: p {p_value(chance)}."
    drawing = share_curves(points, description=f"Qini curve. {caption}", tick=words.SCALE.tick)
    return Chart("qini-chart", "Treating in the model's order", drawing, caption)


def policy_chart(answer: Document) -> Chart | None:
    """What treating more units is worth."""
    policy = (answer.get("heterogeneity") or {}).get("policy") or {}
    points = [
        SharePoint(each["share"], each["value"], each["value_at_random"], each.get("ci_low"), each.get("ci_high"))
        for each in policy.get("curve") or ()
    ]
    if not points or not (answer.get("heterogeneity") or {}).get("beats_constant"):
        return None
    value, share = number((policy.get("value") or {}).get("effect")), number(policy.get("share"))
    chosen = (share, value) if share is not None and value is not None else None
    caption = "Value per unit of all, net of costs, of treating that share, with the interval at each share."
    caption += " Ring: the policy." if chosen else ""
    drawing = share_curves(points, description=f"Policy curve. {caption}", tick=words.SCALE.tick, chosen=chosen)
    return Chart("policy-chart", "", drawing, caption)


def study_pictures(document: Mapping[str, Any], *, treatment: str = "") -> dict[str, Drawing]:
    """The drawings of one answer by name, for the page of the asset that made it: of what may be shown alone.

    treatment: its column, without which there is no graph.
    """
    answer = as_shown(document)
    segments = (answer.get("heterogeneity") or {}).get("segments") or {}
    charts = {
        "estimates by method": estimates_chart(answer),
        "graph": graph_chart(answer, treatment),
        "balance": balance_chart(answer),
        "overlap": overlap_chart(answer),
        "refutations": refutations_chart(answer),
        "sensitivity": contour_chart(answer),
        "effects of units": effects_chart(answer),
        **{f"effects by {name}": groups_chart(each, "groups", name) for name, each in segments.items()},
        "qini": qini_chart(answer),
        "policy": policy_chart(answer),
    }
    return {name: chart.drawing for name, chart in charts.items() if chart is not None}


def _size(value: object) -> float | None:
    known = number(value)
    return None if known is None else abs(known)


def _scale_of(contour: Document) -> float | None:
    """The scale of the bias, from the point of the grid where both strengths are largest."""
    effects: Sequence[Sequence[float]] = contour.get("effects") or ()
    outcome, treatment = contour.get("outcome_strengths") or (), contour.get("treatment_strengths") or ()
    if not effects or not outcome or not treatment:
        return None
    y, d = float(outcome[-1]), float(treatment[-1])
    confounding = math.sqrt(y * d / (1 - d)) if 0 <= d < 1 else 0.0
    lost = abs(float(contour["effect"]) - float(effects[-1][-1]))
    return lost / confounding if confounding > 0 and lost > 0 else None
