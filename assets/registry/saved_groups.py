import dagster as dg

from assets import partitions, versions
from resources.postgres import PostgresResource


@dg.observable_source_asset(
    key=["registry", "saved_groups"],
    group_name="registry",
    partitions_def=partitions.saved_groups,
    description="The declarations in force. One row per tenant and saved group.",
    tags={"causeway/partitions": "saved_groups"},
)
def saved_groups(postgres: PostgresResource) -> dg.DataVersionsByPartition:
    return dg.DataVersionsByPartition(versions.of_saved_groups(postgres.client()))
