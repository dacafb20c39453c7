import dagster as dg

from assets import partitions, versions
from resources.postgres import PostgresResource


@dg.observable_source_asset(
    key=["registry", "sources"],
    group_name="registry",
    partitions_def=partitions.sources,
    description="The declarations in force. One row per tenant and source.",
    tags={"causeway/partitions": "sources"},
)
def sources(postgres: PostgresResource) -> dg.DataVersionsByPartition:
    return dg.DataVersionsByPartition(versions.of_sources(postgres.client()))
