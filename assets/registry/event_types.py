import dagster as dg

from assets import partitions, versions
from resources.postgres import PostgresResource


@dg.observable_source_asset(
    key=["registry", "event_types"],
    group_name="registry",
    partitions_def=partitions.event_types,
    description="The declarations in force, in every version that it had. One row per tenant, event type and version.",
    tags={"causeway/partitions": "event_types"},
)
def event_types(postgres: PostgresResource) -> dg.DataVersionsByPartition:
    return dg.DataVersionsByPartition(versions.of_event_types(postgres.client()))
