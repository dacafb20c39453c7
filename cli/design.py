"""``causeway design``: from a draft and the tenant's own history to power, sample size and duration."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.status import Status

from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.reading import read_declaration
from cli.house import House, open_house
from cli.refresh import bring_up_to_date
from cli.terminal import WrongInput, console, print_json, table

_COLUMNS = (
    "metric",
    "interval",
    "covariate",
    "status",
    "reason",
    "method",
    "role",
    "direction",
    "alpha",
    "power",
    "n_history",
    "mean",
    "variance",
    "variance_factor",
    "effect_unit",
    "wanted_effect",
    "units",
    "n_treated",
    "n_control",
    "days",
    "days_low",
    "days_high",
    "last_day",
    "planned_days",
    "smallest_effect",
    "power_as_planned",
    "mc_error",
    "false_positive_rate",
    "false_positive_low",
    "false_positive_high",
    "replays",
    "verdict",
    "sentence",
    "by_day",
    "replay",
    "settings",
    "provenance_id",
)


def design(
    spec: Annotated[Path, typer.Argument(help="YAML with kind: experiment, status: draft, and a plan.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="SVG file for the smallest effect on the primary metric, by day.")
    ] = None,
) -> None:
    """Plan the draft that SPEC declares from the tenant's own history, and print the plan."""
    declaration = _declared(spec)
    if figure is not None and figure.suffix != ".svg":
        raise WrongInput(f"{figure}: the figure is an SVG; name it {figure.with_suffix('.svg')}")

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
        meanwhile=_progress,
    )
    answer = plan_answer(house, declaration.tenant, declaration.key)
    answer["failures"] = [reason for reasons in outcome.failures.values() for reason in reasons]
    if as_json:
        print_json(answer)
    else:
        show_plan(terminal, answer)
    if figure is not None:
        primary = declaration.primary_metric.key
        drawn = figure_of(answer, primary)
        if drawn is None:
            terminal.print(f"[yellow]no figure[/yellow] no day can be answered for {primary}")
        else:
            figure.write_bytes(drawn)
            terminal.print(f"{figure}: smallest effect on {primary}, by day")
    if outcome.failures or not answer["plans"]:
        raise typer.Exit(1)


def _declared(spec: Path) -> ExperimentDeclaration:
    if not spec.is_file():
        raise WrongInput(f"there is no file {spec}")
    try:
        text = spec.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise WrongInput(f"{spec} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    declaration = read_declaration(text, spec.name)
    if not isinstance(declaration, ExperimentDeclaration):
        raise WrongInput(f"{spec}: design takes kind: experiment, not kind: {declaration.kind}")
    if declaration.status != "draft":
        raise WrongInput(
            f"{spec}: the experiment is {declaration.status}, and a plan is made before it begins; write status: draft"
        )
    if declaration.plan is None:
        raise WrongInput(f"{spec}: there is no plan; add plan: {{}} for one with every default")
    return declaration


@contextmanager
def _progress(status: Status) -> Iterator[None]:
    """What is being simulated, in the line that says what is being done."""

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            status.update(record.getMessage())

    logger, handler = logging.getLogger("causeway.design"), Shown()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


def plan_answer(house: House, tenant: str, experiment: str) -> dict[str, Any]:
    """What is served of one plan: each metric in each way of analysing it."""
    rows = house.client.fetch_all(
        f"SELECT {', '.join(_COLUMNS)} FROM serving.experiment_plans WHERE tenant_id = %s AND experiment = %s"
        " ORDER BY position, interval DESC, covariate <> 'none', covariate",
        (tenant, experiment),
    )
    plans = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    return {
        "experiment": experiment,
        "tenant": tenant,
        "planned_days": next((plan["planned_days"] for plan in plans), None),
        "plans": plans,
        "provenance_ids": sorted({plan["provenance_id"] for plan in plans}),
    }


def show_plan(terminal: Console, answer: dict[str, Any]) -> None:
    """A table of what is needed and shown, one of true error rates, and the plan in words."""
    days = answer["planned_days"]
    needs = table(
        f"{answer['experiment']} ({answer['tenant']})" + (f": {days} days are planned" if days else ""),
        "metric", "interval", "covariate", "history", "mean", "variance left", "wanted", "units", "days",
        "smallest effect", "power",
        text=3,
    )  # fmt: skip
    errors = table(
        "Replays of the history without an effect", "metric", "interval", "covariate", "false positives",
        "99 % interval", "replays", "verdict", text=3,
    )  # fmt: skip
    for plan in answer["plans"]:
        way = plan["metric"], plan["interval"].replace("_", " "), plan["covariate"].replace("_", " ")
        is_ok = plan["status"] == "ok"
        needs.add_row(
            *way,
            f"{plan['n_history']:,}",
            "-" if plan["mean"] is None else f"{plan['mean']:,.4g}",
            _percent(plan["variance_factor"]),
            _size(plan["wanted_effect"], plan["effect_unit"]),
            "-" if plan["units"] is None else f"{plan['units']:,}",
            _days(plan),
            _size(plan["smallest_effect"], plan["effect_unit"]) if is_ok else f"[yellow]{plan['status']}[/yellow]",
            _percent(plan["power_as_planned"]),
        )
        if plan["false_positive_rate"] is not None:
            colour = {"valid": "green", "too_many_false_positives": "red"}.get(plan["verdict"], "yellow")
            errors.add_row(
                *way,
                _percent(plan["false_positive_rate"]),
                f"{_percent(plan['false_positive_low'])} to {_percent(plan['false_positive_high'])}",
                f"{plan['replays']:,}",
                f"[{colour}]{plan['verdict'].replace('_', ' ')}[/{colour}]",
            )
    terminal.print(needs)
    terminal.print(errors)
    # What will be looked at repeatedly is told as it will be analysed.
    repeated = [plan for plan in answer["plans"] if plan["interval"] != "fixed_horizon"]
    for sentence in dict.fromkeys(plan["sentence"] for plan in repeated or answer["plans"]):
        terminal.print(sentence)
    for failure in answer.get("failures", []):
        terminal.print(f"[red]failed[/red] {failure}")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _size(size: float | None, unit: str | None) -> str:
    return "-" if size is None else f"{size:,.4g}" if unit == "absolute" else f"{100 * size:.1f} %"


def _days(plan: dict[str, Any]) -> str:
    if plan["days"] is None:
        return "-"
    return f"{plan['days']} ({plan['days_low']} to {plan['days_high'] or '…'})"


def figure_of(answer: dict[str, Any], metric: str) -> bytes | None:
    """SVG of the smallest effect on a metric by day, a line a way of analysing it; None where no day is known."""
    from causeway.design.duration import ReachableEffect
    from causeway.plots.mde_curve import UNITS_OF_EFFECTS, line_of, mde_curve_plot

    plans = [plan for plan in answer["plans"] if plan["metric"] == metric and plan["by_day"]]
    if not plans:
        return None
    curves = {
        line_of(plan["interval"], plan["covariate"]): [
            ReachableEffect(row["day"], row["units"], row["effect"], row["low"], row["high"]) for row in plan["by_day"]
        ]
        for plan in plans
    }
    unit = plans[0]["effect_unit"]
    return mde_curve_plot(
        curves,
        title=f"{answer['experiment']}: smallest effect on {metric}",
        unit=UNITS_OF_EFFECTS[unit],
        relevant=plans[0]["wanted_effect"],
        planned_day=answer["planned_days"],
        percent=unit != "absolute",
        svg=True,
    )
