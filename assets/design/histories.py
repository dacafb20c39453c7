from datetime import UTC, datetime, time, timedelta
from typing import Any

import dagster as dg
import polars as pl

from assets import declared, partitions
from assets.publication import cut_off, publish
from causeway.declarations.event_filter import json_path
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.plan import HISTORY_DAYS, HistoryPlan
from resources.postgres import PostgresResource

_SCHEMA = {
    "starts_at": pl.Datetime("us", "UTC"),
    "ends_at": pl.Datetime("us", "UTC"),
    "event": pl.String,
    "filter": pl.String,
    "landed_source": pl.String,
    "control": pl.String,
}


@dg.asset(
    key=["design", "histories"],
    deps=[["registry", "experiments"], ["events", "events"]],
    partitions_def=partitions.experiments,
    group_name="design",
    kinds={"python", "postgres"},
    owners=["team:experimentation"],
    tags={"causeway/partitions": "experiments"},
    code_version="1",
    description=(
        "Which past stands for the days to come: as declared, or the newest eight weeks of eligible events. One row per"
        " tenant and experiment that is planned."
    ),
)
def histories(context: dg.AssetExecutionContext, postgres: PostgresResource) -> dg.MaterializeResult:
    experiment = declared.experiment(postgres, context.partition_key)
    rows = [] if experiment.plan is None else [_row(postgres, experiment, experiment.plan)]
    return publish(context, postgres, pl.DataFrame(rows, schema=_SCHEMA), unit="experiment")


def _row(postgres: PostgresResource, experiment: ExperimentDeclaration, plan: HistoryPlan) -> dict[str, Any]:
    of_table = experiment.source is not None
    starts_at, ends_at = (None, None) if of_table else _span(postgres, experiment.tenant, plan)
    return {
        "starts_at": starts_at,
        "ends_at": ends_at,
        "event": plan.eligible.event,
        "filter": json_path(plan.eligible.where),
        "landed_source": experiment.key if of_table else None,
        "control": experiment.control,
    }


def _span(postgres: PostgresResource, tenant: str, plan: HistoryPlan) -> tuple[datetime, datetime]:
    """From the first moment to the one after the last; the newest weeks end with the last day of such events."""
    if plan.history is not None:
        first, last = plan.history.start, plan.history.end
    else:
        client = postgres.client()
        with client.transaction(read_only=True) as transaction:
            known_at = cut_off(postgres, transaction)
            # Up to now: a producer's clock may be far ahead.
            newest = transaction.fetch_one(
                f"SELECT max(occurred_at) FROM {client.table('events.events')} WHERE tenant_id = %s"
                " AND CASE WHEN %s::text IS NULL THEN type <> 'profile' ELSE type = %s END AND occurred_at <= %s",
                (tenant, plan.eligible.event, plan.eligible.event, known_at),
            )
        last = (
            (newest[0] if newest and newest[0] else known_at or datetime(1970, 1, 1, tzinfo=UTC)).astimezone(UTC).date()
        )
        first = last - timedelta(days=HISTORY_DAYS - 1)
    return (
        datetime.combine(first, time.min, tzinfo=UTC),
        datetime.combine(last + timedelta(days=1), time.min, tzinfo=UTC),
    )
