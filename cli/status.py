"""``causeway status`` and ``causeway schema``."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.house import dagster_instance, definitions, open_house
from cli.terminal import console, print_json, table


def status(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """What there is, what is withheld, and what is stale."""
    from jobs.observe import observe
    from jobs.plan import next_work

    terminal = console(as_json)
    house = open_house(terminal.print)
    served = (
        house.client.fetch_all(
            "SELECT tenant_id, experiment, units, gates_passed, decision, computed_at"
            " FROM serving.experiments ORDER BY 1, 2"
        )
        if house.client.fetch_one("SELECT to_regclass('serving.experiments')") != (None,)
        else []
    )
    with terminal.status("looking for what is stale"), dagster_instance() as instance:
        graph = definitions().resolve_asset_graph()
        observe(instance, house.client)
        work = next_work(instance, graph)
    if as_json:
        print_json(
            {
                "database": str(house.settings.address()),
                "revision": house.migration.revision,
                "experiments": [
                    dict(
                        zip(
                            ("tenant", "experiment", "units", "gates_passed", "decision", "computed_at"),
                            row,
                            strict=True,
                        )
                    )
                    for row in served
                ],
                "next": [
                    {
                        "job": each.job,
                        "partition": each.partition,
                        "assets": [key.to_user_string() for key in each.assets],
                    }
                    for each in work
                ],
            }
        )
        return
    terminal.print(f"database {house.settings.address()}, revision {house.migration.revision}")
    shown = table("experiments", "tenant", "experiment", "units", "gates", "decision", text=2)
    for tenant, experiment, units, passed, decision, _ in served:
        gates = "-" if passed is None else "open" if passed else "closed"
        shown.add_row(tenant, experiment, f"{units:,}", gates, decision or "-")
    terminal.print(shown)
    terminal.print(
        "every partition is up to date"
        if not work
        else f"next: {work[0].job}, {sum(len(each.assets) for each in work)} asset partitions;"
        " `causeway refresh` makes them"
    )


def schema() -> None:
    """Print the JSON Schema of declarations, for editors."""
    from causeway.declarations.reading import json_schema

    print_json(json_schema())
