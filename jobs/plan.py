"""What is stale or missing and may be made now: Dagster's own data versions decide, nothing is made twice."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_spec import AssetCheckSeverity
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.data_version import StaleStatus
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.base import PartitionKeyFilter

from jobs.freshness import Freshness
from jobs.many import MANY
from jobs.observe import standing
from jobs.road import GATED, ROAD


@dataclass(frozen=True)
class Work:
    """One run to launch: the stale and missing assets of one job and partition."""

    job: str
    partition: str | None
    assets: tuple[dg.AssetKey, ...]
    causes: tuple[str, ...]

    @property
    def run_key(self) -> str:
        """The same state asks for the same run: a sensor that sees it twice launches it once."""
        text = "\n".join((self.job, self.partition or "", *(key.to_user_string() for key in self.assets), *self.causes))
        return sha256(text.encode()).hexdigest()[:32]


def together(works: Iterable[Work]) -> Iterator[tuple[Work, ...]]:
    """Works that one run can do: the same assets of many experiments."""
    groups: dict[tuple[str, ...], list[Work]] = defaultdict(list)
    for number, work in enumerate(works):
        same = tuple(key.to_user_string() for key in work.assets) if work.job in MANY else (str(number),)
        groups[(work.job, *same)].append(work)
    for group in groups.values():
        yield tuple(group)


def key_of(works: Sequence[Work]) -> str:
    """As ``Work.run_key``, of several."""
    return (
        works[0].run_key
        if len(works) == 1
        else sha256("".join(each.run_key for each in works).encode()).hexdigest()[:32]
    )


def next_work(
    instance: dg.DagsterInstance, graph: BaseAssetGraph, wanted: Callable[[Work], bool] = lambda _: True
) -> tuple[Work, ...]:
    """The runs of the first job on the road that has anything to do; empty when everything is up to date.

    Work further down the road waits, because what comes before it may yet leave its inputs as they are. Partitions
    behind a closed gate are left alone until something upstream of the gate changes; experiments that are drafts or
    archived are left alone until they are no longer. A plan is made of drafts alone.
    """
    experiments = standing(instance)

    def is_wanted(work: Work) -> bool:
        return experiments.asks_for(work.job, work.partition) and wanted(work)

    with partition_loading_context(dynamic_partitions_store=instance):
        freshness = Freshness(instance, graph)
        for job in ROAD:
            found = tuple(
                filter(
                    wanted,
                    _work_of(job.name, _assets_of(job, graph), freshness, is_wanted, instance=instance, graph=graph),
                )
            )
            if found:
                return found
    return ()


def _assets_of(job: object, graph: BaseAssetGraph) -> Sequence[dg.AssetKey]:
    selected = job.selection.resolve(graph)
    return [key for key in graph.toposorted_asset_keys if key in selected and graph.get(key).is_materializable]


def _work_of(
    job: str,
    keys: Sequence[dg.AssetKey],
    freshness: Freshness,
    wanted: Callable[[Work], bool],
    *,
    instance: dg.DagsterInstance,
    graph: BaseAssetGraph,
) -> Iterator[Work]:
    by_partition: dict[str | None, list[dg.AssetKey]] = defaultdict(list)
    causes: dict[str | None, list[str]] = defaultdict(list)
    for key in keys:
        partitions_def = graph.get(key).partitions_def
        for partition in partitions_def.get_partition_keys() if partitions_def else (None,):
            if not wanted(Work(job, partition, (), ())):
                continue
            status, why = freshness.of(key, partition)
            if status is not StaleStatus.FRESH:
                by_partition[partition].append(key)
                causes[partition].extend(why)
    # Most partitions are stale in the same way.
    settled: dict[tuple[dg.AssetKey, ...], list[dg.AssetKey]] = {}
    for partition, stale in sorted(by_partition.items(), key=lambda item: item[0] or ""):
        behind = set(keys) - set(stale)
        closed = _closed_gates(instance, graph, behind, partition) if job in GATED else set()
        if tuple(stale) not in settled:
            settled[tuple(stale)] = [key for key in stale if not _waits(key, keys, stale, graph)]
        open_keys = [key for key in settled[tuple(stale)] if not closed & graph.get_ancestor_asset_keys(key)]
        if open_keys:
            yield Work(job, partition, tuple(open_keys), tuple(sorted(causes[partition])))


def _waits(key: dg.AssetKey, keys: Sequence[dg.AssetKey], stale: Sequence[dg.AssetKey], graph: BaseAssetGraph) -> bool:
    """Whether something between a stale asset and ``key`` has yet to show whether it changes: a gate, for instance."""
    unsettled = set(stale)
    return any(
        ancestor not in unsettled and unsettled & graph.get_ancestor_asset_keys(ancestor)
        for ancestor in graph.get_ancestor_asset_keys(key) & set(keys)
    )


def _closed_gates(
    instance: dg.DagsterInstance, graph: BaseAssetGraph, keys: Iterable[dg.AssetKey], partition: str | None
) -> set[dg.AssetKey]:
    """Assets of which a blocking check failed when they were last made."""
    checks = [
        check_key
        for key in keys
        for check_key in graph.get_check_keys_for_assets({key})
        if graph.get(check_key).blocking
    ]
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        checks, partition_filter=PartitionKeyFilter(key=partition) if partition else None
    )
    return {
        key.asset_key
        for key, record in records.items()
        if record.status is AssetCheckExecutionRecordStatus.FAILED
        and record.event is not None
        and record.event.dagster_event is not None
        and record.event.dagster_event.asset_check_evaluation_data.severity is AssetCheckSeverity.ERROR
    }
