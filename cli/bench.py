"""``causeway bench``: figures beside their anchors, measured in one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from cli.terminal import WrongInput, console, print_json, table

if TYPE_CHECKING:
    from benchmarks.figure import Figure
    from benchmarks.validity import Validity

VALIDITY = "validity"
"""The one benchmark that prints rates instead of figures."""


def bench(
    names: Annotated[list[str], typer.Argument(help="Benchmarks to run, such as spine.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    runs: Annotated[int | None, typer.Option(min=100, help="validity: simulated trials of each kind.")] = None,
    quick: Annotated[bool, typer.Option(help="validity: few trials, in under a minute.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="validity: another seed than the usual one.")] = None,
) -> None:
    """Run benchmarks and print value, anchor, ratio and target of each figure.

    validity prints error rates and coverage by metric type and method; the exit code is 1 where one misses its target.
    """
    from benchmarks import BENCHMARKS

    unknown = [name for name in names if name not in (*BENCHMARKS, VALIDITY)]
    if unknown:
        raise WrongInput(f"there is no benchmark {', '.join(unknown)}; there is {', '.join((*BENCHMARKS, VALIDITY))}")
    if VALIDITY not in names and (quick or runs is not None or seed is not None):
        raise WrongInput("--runs, --quick and --seed belong to the benchmark validity")
    terminal = console(as_json)
    figures = [figure for name in names if name != VALIDITY for figure in BENCHMARKS[name](terminal.print)]
    documents = [figure.as_document() for figure in figures]
    if figures and not as_json:
        terminal.print(_figures(figures))
    met = True
    if VALIDITY in names:
        found = _validity(terminal, runs, quick, seed)
        met = found.met
        documents += found.as_documents()
        if not as_json:
            show_validity(terminal, found)
    if as_json:
        print_json(documents)
    if not met:
        raise typer.Exit(1)


def _figures(figures: Sequence[Figure]) -> Table:
    shown = table("", "figure", "unit", "value", "anchor", "ratio", "target", "met", text=2)
    for figure in figures:
        shown.add_row(
            figure.name,
            figure.unit,
            f"{figure.value:,.3g}",
            f"{figure.anchor}: {figure.anchor_value:,.3g}",
            f"{figure.ratio:,.3g}",
            figure.target,
            _verdict(figure.met),
        )
    return shown


def _validity(terminal: Console, runs: int | None, quick: bool, seed: int | None) -> Validity:
    from benchmarks.validity import QUICK_RUNS, RUNS, SEED, validity

    with Progress(console=terminal, transient=True) as bar:
        task = bar.add_task("validity", total=None)
        return validity(
            lambda done, total, what: bar.update(task, completed=done, total=total, description=what),
            runs=runs or (QUICK_RUNS if quick else RUNS),
            seed=SEED if seed is None else seed,
        )


def show_validity(terminal: Console, found: Validity) -> None:
    """Rates of every pair of metric type and method, pairs that are not defined, and CUPED's variance."""
    from benchmarks.validity import ERRORS

    columns = ("metric type", "method", "n an arm", "looks", "false positives", "covered", "target", "verdict")
    rates = table(f"validity, seed {found.seed}", *columns, text=2)
    undefined = table("not defined", "metric type", "method", "why", text=3)
    for cell in found.cells:
        if cell.false_positives is None:
            undefined.add_row(cell.metric, cell.method, cell.note)
            continue
        rates.add_row(
            cell.metric,
            cell.method,
            f"{cell.n:,}",
            str(cell.looks),
            f"{cell.false_positives:.2%} ± {cell.error:.2%}",
            f"{cell.covered:.2%} ± {cell.cover_error:.2%}",
            cell.target,
            _verdict(cell.met),
        )
    factors = table("variance of CUPED over that of the plain difference", "rho", "factor", "1 - rho^2", "verdict")
    for factor in found.factors:
        factors.add_row(
            f"{factor.rho:g}",
            f"{factor.factor:.4f} ± {factor.error:.4f}",
            f"{factor.expected:.4f}",
            _verdict(factor.met),
        )
    for each in (rates, undefined, factors):
        terminal.print(each)
    terminal.print(
        f"{found.factors[0].runs:,} runs without an effect and as many with one; ± is one Monte-Carlo error,"
        f" {ERRORS:.1f} are allowed."
    )
    for cell in found.cells:
        if cell.false_positives is not None and cell.note:
            terminal.print(f"{cell.metric}, {cell.method}: {cell.note}.")


def _verdict(met: bool | None) -> str:
    return "-" if met is None else "yes" if met else "[red]no[/red]"
