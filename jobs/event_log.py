"""Dagster's event log, read and written for all partitions of an asset at once, where Dagster asks for each alone."""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import TypeGuard
from weakref import WeakKeyDictionary

import dagster as dg
from dagster import DagsterEventType
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.definitions.data_version import DATA_VERSION_TAG, DataProvenance, extract_data_version_from_entry
from dagster._core.event_api import EventRecordsFilter
from dagster._core.events import DagsterEvent, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.execution.context.system import StepExecutionContext
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.base import EventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import serialize_value
from sqlalchemy import Connection

AT_ONCE = 100
"""Events in one statement: what they say of themselves may be long."""
MOST_REMEMBERED = 50_000
"""Events whose tags are kept in memory, which is some kilobytes of each."""


@dataclass(frozen=True)
class Latest:
    """The latest event that gave a partition of an asset its data version, or, without partitions, the asset."""

    storage_id: int
    version: str | None


def latest(
    instance: dg.DagsterInstance, key: dg.AssetKey, *, is_external: bool, partitions: Iterable[str] | None
) -> Mapping[str | None, Latest]:
    """By partition; of an asset without partitions (None), under None. What has no event is left out."""
    if partitions is None:
        record = instance.get_latest_data_version_record(key, is_source=is_external)
        if record is None:
            return {}
        version = extract_data_version_from_entry(record.event_log_entry)
        return {None: Latest(record.storage_id, version.value if version else None)}
    storage = instance.event_log_storage
    kind = DagsterEventType.ASSET_OBSERVATION if is_external else DagsterEventType.ASSET_MATERIALIZATION
    wanted = sorted(partitions)
    if not wanted:
        return {}
    ids = storage.get_latest_storage_id_by_partition(key, kind, set(wanted))
    tags = storage.get_latest_tags_by_partition(key, kind, [DATA_VERSION_TAG], wanted)
    return {
        partition: Latest(number, tags.get(partition, {}).get(DATA_VERSION_TAG)) for partition, number in ids.items()
    }


@dataclass(frozen=True)
class Noted:
    """The tags that were noted with an event, and what they say that it was made from."""

    tags: Mapping[str, str]

    @cached_property
    def provenance(self) -> DataProvenance | None:
        return DataProvenance.from_tags(self.tags)


_noted: WeakKeyDictionary[dg.DagsterInstance, dict[int, Noted]] = WeakKeyDictionary()


def noted_with(
    instance: dg.DagsterInstance, key: dg.AssetKey, storage_ids: Iterable[int], *, is_external: bool
) -> Mapping[int, Noted]:
    """What was noted with events of one asset. What was written once stays as it is, and is read once."""
    known = _noted.setdefault(instance, {})
    wanted = set(storage_ids)
    new = sorted(wanted - known.keys())
    kind = DagsterEventType.ASSET_OBSERVATION if is_external else DagsterEventType.ASSET_MATERIALIZATION
    found = {number: known[number] for number in wanted if number in known}
    for begin in range(0, len(new), AT_ONCE):
        chosen = EventRecordsFilter(kind, asset_key=key, storage_ids=new[begin : begin + AT_ONCE])
        for record in instance.event_log_storage.get_event_records(chosen):
            found[record.storage_id] = Noted(record.event_log_entry.tags or {})
    _remember(instance, {number: found[number] for number in new if number in found})
    return found


def _remember(instance: dg.DagsterInstance, noted: Mapping[int, Noted]) -> None:
    """A process that lives for months would otherwise remember every event."""
    known = _noted.setdefault(instance, {})
    if len(known) + len(noted) > MOST_REMEMBERED:
        known.clear()
    known.update(noted)


def of_partition(version: str | None) -> str:
    """What Dagster notes as the version of an input of which one partition is read: the hash of its versions."""
    return sha256((version or "").encode()).hexdigest()


@dataclass(frozen=True)
class Log:
    """The log of one step, whose events tell of partitions that the step does not know."""

    step: StepExecutionContext

    def materialised(
        self, key: dg.AssetKey, made: Sequence[dg.AssetMaterialization]
    ) -> Mapping[str, AssetCheckEvaluationTargetMaterializationData]:
        """Write materialisations of one asset; return by partition what checks say that they looked at."""
        entries = [
            self._entry(
                DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(each), f"Materialized {each.partition}."
            )
            for each in made
        ]
        numbers = self._written(key, entries)
        # Whoever asks in this process what they were made from need not read them again.
        _remember(
            self.step.instance,
            {number: Noted(each.tags or {}) for number, each in zip(numbers, made, strict=True)},
        )
        return {
            str(each.partition): AssetCheckEvaluationTargetMaterializationData(
                run_id=self.step.run_id, storage_id=number, timestamp=entry.timestamp
            )
            for number, each, entry in zip(numbers, made, entries, strict=True)
        }

    def _written(self, key: dg.AssetKey, entries: Sequence[EventLogEntry]) -> Sequence[int]:
        storage = self.step.instance.event_log_storage
        if _is_one_database(storage):
            return [
                number
                for begin in range(0, len(entries), AT_ONCE)
                for number in _store_materialisations(storage, entries[begin : begin + AT_ONCE])
            ]
        storage.store_event_batch(entries)
        of_partitions = [str(entry.get_dagster_event().partition) for entry in entries]
        written = latest(self.step.instance, key, is_external=False, partitions=of_partitions)
        return [written[partition].storage_id for partition in of_partitions]

    def checked(self, evaluations: Sequence[dg.AssetCheckEvaluation]) -> None:
        """Write results of checks. Dagster has no way to write several; where they lie in one database we have."""
        entries = []
        for each in evaluations:
            said = f"Asset check '{each.check_name}' of {each.partition} {'passed' if each.passed else 'did not pass'}."
            entries.append(self._entry(DagsterEventType.ASSET_CHECK_EVALUATION, each, said))
        storage = self.step.instance.event_log_storage
        if not _is_one_database(storage):
            for entry in entries:
                storage.store_event(entry)
            return
        for begin in range(0, len(entries), AT_ONCE):
            _store_checks(storage, entries[begin : begin + AT_ONCE])

    def _entry(self, kind: DagsterEventType, data: object, message: str) -> EventLogEntry:
        step = self.step
        event = DagsterEvent(
            event_type_value=kind.value,
            job_name=step.job_name,
            step_handle=step.step.handle,
            node_handle=step.step.node_handle,
            step_kind_value=step.step.kind.value,
            logging_tags=step.event_tags,
            event_specific_data=data,
            message=message,
            pid=os.getpid(),
        )
        return EventLogEntry(
            error_info=None,
            level="debug",
            user_message="",
            run_id=step.run_id,
            timestamp=time.time(),
            step_key=step.step.key,
            job_name=step.job_name,
            dagster_event=event,
        )


def _is_one_database(storage: EventLogStorage) -> TypeGuard[SqlEventLogStorage]:
    """SQLite has one for every run."""
    return isinstance(storage, SqlEventLogStorage) and not isinstance(storage, SqliteEventLogStorage)


def _inserted(storage: SqlEventLogStorage, connection: Connection, entries: Sequence[EventLogEntry]) -> Sequence[int]:
    """Store the events and return their numbers: many rows to one statement, which is compiled once."""
    insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
    return list(connection.scalars(insert, [storage._event_to_row(entry) for entry in entries]))


def _store_materialisations(storage: SqlEventLogStorage, entries: Sequence[EventLogEntry]) -> Sequence[int]:
    """What ``store_event_batch`` does, and the numbers of the events."""
    with storage.index_transaction() as connection:
        numbers = _inserted(storage, connection, entries)
        storage._store_asset_event_tags(connection, entries, numbers)
        storage._store_asset_event(connection, entries[-1], numbers[-1])
    return numbers


def _store_checks(storage: SqlEventLogStorage, entries: Sequence[EventLogEntry]) -> None:
    """What ``store_event`` does with an evaluation that nobody planned, of all of them in two statements."""
    with storage.index_transaction() as connection:
        numbers = _inserted(storage, connection, entries)
        rows = []
        for entry, number in zip(entries, numbers, strict=True):
            evaluation = entry.get_dagster_event().asset_check_evaluation_data
            target = evaluation.target_materialization_data
            status = (
                AssetCheckExecutionRecordStatus.SUCCEEDED
                if evaluation.passed
                else AssetCheckExecutionRecordStatus.FAILED
            )
            rows.append(
                {
                    "asset_key": evaluation.asset_key.to_string(),
                    "check_name": evaluation.check_name,
                    "partition": evaluation.partition,
                    "run_id": entry.run_id,
                    "execution_status": status.value,
                    "evaluation_event": serialize_value(entry),
                    "evaluation_event_timestamp": datetime.fromtimestamp(entry.timestamp, UTC).replace(tzinfo=None),
                    "evaluation_event_storage_id": number,
                    "materialization_event_storage_id": target.storage_id if target else None,
                }
            )
        connection.execute(AssetCheckExecutionsTable.insert(), rows)
