"""Run one asset partition and everything before it again, in scratch schemas and on an instance that is thrown away."""

import dagster as dg

from jobs.refresh import QUIET, root_causes
from jobs.road import ROAD


def run_again(
    defs: dg.Definitions, key: dg.AssetKey, partition: str | None, *, prefix: str, known_at: str, tenant: str
) -> tuple[str, ...]:
    """Make ``key`` and its ancestors, landings apart, one job of the road after another; return what failed.

    A gate that was closed then closes again, and is no failure.
    """
    graph = defs.resolve_asset_graph()
    wanted = graph.get_ancestor_asset_keys(key) | {key}
    configured = {
        "postgres": {"schema_prefix": prefix, "known_at": known_at},
        "dbt": {"schema_prefix": prefix, "tenant": tenant},
        "mlflow": {"enabled": False},
    }
    run_config = {**QUIET, "resources": {name: {"config": config} for name, config in configured.items()}}
    failures: list[str] = []
    with dg.DagsterInstance.ephemeral() as instance:
        for job in ROAD[1:]:
            resolved = defs.resolve_job_def(job.name)
            selected = sorted(wanted & resolved.asset_layer.executable_asset_keys)
            if not selected:
                continue
            partitions_def = graph.get(selected[0]).partitions_def
            if partitions_def is not None:
                instance.add_dynamic_partitions(partitions_def.name, [partition])
            result = resolved.execute_in_process(
                instance=instance,
                partition_key=partition if partitions_def is not None else None,
                asset_selection=selected,
                run_config=run_config,
                raise_on_error=False,
            )
            failures += root_causes(result.all_events)
    return tuple(failures)
