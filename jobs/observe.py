"""Look at what lies outside the graph and tell Dagster when it has changed."""

from collections.abc import Mapping

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from assets import partitions, versions
from jobs.event_log import latest, noted_with
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
        "kpis": (partitions.kpis, versions.of_kpis(client)),
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
    of_partitions = None if None in current else [str(partition) for partition in current]
    known = latest(instance, key, is_external=True, partitions=of_partitions)
    for partition, version in current.items():
        if partition not in known or known[partition].version != version:
            more = (tags or {}).get(partition or "", {})
            instance.report_runless_asset_event(
                dg.AssetObservation(asset_key=key, partition=partition, tags={DATA_VERSION_TAG: version, **more})
            )
            changed.append(key.to_user_string() + (f" {partition}" if partition else ""))
    return changed


def standing(instance: dg.DagsterInstance) -> Standing:
    """What there was to compute for each experiment when its declaration was last seen."""
    key = dg.AssetKey(["registry", EXPERIMENTS])
    names = instance.get_dynamic_partitions(partitions.experiments.name)
    seen = latest(instance, key, is_external=True, partitions=names)
    noted = noted_with(instance, key, [each.storage_id for each in seen.values()], is_external=True)
    said = {str(partition): noted[each.storage_id].tags for partition, each in seen.items()}
    return Standing.of(
        {partition: (each.get(STATUS_TAG, "running"), each.get(PLAN_TAG) == "yes") for partition, each in said.items()}
    )
