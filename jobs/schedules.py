"""When something happens by the clock."""

import dagster as dg

from assets import partitions
from jobs.road import land


@dg.schedule(
    job=land, cron_schedule="0 2 * * *", execution_timezone="UTC", default_status=dg.DefaultScheduleStatus.RUNNING
)
def daily_landing(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
    """Every night at two, land every declared source again; what has not changed adds nothing and makes nothing stale."""
    day = context.scheduled_execution_time.date().isoformat()
    return [
        dg.RunRequest(run_key=f"{day} {partition}", partition_key=partition)
        for partition in context.instance.get_dynamic_partitions(partitions.sources.name)
    ]
