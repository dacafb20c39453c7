"""``causeway assign``: which variant a unit gets, by the same function as the API."""

from __future__ import annotations

from typing import Annotated

import typer

from causeway.assignment.evaluate import UnusableUnitError
from causeway.assignment.evaluate import assign as evaluate
from causeway.declarations.experiment import ExperimentDeclaration
from cli.house import open_house
from cli.terminal import WrongInput, console, print_json, table


def assign(
    experiment: Annotated[str, typer.Argument(help="Key of the experiment.")],
    unit_ids: Annotated[list[str], typer.Argument(help="One or more unit ids.")],
    tenant: Annotated[str, typer.Option(help="Tenant of the experiment.")] = "default",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Evaluate the assignment of units without recording it."""
    terminal = console(as_json)
    house = open_house(terminal.print)
    row = house.client.fetch_one(
        "SELECT declaration FROM registry.experiments WHERE tenant_id = %s AND key = %s", (tenant, experiment)
    )
    if row is None:
        raise WrongInput(f"tenant {tenant} has no experiment {experiment!r}; `causeway status` lists what there is")
    declaration = ExperimentDeclaration.model_validate(row[0])
    try:
        assigned = [(unit_id, evaluate(declaration, unit_id)) for unit_id in unit_ids]
    except UnusableUnitError as error:
        raise WrongInput(str(error)) from None
    if as_json:
        print_json([{"unit_id": unit, "variant": found.variant, "bucket": found.bucket} for unit, found in assigned])
        return
    shown = table(f"{experiment} ({tenant})", "unit", "variant", "bucket")
    for unit, found in assigned:
        shown.add_row(unit, found.variant, str(found.bucket))
    terminal.print(shown)
