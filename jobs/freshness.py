"""Dagster's own answer to what is stale, and why, from a few queries an asset instead of some a partition.

``CachingStaleStatusResolver`` reads the latest event of a partition, what it was made from, and of each of these
whether it has changed since: hundreds of queries an experiment. The same is decided here from what is read of all
partitions at once; whatever that leaves open is put to the resolver.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.data_version import (
    DEFAULT_DATA_VERSION,
    NULL_DATA_VERSION,
    CachingStaleStatusResolver,
    DataProvenance,
    DataVersion,
    StaleStatus,
)
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.loader import LoadingContextForTest

from jobs.event_log import Latest, latest, noted_with, of_partition

Found = tuple[StaleStatus, tuple[str, ...]]
"""The status, and in words why it is not fresh."""


@dataclass(frozen=True)
class Freshness:
    """What is fresh as the event log stands when it is first asked."""

    instance: dg.DagsterInstance
    graph: BaseAssetGraph
    _latest: dict[dg.AssetKey, Mapping[str | None, Latest]] = field(default_factory=dict)
    _provenance: dict[dg.AssetKey, Mapping[int, DataProvenance | None]] = field(default_factory=dict)
    _resolver: list[CachingStaleStatusResolver] = field(default_factory=list)

    def of(self, key: dg.AssetKey, partition: str | None) -> Found:
        """Status and causes of one partition of an asset, or of an asset without partitions."""
        own = self._events(key).get(partition)
        if own is None:
            return StaleStatus.MISSING, (f"{key.to_user_string()} is missing",)
        causes = self._causes(key, partition, own)
        if causes is None:
            return self._asked(key, partition)
        return (StaleStatus.STALE if causes else StaleStatus.FRESH), causes

    def _causes(self, key: dg.AssetKey, partition: str | None, own: Latest) -> tuple[str, ...] | None:
        """None: not to be told from what was read."""
        provenance = self._made_from(key).get(own.storage_id)
        parents = self.graph.get(key).parent_keys
        if provenance is None or set(provenance.input_data_versions) != set(parents):
            return None
        found = []
        code_version = self.graph.get(key).code_version
        if code_version and code_version != provenance.code_version:
            found.append(f"{key.to_user_string()} has a new code version")
        for dep in parents:
            is_new = self._is_new(key, dep, partition, provenance)
            if is_new is None:
                return None
            if is_new:
                version = self._version(dep, partition if self.graph.get(dep).is_partitioned else None).value
                name = dep.to_user_string()
                found.append(f"{key.to_user_string()} has a new dependency data version of {name}: {version}")
        return tuple(found)

    def _is_new(
        self, key: dg.AssetKey, dep: dg.AssetKey, partition: str | None, provenance: DataProvenance
    ) -> bool | None:
        child, parent = self.graph.get(key), self.graph.get(dep)
        if parent.is_virtual or (parent.code_version is None and not parent.is_external):
            return None
        noted = provenance.input_data_versions[dep]
        if not parent.is_partitioned:
            version = self._version(dep, None)
            return version != noted and not (noted == DEFAULT_DATA_VERSION and version == NULL_DATA_VERSION)
        if partition is None or parent.partitions_def != child.partitions_def:
            return None
        current, cursor = self._events(dep).get(partition), provenance.input_storage_ids[dep]
        if current is None or cursor is None or current.storage_id <= cursor:
            return False
        if parent.is_external or dep not in child.assets_def.keys_by_input_name.values():
            # What is noted of these is not the version of this very partition.
            return None
        return noted.value != of_partition(current.version)

    def _version(self, key: dg.AssetKey, partition: str | None) -> DataVersion:
        found = self._events(key).get(partition)
        if found is None:
            return DEFAULT_DATA_VERSION if self.graph.get(key).is_external else NULL_DATA_VERSION
        return DataVersion(found.version) if found.version is not None else DEFAULT_DATA_VERSION

    def _events(self, key: dg.AssetKey) -> Mapping[str | None, Latest]:
        if key not in self._latest:
            node = self.graph.get(key)
            keys = node.partitions_def.get_partition_keys() if node.partitions_def is not None else None
            self._latest[key] = latest(self.instance, key, is_external=node.is_external, partitions=keys)
        return self._latest[key]

    def _made_from(self, key: dg.AssetKey) -> Mapping[int, DataProvenance | None]:
        if key not in self._provenance:
            ids = [each.storage_id for each in self._events(key).values()]
            noted = noted_with(self.instance, key, ids, is_external=self.graph.get(key).is_external)
            self._provenance[key] = {number: each.provenance for number, each in noted.items()}
        return self._provenance[key]

    def _asked(self, key: dg.AssetKey, partition: str | None) -> Found:
        if not self._resolver:
            loading = LoadingContextForTest(self.instance)
            self._resolver.append(CachingStaleStatusResolver(self.instance, self.graph, loading))
        return asked_of_dagster(self._resolver[0], key, partition)


def asked_of_dagster(resolver: CachingStaleStatusResolver, key: dg.AssetKey, partition: str | None) -> Found:
    """What the resolver says, in the same words."""
    status = resolver.get_status(key, partition)
    if status is StaleStatus.MISSING:
        return status, (f"{key.to_user_string()} is missing",)
    return status, tuple(
        f"{key.to_user_string()} {cause.reason}{_version_of(resolver, cause.dependency)}"
        for cause in resolver.get_stale_causes(key, partition)
    )


def _version_of(resolver: CachingStaleStatusResolver, dependency: AssetKeyPartitionKey | None) -> str:
    if dependency is None:
        return ""
    version = resolver.get_current_data_version(dependency.asset_key, dependency.partition_key).value
    return f" of {dependency.asset_key.to_user_string()}: {version}"
