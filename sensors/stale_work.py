from collections.abc import Sequence

import dagster as dg

from jobs.many import MANY, run_config
from jobs.observe import observe
from jobs.plan import Work, key_of, next_work, together
from jobs.road import ROAD
from resources.postgres import PostgresResource

_UNDER_WAY = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


@dg.sensor(
    jobs=[*ROAD, *MANY.values()],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Launches what is stale or missing, one step of the road at a time; nothing twice for the same inputs.",
)
def stale_work(context: dg.SensorEvaluationContext, postgres: PostgresResource) -> dg.SensorResult | dg.SkipReason:
    under_way = context.instance.get_runs_count(dg.RunsFilter(statuses=_UNDER_WAY))
    if under_way:
        return dg.SkipReason(f"{under_way} runs are under way; what comes after them may yet change")
    observe(context.instance, postgres.client())
    work = next_work(context.instance, context.repository_def.asset_graph)
    return dg.SensorResult(
        run_requests=[_request(works) for works in together(work)],
        skip_reason=None if work else "everything is up to date",
    )


def _request(works: Sequence[Work]) -> dg.RunRequest:
    key, first = key_of(works), works[0]
    tags = {"causeway/run_key": key}
    if len(works) > 1:
        config = run_config([str(each.partition) for each in works], first.assets)
        return dg.RunRequest(run_key=key, job_name=MANY[first.job].name, run_config=config, tags=tags)
    return dg.RunRequest(
        run_key=key, job_name=first.job, partition_key=first.partition, asset_selection=list(first.assets), tags=tags
    )
