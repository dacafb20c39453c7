"""When something happens by the clock."""

import dagster as dg

from assets import partitions
from causeway.declarations.problem import DeclarationError
from causeway.landing.error import LandingError
from jobs.observe import observe
from jobs.plan import next_work
from jobs.road import find_interactions, land
from resources.postgres import PostgresResource
from resources.registry import register_folder
from resources.settings import Settings


@dg.schedule(
    job=land, cron_schedule="0 2 * * *", execution_timezone="UTC", default_status=dg.DefaultScheduleStatus.RUNNING
)
def daily_landing(
    context: dg.ScheduleEvaluationContext, postgres: PostgresResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Every night at two, land the declared sources that changed; the sensors carry on from there."""
    client = postgres.client()
    try:
        register_folder(client, Settings.from_environment().project_root / "declarations")
    except (DeclarationError, LandingError, FileNotFoundError) as error:
        context.log.warning(f"declarations stay as they were: {error}")
    observe(context.instance, client)
    work = next_work(context.instance, context.repository_def.asset_graph, lambda each: each.job == land.name)
    if not work:
        return dg.SkipReason("every source is as it was landed")
    return [dg.RunRequest(run_key=each.run_key, partition_key=each.partition) for each in work]


@dg.schedule(
    job=find_interactions,
    cron_schedule="0 5 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def nightly_interactions(
    context: dg.ScheduleEvaluationContext, postgres: PostgresResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Every night at five, when what was landed is analysed: which experiments of a tenant disturb each other."""
    observe(context.instance, postgres.client())
    tenants = context.instance.get_dynamic_partitions(partitions.tenants.name)
    if not tenants:
        return dg.SkipReason("nobody has declared an experiment")
    night = context.scheduled_execution_time.date().isoformat()
    return [dg.RunRequest(run_key=f"{tenant}@{night}", partition_key=tenant) for tenant in sorted(tenants)]
