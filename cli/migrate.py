"""``causeway migrate`` and ``causeway key``: schemas, roles, tenants and their keys."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from cli.house import open_house
from cli.terminal import console, print_json


def migrate(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Create or update databases, schemas, roles and row-level security; safe to run twice. Prints new keys once."""
    from resources.mlflow import connect

    terminal = console(as_json)
    house = open_house(terminal.print)
    terminal.print("preparing MLflow's store (about 15 s the first time)")
    connect(house.settings)
    found = house.migration
    terminal.print(f"{house.settings.database_name} on Postgres {found.server_version} is at revision {found.revision}")
    if as_json:
        print_json(
            {
                "server_version": found.server_version,
                "revision": found.revision,
                "keys": {made.tenant: made.key for made in found.new_keys},
            }
        )


def key(
    tenant: Annotated[str, typer.Argument(help="Tenant that the key is for.")],
    role: Annotated[
        Literal["developer", "client"],
        typer.Option(help="developer: every route; client: evaluate, assign and send events, so it may be published."),
    ] = "developer",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make another API key for a tenant and print it, once."""
    from resources.migration import ensure_tenant, new_key

    house = open_house(console(True).print)
    ensure_tenant(house.settings, tenant)
    made = new_key(house.settings, tenant, role=role)
    if as_json:
        print_json({"tenant": tenant, "role": role, "key": made.key})
    else:
        print(made.key)
