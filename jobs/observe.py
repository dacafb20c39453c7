"""Look at what lies outside the graph and tell Dagster when it has changed."""

from collections.abc import Mapping

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG, extract_data_version_from_entry

from assets import partitions, versions
from resources.postgres_client import PostgresClient


def observe(instance: dg.DagsterInstance, client: PostgresClient) -> tuple[str, ...]:
    """Register new partitions and report every version that differs from the last one seen; return what differed."""
    seen = {
        "experiments": (partitions.experiments, versions.of_experiments(client)),
        "studies": (partitions.studies, versions.of_studies(client)),
        "sources": (partitions.sources, versions.of_sources(client)),
    }
    changed: list[str] = []
    for name, (partitions_def, current) in seen.items():
        instance.add_dynamic_partitions(partitions_def.name, sorted(current))
        changed += _report(instance, dg.AssetKey(["registry", name]), current)
    for table in ("events", "assignments"):
        changed += _report(instance, dg.AssetKey(["raw", table]), {None: versions.of_raw(client, table)})
    return tuple(changed)


def _report(
    instance: dg.DagsterInstance, key: dg.AssetKey, current: Mapping[str, str] | Mapping[None, str]
) -> list[str]:
    changed = []
    for partition, version in current.items():
        record = instance.get_latest_data_version_record(key, is_source=True, partition_key=partition)
        known = extract_data_version_from_entry(record.event_log_entry) if record else None
        if known is None or known.value != version:
            instance.report_runless_asset_event(
                dg.AssetObservation(asset_key=key, partition=partition, tags={DATA_VERSION_TAG: version})
            )
            changed.append(key.to_user_string() + (f" {partition}" if partition else ""))
    return changed
