"""``causeway bench``: figures beside their anchors, measured in one run."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from cli.terminal import WrongInput, console, print_json, table

if TYPE_CHECKING:
    from benchmarks.causal_validity import CausalValidity
    from benchmarks.figure import Figure
    from benchmarks.validity import Validity

VALIDITY = "validity"
"""The one benchmark that prints rates instead of figures."""


class Suite(StrEnum):
    """What `validity` is about."""

    EXPERIMENTS = "experiments"
    CAUSAL = "causal"


def bench(
    names: Annotated[list[str], typer.Argument(help="Benchmarks to run, such as spine.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    runs: Annotated[int | None, typer.Option(min=100, help="validity: simulated trials of each kind.")] = None,
    quick: Annotated[bool, typer.Option(help="validity: few trials, in under a minute.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="validity: another seed than the usual one.")] = None,
    suite: Annotated[
        Suite | None, typer.Option(help="validity: experiments (the usual one), or causal: effects and verdicts.")
    ] = None,
) -> None:
    """Run benchmarks and print value, anchor, ratio and target of each figure.

    validity prints error rates and coverage by metric type and method, or with --suite causal coverage and width of the
    effects of studies, and rates of verdicts; the exit code is 1 where one misses its target.
    """
    from benchmarks import BENCHMARKS

    unknown = [name for name in names if name not in (*BENCHMARKS, VALIDITY)]
    if unknown:
        raise WrongInput(f"there is no benchmark {', '.join(unknown)}; there is {', '.join((*BENCHMARKS, VALIDITY))}")
    if VALIDITY not in names and (quick or runs is not None or seed is not None or suite is not None):
        raise WrongInput("--runs, --quick, --seed and --suite belong to the benchmark validity")
    terminal = console(as_json)
    figures = [figure for name in names if name != VALIDITY for figure in BENCHMARKS[name](terminal.print)]
    documents = [figure.as_document() for figure in figures]
    if figures and not as_json:
        terminal.print(_figures(figures))
    met = True
    if VALIDITY in names:
        found: Validity | CausalValidity
        if suite == Suite.CAUSAL:
            found = _causal_validity(terminal, runs, quick, seed)
        else:
            found = _validity(terminal, runs, quick, seed)
        met = found.met
        documents += found.as_documents()
        if not as_json:
            _show(terminal, found)
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


def _show(terminal: Console, found: Validity | CausalValidity) -> None:
    from benchmarks.validity import Validity

    if isinstance(found, Validity):
        show_validity(terminal, found)
    else:
        show_causal_validity(terminal, found)


def _causal_validity(terminal: Console, runs: int | None, quick: bool, seed: int | None) -> CausalValidity:
    from benchmarks.causal_validity import QUICK_RUNS, RUNS, SEED, causal_validity

    with Progress(console=terminal, transient=True) as bar:
        task = bar.add_task("validity", total=None)
        return causal_validity(
            lambda done, total, what: bar.update(task, completed=done, total=total, description=what),
            runs=runs or (QUICK_RUNS if quick else RUNS),
            seed=SEED if seed is None else seed,
        )


def show_causal_validity(terminal: Console, found: CausalValidity) -> None:
    """Coverage and width of intervals, bias with a wrong nuisance, verdicts, and whether numbers are the same again."""
    from benchmarks.causal_validity import ERRORS

    columns = ("", "bias, sd", "covered", "oracle covers", "width / oracle's", "target", "verdict")
    rates = table(f"causal validity, seed {found.seed}", *columns, text=1)
    for row in found.rows:
        rates.add_row(
            row.row,
            f"{row.bias:+.3f} ± {row.bias_error:.3f}",
            "" if row.covered is None else f"{row.covered:.1%} ± {row.error:.1%}",
            "" if row.oracle_covered is None else f"{row.oracle_covered:.1%}",
            "" if row.width is None else f"{row.width:.2f}",
            row.note or row.target,
            _verdict(row.met),
        )
    verdicts = table("verdicts", "study", "runs", "credible", "caution", "withheld", "target", "verdict", text=1)
    for each in found.verdicts:
        shares = (f"{share:.0%}" for share in (each.credible, each.caution, each.withheld))
        verdicts.add_row(each.scenario, str(each.runs), *shares, each.target, _verdict(each.met))
    same = table("the same to the last bit", "computed", "verdict", text=1)
    for way in found.determinism:
        same.add_row(way.computed, _verdict(way.met))
    for shown in (rates, verdicts, same):
        terminal.print(shown)
    terminal.print(f"{found.rows[0].runs:,} runs a row; ± is one Monte-Carlo error, {ERRORS:.1f} are allowed.")


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
