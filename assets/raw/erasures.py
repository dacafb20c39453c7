import dagster as dg

from assets import versions
from resources.postgres import PostgresResource


@dg.observable_source_asset(
    key=["raw", "erasures"],
    group_name="raw",
    description="Units whose records were deleted for good. One row per erasure of a unit.",
)
def erasures(postgres: PostgresResource) -> dg.DataVersion:
    return dg.DataVersion(versions.of_raw(postgres.client(), "erasures"))
