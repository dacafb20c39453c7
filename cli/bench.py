"""``causeway bench``: figures beside their anchors, measured in one run."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.terminal import WrongInput, console, print_json, table


def bench(
    names: Annotated[list[str], typer.Argument(help="Benchmarks to run, such as spine.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run benchmarks and print value, anchor, ratio and target of each figure."""
    from benchmarks import BENCHMARKS

    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise WrongInput(f"there is no benchmark {', '.join(unknown)}; there is {', '.join(BENCHMARKS)}")
    terminal = console(as_json)
    figures = [figure for name in names for figure in BENCHMARKS[name](terminal.print)]
    if as_json:
        print_json([figure.as_document() for figure in figures])
        return
    shown = table("", "figure", "unit", "value", "anchor", "ratio", "target", "met", text=2)
    for figure in figures:
        shown.add_row(
            figure.name,
            figure.unit,
            f"{figure.value:,.3g}",
            f"{figure.anchor}: {figure.anchor_value:,.3g}",
            f"{figure.ratio:,.3g}",
            figure.target,
            "yes" if figure.met else "[red]no[/red]",
        )
    terminal.print(shown)
