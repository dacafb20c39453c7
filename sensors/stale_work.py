import dagster as dg

from jobs.observe import observe
from jobs.plan import next_work
from jobs.road import ROAD
from resources.postgres import PostgresResource

_UNDER_WAY = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


@dg.sensor(
    jobs=list(ROAD),
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
        run_requests=[
            dg.RunRequest(
                run_key=each.run_key,
                job_name=each.job,
                partition_key=each.partition,
                asset_selection=list(each.assets),
                tags={"causeway/run_key": each.run_key},
            )
            for each in work
        ],
        skip_reason=None if work else "everything is up to date",
    )
