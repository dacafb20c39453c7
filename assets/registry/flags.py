import dagster as dg

from assets import partitions, versions
from resources.postgres import PostgresResource


@dg.observable_source_asset(
    key=["registry", "flags"],
    group_name="registry",
    partitions_def=partitions.flags,
    description="The declarations in force. One row per tenant and flag.",
    tags={"causeway/partitions": "flags"},
)
def flags(postgres: PostgresResource) -> dg.DataVersionsByPartition:
    return dg.DataVersionsByPartition(versions.of_flags(postgres.client()))
