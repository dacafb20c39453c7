"""``causeway reproduce``: make a number again from the raw tables and compare it bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from cli.house import House, dagster_instance, definitions, open_house
from cli.terminal import Stopwatch, WrongInput, console, print_json

if TYPE_CHECKING:
    import dagster as dg

_COLUMNS = (
    "tenant_id",
    "asset",
    "partition_key",
    "code_version",
    "data_version",
    "known_at",
    "materialized_at",
    "row_count",
)


def reproduce(
    provenance_id: Annotated[str, typer.Argument(help="The provenance_id of a served row.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Recompute a partition from the append-only raw tables, as they were known then, and compare."""
    terminal, watch = console(as_json), Stopwatch()
    house = open_house(terminal.print)
    row = house.client.fetch_one(
        f"SELECT {', '.join(_COLUMNS)} FROM ops.provenance WHERE provenance_id = %s", (provenance_id,)
    )
    if row is None:
        raise WrongInput(f"there is no provenance {provenance_id!r}; rows served by the API carry theirs")
    recorded = dict(zip(_COLUMNS, row, strict=True))
    terminal.print(
        f"{recorded['asset']} {recorded['partition_key'] or ''}, made {recorded['materialized_at']:%Y-%m-%d %H:%M:%S}"
        f" from what was known at {recorded['known_at']:%Y-%m-%d %H:%M:%S.%f}"
    )
    with terminal.status("making it again in scratch schemas"), dagster_instance():
        found = make_again(house, recorded)
    answer = {
        "provenance_id": provenance_id,
        "asset": recorded["asset"],
        "partition": recorded["partition_key"],
        "known_at": recorded["known_at"],
        "rows": recorded["row_count"],
        "recorded": recorded["data_version"],
        "recomputed": found["data_version"],
        "rows_recomputed": found["rows"],
        "identical": found["data_version"] == recorded["data_version"],
        "code_version_then": recorded["code_version"],
        "code_version_now": found["code_version"],
        "failures": found["failures"],
    }
    if as_json:
        print_json(answer)
    else:
        verdict = "[green]identical to the last bit[/green]" if answer["identical"] else "[red]different[/red]"
        terminal.print(f"{verdict}: {answer['rows']} rows recorded, {answer['rows_recomputed']} made again, in {watch}")
        terminal.print(f"  recorded   {answer['recorded']}\n  recomputed {answer['recomputed']}")
        if answer["code_version_then"] != answer["code_version_now"]:
            terminal.print(
                f"  the code changed since: {answer['code_version_then']} then, {answer['code_version_now']} now"
            )
        for failure in answer["failures"]:
            terminal.print(f"  [red]failed[/red] {failure}")
    if not answer["identical"]:
        raise typer.Exit(1)


def make_again(house: House, recorded: dict[str, Any]) -> dict[str, Any]:
    """Run the asset and all that comes before it in scratch schemas; return the version and size of what came out."""
    import dagster as dg

    from assets import partitions
    from assets.publication import NOT_CONTENT
    from causeway.declarations.life_cycle import DORMANT
    from jobs.reproduce import run_again
    from resources.registry_rows import restore

    partition = recorded["partition_key"]
    tenant = partitions.split(partition)[0] if partition else ""
    scratch = house.client.with_prefix(f"again_{uuid4().hex[:12]}_")
    try:
        scratch.create_scratch()
        with scratch.transaction() as transaction:
            if partition:
                restore(transaction, tenant, recorded["materialized_at"])
        key = dg.AssetKey.from_user_string(recorded["asset"])
        defs = definitions()
        experiments = scratch.fetch_all(
            f"SELECT tenant_id || '|' || key FROM {scratch.table('registry.experiments')}"
            " WHERE coalesce(declaration ->> 'status', 'running') <> ALL(%s) ORDER BY 1",
            (list(DORMANT),),
        )
        studies = scratch.fetch_all(
            "SELECT tenant_id || '|' || study FROM (SELECT tenant_id, jsonb_array_elements_text("
            "declaration -> 'studies' || jsonb_build_array(declaration -> 'study')) AS study"
            f" FROM {scratch.table('registry.kpis')} WHERE tenant_id || '|' || key = %s) AS named"
            " WHERE study IS NOT NULL",
            (partition or "",),
        )
        failures = run_again(
            defs,
            key,
            partition,
            prefix=scratch.schema_prefix,
            known_at=recorded["known_at"].isoformat(),
            tenant=tenant,
            of_tenant=[each for (each,) in experiments],
            of_kpi=[each for (each,) in studies],
        )
        keys = partitions.keys_of(partition, _unit_of(defs, key)) if partition else {}
        table = ".".join(key.path)
        if scratch.fetch_one("SELECT to_regclass(%s)", (scratch.table(table),)) == (None,):
            return {"data_version": None, "rows": None, "code_version": None, "failures": failures}
        where = " AND ".join(f"{column} = %s" for column in keys) or "true"
        counted = scratch.fetch_one(f"SELECT count(*) FROM {scratch.table(table)} WHERE {where}", list(keys.values()))
        return {
            "data_version": scratch.content_hash(table, keys, NOT_CONTENT),
            "rows": counted[0] if counted else None,
            "code_version": defs.resolve_asset_graph().get(key).code_version,
            "failures": failures,
        }
    finally:
        scratch.drop_scratch()


def _unit_of(defs: dg.Definitions, key: dg.AssetKey) -> str:
    """What the second part of a partition key of this asset names, or tenant."""
    from assets.partitions import UNITS

    return UNITS[defs.resolve_asset_graph().get(key).tags["causeway/partitions"]]
