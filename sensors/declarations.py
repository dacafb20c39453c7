import dagster as dg

from causeway.declarations.problem import DeclarationError
from causeway.landing.error import LandingError
from jobs.observe import observe
from resources.postgres import PostgresResource
from resources.registry import register_folder
from resources.settings import Settings


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Registers what declarations/ says, adds a partition for what is new and marks what was edited.",
)
def declarations_changed(context: dg.SensorEvaluationContext, postgres: PostgresResource) -> dg.SkipReason:
    client = postgres.client()
    try:
        registered = register_folder(client, Settings.from_environment().project_root / "declarations")
    except (DeclarationError, LandingError, FileNotFoundError) as error:
        # What was in force stays in force; the tick shows where the mistake is.
        return dg.SkipReason(f"nothing was registered: {error}")
    changed = observe(context.instance, client)
    return dg.SkipReason(
        f"{registered.total} declarations, {len(registered.changed)} changed; {len(changed)} newly seen"
    )
