"""``causeway refresh``: bring everything that is stale or missing up to date."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.status import Status

from cli.house import House, dagster_instance, definitions, open_house
from cli.terminal import Stopwatch, console, print_json

if TYPE_CHECKING:
    from jobs.refresh import Ran

_STEPS = {
    "land": "landed",
    "conform": "typed and de-duplicated",
    "design_experiment": "planned",
    "analyse_experiment": "analysed",
    "analyse_study": "studied",
    "publish_experiment": "published",
    "publish_study": "published",
    "analyse_kpi": "allocated",
    "publish_kpi": "published",
}


@dataclass
class Outcome:
    """What a refresh did."""

    runs: list[Ran] = field(default_factory=list)

    @property
    def materialised(self) -> int:
        return sum(ran.materialised for ran in self.runs)

    @property
    def closed(self) -> dict[str, tuple[str, ...]]:
        return {ran.work.partition or "": ran.closed_gates for ran in self.runs if ran.closed_gates}

    @property
    def failures(self) -> dict[str, tuple[str, ...]]:
        return {f"{ran.work.job} {ran.work.partition or ''}".strip(): ran.failures for ran in self.runs if ran.failures}


def bring_up_to_date(
    house: House,
    terminal: Console,
    *,
    register: bool = True,
    only: Callable[[Any], bool] = lambda _: True,
    meanwhile: Callable[[Status], AbstractContextManager[object]] = nullcontext,
) -> Outcome:
    """Register the declarations, then run what is stale, a line for every run.

    ``meanwhile`` may tell the status line more of what is being done.
    """
    from jobs.observe import observe
    from jobs.refresh import refresh as refreshed
    from resources.registry import register_folder, register_landing_files

    if register:
        register_folder(house.client, house.settings.project_root / "declarations")
        found = register_landing_files(house.client, house.settings.project_root / "landing")
        for refusal in found.refused:
            terminal.print(f"[yellow]refused[/yellow] {refusal}")
    outcome = Outcome()
    with terminal.status("loading the graph") as status, meanwhile(status), dagster_instance() as instance:
        defs = definitions()
        status.update("looking for what is stale")
        for ran in refreshed(
            defs,
            instance,
            lambda: observe(instance, house.client),
            only=only,
            started=lambda work: status.update(f"{work.job} {work.partition or ''}: {len(work.assets)} assets"),
        ):
            outcome.runs.append(ran)
            terminal.print(_line(ran))
            status.update("looking for what is stale")
    return outcome


def _line(ran: Ran) -> str:
    what = f"{_STEPS[ran.work.job]:<24}{ran.work.partition or 'all tenants':<34}"
    made = f"{ran.materialised:>3} assets  {ran.seconds:5.1f} s"
    if ran.failures:
        return f"[red]failed[/red]  {what}{made}  {'; '.join(ran.failures)[:400]}"
    if ran.closed_gates:
        return f"[yellow]closed[/yellow]  {what}{made}  gate: {', '.join(ran.closed_gates)}"
    return f"[green]done[/green]    {what}{made}"


def refresh(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Make what is stale or missing, and nothing else."""
    terminal, watch = console(as_json), Stopwatch()
    outcome = bring_up_to_date(open_house(terminal.print), terminal)
    terminal.print(summary(outcome, watch))
    if as_json:
        print_json(
            {
                "runs": len(outcome.runs),
                "materialised": outcome.materialised,
                "closed_gates": outcome.closed,
                "failures": outcome.failures,
            }
        )
    if outcome.failures:
        raise typer.Exit(1)


def summary(outcome: Outcome, watch: Stopwatch) -> str:
    """One line: what was done, or that there was nothing to do."""
    if not outcome.runs:
        return f"nothing to do: every partition is up to date ({watch})"
    return f"{len(outcome.runs)} runs made {outcome.materialised} asset partitions in {watch}"
