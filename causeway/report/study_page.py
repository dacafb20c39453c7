"""The report of a study as one HTML page that needs nothing else: no script, no file, no request."""

from __future__ import annotations

from collections.abc import Iterable

from causeway.plots.effect_over_time import day_in_words
from causeway.report import study_charts as charts
from causeway.report import study_tables as tables
from causeway.report import study_words as words
from causeway.report.numbers import decimal, p_value, percent, whole
from causeway.report.rendering import moment_in_words, page_of
from causeway.report.section import Block, Facts, Section
from causeway.report.study_report import Document, StudyReport, interval, number
from causeway.report.words import said

MOST_SEGMENTS = 12


def render_study(report: StudyReport) -> str:
    """The page. It shows `report.as_shown()`: nothing that is withheld is in it, not even out of sight.

    Every text is escaped, in HTML and in the drawings; the page forbids scripts and requests to the browser
    (`rendering.content_security_policy`). Equal reports give equal pages.
    """
    shown = report.as_shown()
    return page_of(
        "study_report.html.j2",
        title=shown.name or shown.study,
        headline=words.title_of(shown),
        report=shown,
        verdict="none" if shown.main is None else shown.main["verdict"],
        lead=words.lead_of(shown),
        reasons=[] if shown.main is None else [str(reason) for reason in shown.main.get("reasons") or ()],
        facts=_facts(shown),
        sections=sections_of(shown),
    )


def sections_of(report: StudyReport) -> tuple[Section, ...]:
    """The parts of the page that have something in them, in the order in which they are read."""
    answer = report.main
    parts: list[Section] = []

    def add(key: str, title: str, short: str, blocks: Iterable[Block | None]) -> None:
        kept = tuple(block for block in blocks if block is not None and block != "")
        if kept:
            parts.append(Section(key, title, kept, short))

    if answer is not None:
        different = answer.get("heterogeneity") or {}
        add("rules", "What the verdict rests on", "Rules", [tables.rules_of(answer)])
        add("estimates", "Estimates", "Estimates", _estimates(answer))
        add("graph", "Causal graph", "Graph", _graph(answer, report.treatment))
        add("balance", "Balance", "Balance", [charts.balance_chart(answer), tables.balance_of(answer)])
        add("overlap", "Overlap", "Overlap", _overlap(answer))
        add("instruments", "Instruments", "Instruments", _instruments(answer))
        add("controls", "Negative controls", "Controls", [tables.negative_controls_of(answer)])
        add(
            "refutations",
            "Refutations",
            "Refutations",
            [charts.refutations_chart(answer), tables.refutations_of(answer)],
        )
        add("sensitivity", "Sensitivity", "Sensitivity", _sensitivity(answer))
        add("heterogeneity", "For whom the effect differs", "Differences", _heterogeneity(answer, different))
        add("policy", "Whom to treat", "Policy", _policy(answer, different))
        add("others", "Further outcomes and segments", "Further", [tables.others_of(report.others)])
        add("data", "Data", "Data", _data(answer))
    made = [tables.nuisance_of(answer)] if answer is not None else []
    add("provenance", "How it was made", "Provenance", [*made, _provenance(report)])
    return tuple(parts)


def _facts(report: StudyReport) -> list[tuple[str, str]]:
    facts = [("Hypothesis", report.hypothesis or ""), ("Owner", report.owner or ""), ("Treatment", report.treatment)]
    answer = report.main
    if answer is not None:
        estimand = answer.get("estimand") or {}
        n, n_left_out = int(answer.get("n") or 0), int(answer.get("n_left_out") or 0)
        way = words.WAYS.get(str(estimand.get("by")), "yes")
        facts += [
            ("Outcome", words.outcome_and_segment(answer)),
            ("Asked for", f"{estimand.get('target')}: the effect on {words.target(str(estimand.get('target')))}"),
            ("Identified", way if estimand.get("identified") else "no"),
            ("Adjusted for", ", ".join(str(name) for name in estimand.get("adjustment_set") or ())),
            ("Rows", f"{whole(n)} used, {whole(n_left_out)} left out"),
        ]
    return [(name, value) for name, value in facts if value]


def _estimates(answer: Document) -> list[Block | None]:
    note = "Methods rest on different assumptions, and some answer another question: read whose effect each number is."
    chart = charts.estimates_chart(answer)
    return [note if chart is not None else None, chart, tables.estimates_of(answer)]


def _graph(answer: Document, treatment: str) -> list[Block | None]:
    graph = (answer.get("diagnostics") or {}).get("graph") or {}
    remarks = [str(remark) for remark in graph.get("remarks") or ()]
    confirmation = str(graph.get("confirmation") or "")
    if graph.get("confirmed_by_dowhy") is not None and confirmation:
        remarks.append(f"{confirmation}.")
    return [charts.graph_chart(answer, treatment), *remarks]


def _overlap(answer: Document) -> list[Block | None]:
    overlap = (answer.get("diagnostics") or {}).get("overlap") or {}
    outside, trimmed = number(overlap.get("share_outside")), number(overlap.get("share_trimmed"))
    treated, control = number(overlap.get("effective_treated")), number(overlap.get("effective_control"))
    sentences = []
    if outside is not None:
        sentences.append(f"{percent(outside, 0.01)} of those asked about have no counterpart in the other arm.")
    if trimmed:
        sentences.append(f"{percent(trimmed, 0.01)} are left out where the arms are trimmed.")
    if treated is not None and control is not None:
        sentences.append(
            f"Weighted, the arms are worth {whole(round(treated))} treated and {whole(round(control))} controls"
            " (effective numbers)."
        )
    return [" ".join(sentences), charts.overlap_chart(answer)]


def _instruments(answer: Document) -> list[Block | None]:
    given = (answer.get("diagnostics") or {}).get("instrument") or {}
    two_stage, local = given.get("two_stage_least_squares") or {}, given.get("local_average_effect") or {}
    stage = two_stage.get("first_stage") or {}
    f, critical = number(stage.get("f_effective")), number(stage.get("critical"))
    explained, compliers = number(stage.get("partial_r2")), number(local.get("share_of_compliers"))
    sentences = []
    if f is not None:
        against = "" if critical is None else f", where {decimal(critical, 0.1)} keeps the bias small"
        sentences.append(f"Effective first-stage F {decimal(f, 0.1)}{against}.")
    if explained is not None:
        sentences.append(
            f"The instruments explain {percent(explained)} of what the confounders leave of the treatment."
        )
    if compliers is not None:
        sentences.append(f"They move {percent(compliers, 0.01)} of the units.")
    robust = (local.get("robust_set") or two_stage.get("robust_set") or {}).get("in_words")
    if robust:
        sentences.append(f"What holds for weak instruments too: {robust}.")
    contradiction = number((two_stage.get("overidentification") or {}).get("p_value"))
    if contradiction is not None:
        sentences.append(f"That the instruments agree: p {p_value(contradiction)}.")
    return [" ".join(sentences)]


def _sensitivity(answer: Document) -> list[Block | None]:
    sensitivity = answer.get("sensitivity") or {}
    return [
        *words.lead_on_sensitivity(sensitivity),
        charts.contour_chart(answer),
        tables.benchmarks_of(sensitivity),
    ]


def _heterogeneity(answer: Document, different: Document) -> list[Block | None]:
    if not different:
        return []
    reasons = [str(reason) for reason in different.get("reasons") or ()]
    if different.get("beats_constant"):
        verdict = "On held-out units, effects that differ predict better than one effect for everybody"
    else:
        verdict = "No model beats one effect for everybody on held-out units, so one effect is served; no drivers"
    blocks: list[Block | None] = [f"{verdict}: {'; '.join(reasons)}." if reasons else f"{verdict}."]
    found, spread = interval(different.get("average_effect")), number(different.get("sd_effect"))
    if different.get("beats_constant"):
        if found is not None and spread is not None:
            blocks.append(
                f"Average effect {words.brackets(*found)}; the predicted effects vary around it by"
                f" {decimal(spread)} (standard deviation)."
            )
        groups = charts.groups_chart(different.get("groups") or {}, "groups-chart", "By predicted effect")
        blocks += [charts.effects_chart(answer), groups]
    segments = list((different.get("segments") or {}).items())[:MOST_SEGMENTS]
    blocks += [charts.groups_chart(each, f"segment-{at}", f"By {name}") for at, (name, each) in enumerate(segments)]
    if different.get("beats_constant"):
        blocks += [charts.qini_chart(answer), tables.drivers_of(different), tables.slopes_of(different)]
    return blocks


def _policy(answer: Document, different: Document) -> list[Block | None]:
    policy = different.get("policy") or {}
    share = number(policy.get("share"))
    if share is None or not different.get("beats_constant"):
        return []
    sentences = [f"Treating those whose predicted effect is worth it means {percent(share, 0.01)} of the units."]
    compared = (
        ("value", "Over treating nobody it is worth {} per unit of all."),
        ("over_all", "Over treating everybody: {}."),
        ("over_random", "Over treating as many at random: {}."),
    )
    for key, sentence in compared:
        found = interval(policy.get(key))
        if found is not None:
            sentences.append(sentence.format(words.brackets(*found)))
    tree = policy.get("tree") or {}
    found = interval(tree.get("value"))
    rule: Block | None = None
    if tree.get("rule"):
        worth = "" if found is None else f" It is worth {words.brackets(*found)}."
        rule = f"In two questions: {tree['rule']}.{worth}"
    return [" ".join(sentences), rule, charts.policy_chart(answer)]


def _data(answer: Document) -> list[Block | None]:
    n, left = int(answer.get("n") or 0), int(answer.get("n_left_out") or 0)
    total = n + left
    told = (answer.get("diagnostics") or {}).get("data") or {}
    sentences = [f"{whole(n)} rows are used and {whole(left)} are left out"]
    sentences[0] += f" ({percent(left / total, 0.01)})." if left and total else "."
    for key, word in (("clusters", "clusters"), ("blocks", "blocks")):
        if told.get(key) is not None:
            sentences.append(f"They come in {whole(int(told[key]))} {word}.")
    if told.get("constant"):
        sentences.append(f"Without variation, and so not used: {', '.join(str(name) for name in told['constant'])}.")
    for name, count in (told.get("folded_levels") or {}).items():
        sentences.append(f"{whole(int(count))} rare levels of {name} are taken together.")
    return [" ".join(sentences), tables.left_out_of(answer)]


def _provenance(report: StudyReport) -> Facts | None:
    given = report.provenance
    lines = (
        ("Computed at", moment_in_words(given.computed_at) if given.computed_at else ""),
        ("Data through", day_in_words(given.data_through) if given.data_through else ""),
        ("Code version", given.code_version or ""),
        ("Declaration", given.declaration_hash or ""),
        ("Snapshot", given.snapshot_id or ""),
        ("How the rows were made", ", ".join(dict.fromkeys(given.provenance_ids))),
        ("Learned with", _settings(report.main)),
    )
    facts = tuple((name, value) for name, value in lines if value)
    return Facts(facts, is_mono=True) if facts else None


def _settings(answer: Document | None) -> str:
    """What the models of different effects were fitted with."""
    settings = ((answer or {}).get("heterogeneity") or {}).get("settings") or {}
    told = {name: settings[name] for name in ("seed", "splits", "folds") if name in settings}
    return ", ".join(f"{said(name)} {value}" for name, value in told.items())
