import json
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_spec import AssetCheckSeverity
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.base import PartitionKeyFilter

from assets import partitions
from causeway.declarations.life_cycle import ALIVE
from resources.kill_switches import engage
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresClient

ACTOR = "rollback sensor"
HARM = dg.AssetCheckKey(dg.AssetKey(["decisions", "experiment_decisions"]), "rollback")
SRM = dg.AssetCheckKey(dg.AssetKey(["experiments", "health"]), "srm")


@dataclass(frozen=True)
class _Failure:
    """A check that failed when it was last made."""

    partition: str
    check: dg.AssetCheckKey
    record_id: int
    detail: str


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Switches off what is declared with decision: {rollback: engage_kill_switch}, once for every time that its"
        " rollback check fails or its sample ratio shows a fault of the assignment; reports the others."
    ),
)
def rollback(context: dg.SensorEvaluationContext, postgres: PostgresResource) -> dg.SkipReason:
    client = postgres.client()
    seen: dict[str, int] = json.loads(context.cursor or "{}")
    failures = [each for each in _failures(context.instance) if _calls_for_rollback(client, each)]
    reports = []
    for failure in failures:
        if seen.get(_name(failure)) == failure.record_id:
            continue
        report = _answered(client, failure)
        reports.append(report)
        context.log.warning(report)
    # What was switched on again by hand stays on until the check has failed anew.
    context.update_cursor(json.dumps({_name(each): each.record_id for each in failures}, sort_keys=True))
    return dg.SkipReason("; ".join(reports) or f"{len(failures)} failures, none of them new")


def _failures(instance: dg.DagsterInstance) -> Iterator[_Failure]:
    for partition in sorted(instance.get_dynamic_partitions(partitions.experiments.name)):
        found = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [HARM, SRM], partition_filter=PartitionKeyFilter(key=partition)
        )
        for key, record in sorted(found.items()):
            if record.status is not AssetCheckExecutionRecordStatus.FAILED or record.event is None:
                continue
            evaluation = record.event.dagster_event.asset_check_evaluation_data if record.event.dagster_event else None
            if evaluation is not None and evaluation.severity is AssetCheckSeverity.ERROR:
                yield _Failure(partition, key, record.id, evaluation.description or "")


def _calls_for_rollback(client: PostgresClient, failure: _Failure) -> bool:
    """Harm does; a skewed sample ratio does where units were dealt variants wrongly, not where a log lost them."""
    if failure.check == HARM:
        return True
    row = client.fetch_one(
        "SELECT FROM experiments.health WHERE tenant_id = %s AND experiment = %s"
        " AND split_part(check_name, ':', 1) = 'srm' AND blocking AND NOT passed"
        """ AND observed -> 'diagnosis' @> '[{"stage": "assignment", "points_to": true}]'""",
        partitions.split(failure.partition),
    )
    return row is not None


def _answered(client: PostgresClient, failure: _Failure) -> str:
    """Do what is declared, and say what was done."""
    tenant, key = partitions.split(failure.partition)
    said = f"{failure.partition}: {failure.check.name} failed. {failure.detail}"
    row = client.fetch_one(
        "SELECT coalesce(declaration ->> 'status', 'running'), declaration -> 'decision' ->> 'rollback'"
        " FROM registry.experiments WHERE tenant_id = %s AND key = %s",
        (tenant, key),
    )
    if row is None or row[0] not in ALIVE:
        return f"{said} It is not running: nothing is to be switched off."
    if row[1] != "engage_kill_switch":
        return f"{said} Nothing was done: its declaration says warn."
    with client.transaction() as transaction:
        engaged = engage(transaction, tenant, key, actor=ACTOR, reason=f"{failure.check.name}: {failure.detail}")
    return f"{said} Its kill switch is engaged." if engaged else f"{said} Its kill switch was engaged before."


def _name(failure: _Failure) -> str:
    return f"{failure.partition} {failure.check.name}"
