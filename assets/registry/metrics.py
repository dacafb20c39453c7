import dagster as dg

from assets import partitions, versions
from resources.postgres import PostgresResource


@dg.observable_source_asset(
    key=["registry", "metrics"],
    group_name="registry",
    partitions_def=partitions.metrics,
    description="The declarations in force. One row per tenant and metric.",
    tags={"causeway/partitions": "metrics"},
)
def metrics(postgres: PostgresResource) -> dg.DataVersionsByPartition:
    return dg.DataVersionsByPartition(versions.of_metrics(postgres.client()))
