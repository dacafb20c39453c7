import dagster as dg

from assets import versions
from resources.postgres import PostgresResource


@dg.observable_source_asset(
    key=["raw", "assignments"],
    group_name="raw",
    description="Append-only, as received through files and the API. One row per tenant, source and event id.",
)
def assignments(postgres: PostgresResource) -> dg.DataVersion:
    return dg.DataVersion(versions.of_raw(postgres.client(), "assignments"))
