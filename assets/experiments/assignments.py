from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pyarrow as pa

from assets import declared, partitions
from assets.publication import cut_off, publish
from causeway.assignment.batch.columns import TARGETING_KEY
from causeway.assignment.batch.reach import reach_of
from causeway.assignment.batch.table import assign_table
from causeway.declarations.experiment import ExperimentDeclaration
from resources.flags_in_force import flags_in_force, stored_assignments
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresTransaction

KEY = dg.AssetKey(["experiments", "assignments"])
SCHEMA = {
    "unit_id": pl.String,
    "variant": pl.String,
    "in_experiment": pl.Boolean,
    "status": pl.String,
    "reason": pl.String,
    "bucket": pl.Int64,
    "sticky": pl.Boolean,
    "layer": pl.String,
    "holdout": pl.String,
    "randomization_unit": pl.String,
    "unit_attribute": pl.String,
    "window_start": pl.Datetime("us", "UTC"),
    "policy_version": pl.String,
}
FROM_A_TABLE = "none: the units of this experiment and their variants come from a table"


@dg.asset(
    key=KEY,
    deps=[["registry", "policies"], ["experiments", "known_units"]],
    partitions_def=partitions.experiments,
    group_name="experiments",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "experiments"},
    code_version="1",
    description=(
        "What every known unit is assigned, or would be if it asked: the variant that is stored of it, or the one that"
        " its hash gives it, and why a unit is in none. Units are known by their newest event of the type that the"
        " experiment declares. One row per tenant, experiment and known unit."
    ),
)
def assignments(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    declaration = declared.experiment(postgres, context.partition_key)
    if declaration.source is not None:
        return publish(
            context, postgres, pl.DataFrame(schema=SCHEMA), unit="experiment", metadata={"units": FROM_A_TABLE}
        )
    with postgres.client().transaction() as transaction:
        at = cut_off(postgres, transaction) or datetime.now(UTC)
        flags = flags_in_force(transaction, declaration.tenant)
        reach = reach_of(flags, declaration.key)
        units = known_units(transaction, declaration, [name for name in reach.attributes if name != TARGETING_KEY])
        # A unit that was landed after the cut-off may have been assigned long before it.
        stored = stored_assignments(
            transaction, declaration.tenant, reach.experiments, at, among=transaction.table("events.exposures")
        )
    assigned = _frame(assign_table(flags, declaration.key, units, at=at, sticky=stored))
    return publish(
        context,
        postgres,
        assigned,
        unit="experiment",
        metadata={
            "units": units.num_rows,
            "assigned_as_of": at.isoformat(),
            "policy_version": flags.flags[declaration.key].policy_version,
            "variants": dg.MetadataValue.md(_table(assigned)),
        },
    )


def known_units(
    transaction: PostgresTransaction, declaration: ExperimentDeclaration, attributes: Sequence[str]
) -> pa.Table:
    """unit_id and these properties as JSON."""
    wanted = "".join(f", properties -> %s AS attribute_{number}" for number in range(len(attributes)))
    frame = transaction.read(
        f"SELECT unit_id{wanted} FROM {transaction.table('experiments.known_units')}"
        " WHERE tenant_id = %s AND experiment = %s ORDER BY unit_id",
        (*attributes, declaration.tenant, declaration.key),
    )
    columns = {"unit_id": pa.chunked_array([frame["unit_id"].to_arrow().cast(pa.string())])}
    for number, name in enumerate(attributes):
        texts = frame[f"attribute_{number}"].to_arrow().cast(pa.string())
        columns.setdefault(name, pa.chunked_array([texts.cast(pa.json_())]))
    return pa.table(columns)


def _frame(assigned: pa.Table) -> pl.DataFrame:
    columns = pl.from_arrow(assigned.select(list(SCHEMA)))
    assert isinstance(columns, pl.DataFrame)
    return columns.cast(SCHEMA)


def _table(assigned: pl.DataFrame) -> str:
    counts = (
        assigned.group_by("variant", "status").len().sort("len", "variant", "status", descending=[True, False, False])
    )
    lines = [f"| {variant or ''} | {status} | {units:,} |" for variant, status, units in counts.rows()]
    return "\n".join(["| variant | status | units |", "|---|---|---|", *lines])
