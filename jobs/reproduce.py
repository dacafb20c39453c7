"""Make asset partitions again, in scratch schemas and on an instance that is thrown away."""

from collections.abc import Mapping, Sequence, Set

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.partitions import experiments, kpis, studies, tenants
from jobs.refresh import QUIET, root_causes
from jobs.road import ROAD, find_interactions

Partitions = Mapping[str, Sequence[str]]
"""By the name of their definition, the partitions that a run in scratch schemas is to make."""


def run_again(
    defs: dg.Definitions,
    key: dg.AssetKey,
    partition: str | None,
    *,
    prefix: str,
    known_at: str,
    tenant: str,
    of_tenant: Sequence[str] = (),
    of_kpi: Sequence[str] = (),
) -> tuple[str, ...]:
    """Make ``key`` and its ancestors, landings apart, one job of the road after another; return what failed.

    A gate that was closed then closes again, and is no failure. ``of_tenant``: the tenant's experiments, all of which
    are made again for what is made of a whole tenant. ``of_kpi``: the studies that a KPI names, as partitions.
    """
    graph = defs.resolve_asset_graph()
    named = [partition] if partition else []
    partitions_def = graph.get(key).partitions_def
    whole, is_kpi = partitions_def == tenants, partitions_def == kpis
    return run_in_scratch(
        defs,
        graph.get_ancestor_asset_keys(key) | {key},
        {
            experiments.name: of_tenant if whole else named,
            studies.name: of_kpi if is_kpi else named,
            kpis.name: named,
            tenants.name: named,
        },
        jobs=(*ROAD[1:], find_interactions),
        prefix=prefix,
        known_at=known_at,
        tenant=tenant,
    )


def run_in_scratch(
    defs: dg.Definitions,
    wanted: Set[dg.AssetKey],
    partitions: Partitions,
    *,
    jobs: Sequence[UnresolvedAssetJobDefinition],
    prefix: str,
    known_at: str,
    tenant: str,
) -> tuple[str, ...]:
    """Make what is ``wanted`` of these partitions, one job after another; return what failed."""
    graph = defs.resolve_asset_graph()
    configured = {
        "postgres": {"schema_prefix": prefix, "known_at": known_at},
        "dbt": {"schema_prefix": prefix, "tenant": tenant},
        "mlflow": {"enabled": False},
    }
    run_config = {**QUIET, "resources": {name: {"config": config} for name, config in configured.items()}}
    failures: list[str] = []
    with dg.DagsterInstance.ephemeral() as instance:
        for name, keys in partitions.items():
            instance.add_dynamic_partitions(name, list(keys))
        for job in jobs:
            resolved = defs.resolve_job_def(job.name)
            selected = sorted(wanted & resolved.asset_layer.executable_asset_keys)
            if not selected:
                continue
            partitions_def = graph.get(selected[0]).partitions_def
            for partition in partitions[partitions_def.name] if partitions_def is not None else (None,):
                result = resolved.execute_in_process(
                    instance=instance,
                    partition_key=partition,
                    asset_selection=selected,
                    run_config=run_config,
                    raise_on_error=False,
                )
                failures += root_causes(result.all_events)
    return tuple(failures)
