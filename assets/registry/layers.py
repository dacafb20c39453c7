import dagster as dg

from assets import partitions, versions
from resources.postgres import PostgresResource


@dg.observable_source_asset(
    key=["registry", "layers"],
    group_name="registry",
    partitions_def=partitions.layers,
    description="The declarations in force. One row per tenant and layer.",
    tags={"causeway/partitions": "layers"},
)
def layers(postgres: PostgresResource) -> dg.DataVersionsByPartition:
    return dg.DataVersionsByPartition(versions.of_layers(postgres.client()))
