import dagster as dg

from assets import partitions, versions
from resources.postgres import PostgresResource


@dg.observable_source_asset(
    key=["registry", "policies"],
    group_name="registry",
    partitions_def=partitions.experiments,
    description=(
        "What decides who gets which variant: the declarations of an experiment and of the flags, layers, saved groups"
        " and holdouts that it needs, where they are in their life cycle, and what is switched off. One row per tenant"
        " and experiment."
    ),
    tags={"causeway/partitions": "experiments"},
)
def policies(postgres: PostgresResource) -> dg.DataVersionsByPartition:
    return dg.DataVersionsByPartition(versions.of_policies(postgres.client()))
