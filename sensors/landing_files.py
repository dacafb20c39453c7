import dagster as dg

from assets import partitions
from jobs.road import land
from resources.postgres import PostgresResource
from resources.registry import register_landing_files
from resources.settings import Settings


@dg.sensor(
    job=land,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Finds event files in landing/<tenant>/ and lands each new content once.",
)
def landing_files(context: dg.SensorEvaluationContext, postgres: PostgresResource) -> dg.SensorResult:
    client = postgres.client()
    folder = Settings.from_environment().project_root / "landing"
    registered = register_landing_files(client, folder)
    for refusal in registered.refused:
        context.log.warning(f"cannot be landed: {refusal}")
    found = [partition for kind, partition in registered.changed if kind == "source"]
    versions = {
        f"{tenant}|{key}": version
        for tenant, key, version in client.fetch_all("SELECT tenant_id, key, declaration_hash FROM registry.sources")
    }
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{partition}@{versions[partition]}", partition_key=partition) for partition in found
        ],
        dynamic_partitions_requests=[partitions.sources.build_add_request(found)] if found else [],
        skip_reason=None
        if found
        else "; ".join((f"{registered.total} files in {folder.name}/, nothing new", *registered.refused)),
    )
