import dagster as dg

from assets import partitions, versions
from resources.postgres import PostgresResource


@dg.observable_source_asset(
    key=["registry", "experiments"],
    group_name="registry",
    partitions_def=partitions.experiments,
    description="The declarations in force. One row per tenant and experiment.",
    tags={"causeway/partitions": "experiments"},
)
def experiments(postgres: PostgresResource) -> dg.DataVersionsByPartition:
    return dg.DataVersionsByPartition(versions.of_experiments(postgres.client()))
