"""``causeway simulate``: a world whose truth is known, as files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.terminal import WrongInput, console, print_json


def simulate(
    world: Annotated[str, typer.Argument(help="pharma or planner.")],
    into: Annotated[Path, typer.Option(help="Folder for events.parquet and assignments.parquet.")] = Path("simulated"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same world.", min=0)] = 1,
    scale: Annotated[float, typer.Option(help="Multiplies the number of units.", min=0.001)] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the truth as one JSON document.")] = False,
) -> None:
    """Write a simulated world to Parquet files and print its true effects."""
    from causeway.simulate import WORLDS

    if world not in WORLDS:
        raise WrongInput(f"there is no world {world!r}: {', '.join(WORLDS)}")
    made = WORLDS[world](seed=seed, scale=scale)
    into.mkdir(parents=True, exist_ok=True)
    made.events.write_parquet(into / "events.parquet")
    made.assignments.write_parquet(into / "assignments.parquet")
    terminal = console(as_json)
    terminal.print(f"{made.events.height:,} events and {made.assignments.height:,} assignments in {into}/")
    if as_json:
        print_json(asdict(made.truth))
    else:
        for name, truth in made.truth.experiments.items():
            for effect in truth.effects:
                if effect.segment is None:
                    terminal.print(f"{name} {effect.metric} {effect.variant}: {effect.effect:+.4f}")
        for name, study in made.truth.studies.items():
            terminal.print(f"{name}: ATE {study.ate:+.4f}")
