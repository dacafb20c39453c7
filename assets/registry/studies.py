import dagster as dg

from assets import partitions, versions
from resources.postgres import PostgresResource


@dg.observable_source_asset(
    key=["registry", "studies"],
    group_name="registry",
    partitions_def=partitions.studies,
    description="The declarations in force. One row per tenant and study.",
    tags={"causeway/partitions": "studies"},
)
def studies(postgres: PostgresResource) -> dg.DataVersionsByPartition:
    return dg.DataVersionsByPartition(versions.of_studies(postgres.client()))
