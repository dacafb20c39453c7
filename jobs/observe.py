"""Look at what lies outside the graph and tell Dagster when it has changed."""

from collections.abc import Mapping

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG, extract_data_version_from_entry

from assets import partitions, versions
from jobs.standing import Standing
from resources.postgres_client import PostgresClient

EXPERIMENTS = "experiments"
STATUS_TAG = "causeway/status"
"""Where an experiment was in its life cycle when its declaration was seen."""
PLAN_TAG = "causeway/plan"
"""Whether its declaration had a plan then: yes or no."""


def observe(instance: dg.DagsterInstance, client: PostgresClient) -> tuple[str, ...]:
    """Register new partitions and report every version that differs from the last one seen; return what differed."""
    seen = {
        "experiments": (partitions.experiments, versions.of_experiments(client)),
        "policies": (partitions.experiments, versions.of_policies(client)),
        "studies": (partitions.studies, versions.of_studies(client)),
        "sources": (partitions.sources, versions.of_sources(client)),
        "metrics": (partitions.metrics, versions.of_metrics(client)),
        "flags": (partitions.flags, versions.of_flags(client)),
        "layers": (partitions.layers, versions.of_layers(client)),
        "saved_groups": (partitions.saved_groups, versions.of_saved_groups(client)),
        "event_types": (partitions.event_types, versions.of_event_types(client)),
    }
    tags_of_experiments = {
        key: {STATUS_TAG: status, PLAN_TAG: "yes" if has_plan else "no"}
        for key, (status, has_plan) in versions.standing_of_experiments(client).items()
    }
    changed: list[str] = []
    for name, (partitions_def, current) in seen.items():
        instance.add_dynamic_partitions(partitions_def.name, sorted(current))
        tags = tags_of_experiments if name == EXPERIMENTS else {}
        changed += _report(instance, dg.AssetKey(["registry", name]), current, tags)
    instance.add_dynamic_partitions(partitions.tenants.name, versions.tenants(client))
    for table in ("events", "assignments", "erasures"):
        changed += _report(instance, dg.AssetKey(["raw", table]), {None: versions.of_raw(client, table)})
    return tuple(changed)


def _report(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    current: Mapping[str, str] | Mapping[None, str],
    tags: Mapping[str, Mapping[str, str]] | None = None,
) -> list[str]:
    changed = []
    for partition, version in current.items():
        record = instance.get_latest_data_version_record(key, is_source=True, partition_key=partition)
        known = extract_data_version_from_entry(record.event_log_entry) if record else None
        if known is None or known.value != version:
            more = (tags or {}).get(partition or "", {})
            instance.report_runless_asset_event(
                dg.AssetObservation(asset_key=key, partition=partition, tags={DATA_VERSION_TAG: version, **more})
            )
            changed.append(key.to_user_string() + (f" {partition}" if partition else ""))
    return changed


def standing(instance: dg.DagsterInstance) -> Standing:
    """What there was to compute for each experiment when its declaration was last seen."""
    found = {}
    for partition in instance.get_dynamic_partitions(partitions.experiments.name):
        record = instance.get_latest_data_version_record(
            dg.AssetKey(["registry", EXPERIMENTS]), is_source=True, partition_key=partition
        )
        observation = record.asset_observation if record else None
        if observation is not None:
            found[partition] = observation.tags.get(STATUS_TAG, "running"), observation.tags.get(PLAN_TAG) == "yes"
    return Standing.of(found)
