"""Look at what lies outside the graph and tell Dagster when it has changed."""

from collections.abc import Mapping

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG, extract_data_version_from_entry

from assets import partitions, versions
from causeway.declarations.life_cycle import DORMANT
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
    standing = versions.standing_of_experiments(client)
    changed: list[str] = []
    for name, (partitions_def, current) in seen.items():
        instance.add_dynamic_partitions(partitions_def.name, sorted(current))
        tags = (
            {key: {STATUS_TAG: status, PLAN_TAG: plan} for key, (status, plan) in standing.items()}
            if name == EXPERIMENTS
            else {}
        )
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


def dormant_and_planned(instance: dg.DagsterInstance) -> tuple[frozenset[str], frozenset[str]]:
    """Partitions of experiments that were drafts or archived when last seen, and of the drafts that had a plan.

    There is nothing to compute for the former but the plans of the latter.
    """
    dormant = {key: tags for key, tags in _tags(instance).items() if tags.get(STATUS_TAG) in DORMANT}
    planned = {key for key, tags in dormant.items() if tags[STATUS_TAG] == "draft" and tags.get(PLAN_TAG) == "yes"}
    return frozenset(dormant), frozenset(planned)


def _tags(instance: dg.DagsterInstance) -> Mapping[str, Mapping[str, str]]:
    found = {}
    for partition in instance.get_dynamic_partitions(partitions.experiments.name):
        record = instance.get_latest_data_version_record(
            dg.AssetKey(["registry", EXPERIMENTS]), is_source=True, partition_key=partition
        )
        observation = record.asset_observation if record else None
        if observation is not None:
            found[partition] = observation.tags
    return found
