"""``causeway erase``: delete what was received of a unit, for good."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from cli.house import open_house
from cli.terminal import WrongInput, console, print_json

# A plan stays when its experiment runs, so no refresh would take a unit out of the history that it was made from.
_HISTORIES_OF_PLANS = ("design.history_units", "design.history_values", "design.history_covariates")


def erase(
    tenant: Annotated[str, typer.Argument(help="Tenant of the unit.")],
    unit: Annotated[str, typer.Argument(help="Id of the unit.")],
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "asked for by the unit",
    by: Annotated[str | None, typer.Option(help="Who asks for it; the name of the user if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Delete a unit's records. The next refresh takes it out of every table and number that was made from them."""
    terminal = console(as_json)
    house = open_house(terminal.print)
    if house.client.fetch_one("SELECT 1 FROM registry.tenants WHERE tenant_id = %s", (tenant,)) is None:
        raise WrongInput(f"there is no tenant {tenant!r}")
    with house.client.transaction() as transaction:
        erased = dict(
            transaction.fetch_all(
                "SELECT relation, rows FROM raw.erase_unit(%s, %s, %s, %s)",
                (tenant, unit, reason, by or getpass.getuser()),
            )
        )
        for relation in _HISTORIES_OF_PLANS:
            if transaction.fetch_one("SELECT to_regclass(%s) IS NOT NULL", (relation,)) == (True,):
                erased[relation] = transaction.execute(
                    f"DELETE FROM {relation} WHERE tenant_id = %s AND unit_id = %s", (tenant, unit)
                )
    if as_json:
        print_json({"tenant": tenant, "unit": unit, "erased": erased})
        return
    for relation, rows in erased.items():
        terminal.print(f"{relation}: {rows:,} rows deleted")
    terminal.print("`causeway refresh` takes the unit out of what was made from them")
