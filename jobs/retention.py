"""Every night: partitions for what is to come, and away with what has been kept for long enough."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from resources.postgres import PostgresResource
from resources.postgres_client import PostgresClient

MONTHS_AHEAD = 3
DAYS_OF_ANSWERS = 7

_DECLARED = "SELECT DISTINCT coalesce((declaration ->> 'retention_days')::integer, 2557) FROM registry.event_types"


@dataclass(frozen=True)
class Retained:
    """What one night did. ``dropped`` has the rows of each partition that went, of all tenants together."""

    partitions_made: int
    dropped: Mapping[str, int]
    answers_forgotten: int

    @property
    def rows_dropped(self) -> int:
        return sum(self.dropped.values())


def retain(client: PostgresClient) -> Retained:
    """Make the partitions of the months to come, drop those whose time is over, forget answers that nobody asks for.

    Each in a transaction of its own: what cannot be dropped because somebody reads it does not undo what was made.
    What is dropped is written to ops.audit in the transaction that drops it.
    """
    declared = [days for (days,) in client.fetch_all(_DECLARED)]
    made = client.fetch_one("SELECT raw.ensure_partitions(%s, %s::integer[])", (MONTHS_AHEAD, declared))
    dropped: dict[str, int] = {}
    for partition, rows in client.fetch_all("SELECT partition, rows FROM raw.drop_expired(now())"):
        dropped[partition] = dropped.get(partition, 0) + rows
    forgotten = client.execute(
        "DELETE FROM ops.idempotency_keys WHERE created_at < now() - make_interval(days => %s)", (DAYS_OF_ANSWERS,)
    )
    return Retained(made[0] if made else 0, dropped, forgotten)


# A partition that is read at the moment cannot be dropped, and the wait for it would hold up whoever stores events.
@dg.op(retry_policy=dg.RetryPolicy(max_retries=5, delay=60), description="See ops.audit for what was dropped.")
def keep_what_is_to_be_kept(context: dg.OpExecutionContext, postgres: PostgresResource) -> None:
    retained = retain(postgres.client())
    for partition, rows in retained.dropped.items():
        context.log.info(f"dropped {partition} with {rows} rows")
    context.add_output_metadata(
        {
            "partitions made": retained.partitions_made,
            "partitions dropped": dg.MetadataValue.json(dict(retained.dropped)),
            "rows dropped": retained.rows_dropped,
            "answers forgotten": retained.answers_forgotten,
        }
    )


@dg.job(description="Drop whole partitions of raw records past the retention of their type, and make those to come.")
def retention() -> None:
    keep_what_is_to_be_kept()


@dg.schedule(
    job=retention, cron_schedule="30 3 * * *", execution_timezone="UTC", default_status=dg.DefaultScheduleStatus.RUNNING
)
def daily_retention() -> dg.RunRequest:
    """Every night at half past three, after the landing."""
    return dg.RunRequest()
