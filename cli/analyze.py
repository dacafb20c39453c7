"""``causeway analyze``: from a spec and its file to an honest effect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.reading import read_declaration
from causeway.declarations.study import StudyDeclaration
from cli.house import House, open_house
from cli.refresh import bring_up_to_date
from cli.terminal import WrongInput, console, interval, number, print_json, signed, table

_RESULT_COLUMNS = (
    "metric",
    "segment",
    "variant",
    "control",
    "method",
    "interval",
    "is_headline",
    "status",
    "n",
    "n_control",
    "mean",
    "mean_control",
    "effect",
    "std_error",
    "ci_low",
    "ci_high",
    "p_value",
    "relative_effect",
    "relative_ci_low",
    "relative_ci_high",
    "adjusted_p_value",
    "is_significant",
    "chance_to_beat",
    "expected_loss",
    "reasons",
    "provenance_id",
)
_ALLOWANCES = {"always_valid": ", at any look", "group_sequential": ", at planned looks"}


def analyze(
    spec: Annotated[
        Path, typer.Argument(help="YAML with kind: experiment or kind: study, and a source that names a file.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Land the file that SPEC names, analyse it, and print the result."""
    if not spec.is_file():
        raise WrongInput(f"there is no file {spec}")
    try:
        text = spec.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise WrongInput(f"{spec} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    declaration = read_declaration(text, spec.name)
    if not isinstance(declaration, ExperimentDeclaration | StudyDeclaration):
        raise WrongInput(f"{spec}: analyze takes kind: experiment or kind: study, not kind: {declaration.kind}")
    if declaration.source is None:
        raise WrongInput(f"{spec}: there is no source; add source: {{file: ..., variant: ...}}")

    from resources.registry import register

    terminal = console(as_json)
    house = open_house(terminal.print)
    with house.client.transaction() as transaction:
        register(transaction, declaration, spec.resolve())
    outcome = bring_up_to_date(
        house,
        terminal,
        register=False,
        only=lambda work: work.job == "conform" or work.partition == declaration.partition_key,
    )
    if isinstance(declaration, ExperimentDeclaration):
        answer = experiment_answer(house, declaration.tenant, declaration.key)
        show = show_experiment
    else:
        answer = study_answer(house, declaration.tenant, declaration.key)
        show = show_study
    answer["failures"] = [reason for reasons in outcome.failures.values() for reason in reasons]
    answer["failures"] += landing_refused(house, declaration.tenant, declaration.key)
    if as_json:
        print_json(answer)
    else:
        show(terminal, answer)
    if answer["failures"] or not answer["provenance_ids"]:
        raise typer.Exit(1)


def landing_refused(house: House, tenant: str, source: str) -> list[str]:
    """Why the newest landing of a file is not used, in a sentence; nothing if it is."""
    newest = house.client.fetch_one(
        "SELECT landing_id, accepted, events FROM raw.landings WHERE tenant_id = %s AND source = %s"
        " ORDER BY received_at DESC, landing_id DESC LIMIT 1",
        (tenant, source),
    )
    if newest is None or newest[1]:
        return []
    refused = house.client.fetch_all(
        "SELECT code, count(*), (array_agg(reason ORDER BY row_number))[1] FROM raw.quarantine"
        " WHERE tenant_id = %s AND source = %s GROUP BY code ORDER BY count(*) DESC, code",
        (tenant, newest[0]),
    )
    if not refused:
        return ["the file was landed and is not used: it has no rows below its header"]
    listed = "; ".join(f"{count:,} times {code}, first: {reason}" for code, count, reason in refused)
    return [f"the file was landed and is not used, for too much of it was quarantined: {listed}"]


def experiment_answer(house: House, tenant: str, experiment: str) -> dict[str, Any]:
    """What is served of one experiment: gates, effects or the reasons why there are none, and the decision."""
    client = house.client
    key = (tenant, experiment)
    health = client.fetch_all(
        "SELECT check_name, passed, blocking, p_value, observed, expected, detail FROM serving.experiment_health"
        " WHERE tenant_id = %s AND experiment = %s ORDER BY check_name",
        key,
    )
    rows = client.fetch_all(
        f"SELECT {', '.join(_RESULT_COLUMNS)} FROM serving.experiment_results WHERE tenant_id = %s AND experiment = %s"
        " ORDER BY position, segment NULLS FIRST, variant, method DESC, interval DESC",
        key,
    )
    decision = client.fetch_one(
        "SELECT decision, decision_reasons, units FROM serving.experiments WHERE tenant_id = %s AND experiment = %s",
        key,
    )
    results = [dict(zip(_RESULT_COLUMNS, row, strict=True)) for row in rows]
    names = ("passed", "blocking", "p_value", "observed", "expected", "detail")
    closed = [f"{row[0]}: {row[6]}" for row in health if row[2] and not row[1]]
    return {
        "experiment": experiment,
        "tenant": tenant,
        "status": "withheld" if closed else "ok" if results else "pending",
        "reasons": closed,
        "health": {row[0]: dict(zip(names, row[1:], strict=True)) for row in health},
        "results": results,
        "decision": {"decision": decision[0], "reasons": decision[1]} if decision else None,
        "units": decision[2] if decision else None,
        "provenance_ids": sorted({row["provenance_id"] for row in results}),
    }


_STUDY_PARTS = (
    "verdict", "reasons", "estimand", "estimates", "headline", "n", "n_left_out", "left_out", "rules", "refutations",
    "diagnostics", "sensitivity", "heterogeneity", "provenance_id",
)  # fmt: skip


def study_answer(house: House, tenant: str, study: str) -> dict[str, Any]:
    """What is served of one study: the answer to the declared question, and those of other outcomes and segments."""
    rows = house.client.fetch_all(
        f"SELECT outcome, segment, {', '.join(_STUDY_PARTS)} FROM serving.study_answers"
        " WHERE tenant_id = %s AND study = %s ORDER BY outcome, segment",
        (tenant, study),
    )
    declared = house.client.fetch_one(
        "SELECT declaration -> 'outcome' ->> 'column' FROM registry.studies WHERE tenant_id = %s AND key = %s",
        (tenant, study),
    )
    found = [dict(zip(("outcome", "segment", *_STUDY_PARTS), row, strict=True)) for row in rows]
    first = next((each for each in found if declared and (each["outcome"], each["segment"]) == (declared[0], "")), None)
    empty: dict[str, Any] = dict.fromkeys(_STUDY_PARTS) | {
        "reasons": [],
        "estimates": [],
        "refutations": [],
        "rules": [],
    }
    return {
        "study": study,
        "tenant": tenant,
        **(first or empty),
        "further": [each for each in found if each is not first],
        "provenance_ids": sorted({each["provenance_id"] for each in found}),
    }


def show_experiment(terminal: Console, answer: dict[str, Any]) -> None:
    """Gates that are not open, effects, decision."""
    for name, gate in answer["health"].items():
        if not gate["passed"]:
            colour = "red" if gate["blocking"] else "yellow"
            terminal.print(
                f"[{colour}]{'closed' if gate['blocking'] else 'warning'}[/{colour}] {name}: {gate['detail']}"
            )
    srm = answer["health"].get("srm")
    if srm and srm["passed"] and srm["p_value"] is not None:
        terminal.print(f"[green]open[/green] srm: p = {srm['p_value']:.3g} over {answer['units']:,} units")
    effects = table(
        f"{answer['experiment']} ({answer['tenant']})",
        "metric",
        "variant",
        "n",
        "mean",
        "control",
        "effect",
        "95 % interval",
        "relative",
        "p",
        "method",
        text=2,
    )
    for row in answer["results"]:
        variant = f"{row['variant']}, {row['segment']}" if row["segment"] else row["variant"]
        effects.add_row(
            row["metric"],
            variant,
            f"{row['n']:,}",
            number(row["mean"], 4),
            number(row["mean_control"], 4),
            signed(row["effect"], 4) if row["status"] == "ok" else f"[yellow]{row['status']}[/yellow]",
            interval(row["ci_low"], row["ci_high"], 4),
            "-" if row["relative_effect"] is None else f"{100 * row['relative_effect']:+.1f} %",
            "-" if row["p_value"] is None else f"{row['p_value']:.2g}",
            row["method"] + _ALLOWANCES.get(row["interval"], "") + (" *" if row["is_headline"] else ""),
        )
    terminal.print(effects)
    if any(row["is_headline"] for row in answer["results"]):
        terminal.print("* what the metric and variant are judged by", style="dim")
    if answer["decision"] and answer["decision"]["decision"]:
        terminal.print(f"decision: [bold]{answer['decision']['decision']}[/bold]")
        for reason in answer["decision"]["reasons"] or []:
            terminal.print(f"  {reason}")
    for failure in answer.get("failures", []):
        terminal.print(f"[red]failed[/red] {failure}")


def show_study(terminal: Console, answer: dict[str, Any]) -> None:
    """Verdict, estimates with their targets, attempts to refute, further outcomes and segments."""
    colour = {"credible": "green", "caution": "yellow", "withheld": "red"}.get(answer["verdict"], "white")
    terminal.print(f"{answer['study']} ({answer['tenant']}): [bold {colour}]{answer['verdict']}[/bold {colour}]")
    for reason in answer["reasons"]:
        terminal.print(f"  {reason}", markup=False)
    if answer["estimand"]:
        terminal.print(answer["estimand"]["in_words"], style="dim", markup=False)
    if answer["n_left_out"]:
        reasons = ", ".join(f"{rows:,} {reason}" for reason, rows in answer["left_out"].items())
        terminal.print(f"{answer['n']:,} units; left out: {reasons}", markup=False)
    estimates = table("", "method", "target", "n", "effect", "95 % interval", "p", text=2)
    headline = (answer["headline"] or {}).get("method")
    for row in answer["estimates"]:
        estimates.add_row(
            row["method"] + (" *" if row["method"] == headline else ""),
            row["target"],
            f"{row['n']:,}",
            signed(row["effect"], 4) if row["status"] == "ok" else f"[yellow]{row['status']}[/yellow]",
            interval(row["ci_low"], row["ci_high"], 4),
            "-" if row["p_value"] is None else f"{row['p_value']:.2g}",
        )
    terminal.print(estimates)
    if headline:
        terminal.print("* what the verdict is about", style="dim")
    for refutation in answer["refutations"]:
        found = refutation["problem_found"]
        verdict = "not carried out" if found is None else "problem found" if found else "no problem found"
        terminal.print(f"  {refutation['name']}: {verdict}; {refutation['detail']}", markup=False)
    if answer["further"]:
        _show_further(terminal, answer["further"])
    for failure in answer.get("failures", []):
        terminal.print(f"[red]failed[/red] {failure}")


def _show_further(terminal: Console, answers: list[dict[str, Any]]) -> None:
    shown = table(
        "further outcomes and segments", "outcome", "segment", "n", "effect", "95 % interval", "verdict", text=2
    )
    for answer in answers:
        row = answer["headline"] or {}
        effect = row.get("effect")
        shown.add_row(
            answer["outcome"],
            answer["segment"] or "everybody",
            f"{answer['n']:,}",
            "-" if effect is None else signed(effect, 4),
            interval(row.get("ci_low"), row.get("ci_high"), 4),
            answer["verdict"],
        )
    terminal.print(shown)
