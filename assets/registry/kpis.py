import dagster as dg

from assets import partitions, versions
from resources.postgres import PostgresResource


@dg.observable_source_asset(
    key=["registry", "kpis"],
    group_name="registry",
    partitions_def=partitions.kpis,
    description=(
        "The declarations in force, with what was last made of the studies that they name. One row per tenant and KPI."
    ),
    tags={"causeway/partitions": "kpis"},
)
def kpis(postgres: PostgresResource) -> dg.DataVersionsByPartition:
    return dg.DataVersionsByPartition(versions.of_kpis(postgres.client()))
