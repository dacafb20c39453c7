"""What a change of declarations would do, without doing it: what it makes stale, and the numbers that come out."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

from assets import partitions, versions
from jobs.reproduce import run_in_scratch
from jobs.road import ROAD, analyse_experiment, publish_experiment
from jobs.standing import Standing
from resources.postgres_client import PostgresClient

_VERSIONS = {
    "experiments": versions.of_experiments,
    "policies": versions.of_policies,
    "studies": versions.of_studies,
    "kpis": versions.of_kpis,
    "sources": versions.of_sources,
}
PUBLISHED = tuple(dg.AssetKey(["serving", name]) for name in ("experiments", "experiment_results", "experiment_health"))


@dataclass(frozen=True)
class Stale:
    """Assets of one job and partition that would be made again, unless something before them comes out as it was."""

    job: str
    partition: str
    assets: tuple[str, ...]
    causes: tuple[str, ...]


def changed_versions(live: PostgresClient, proposed: PostgresClient) -> Mapping[str, tuple[str, ...]]:
    """The partitions of each registry asset whose version would be another, or that would be new."""
    changed = {}
    for name, version_of in _VERSIONS.items():
        now, then = version_of(live), version_of(proposed)
        changed[name] = tuple(sorted(key for key, version in then.items() if now.get(key) != version))
    return changed


def stale_after(graph: BaseAssetGraph, changed: Mapping[str, Sequence[str]], standing: Standing) -> Iterator[Stale]:
    """What would be stale in the partitions that changed, in the order of the road.

    A landing makes events, and whatever they change, stale too: that shows when it has landed.
    """
    for job in ROAD:
        assets: dict[str, dict[str, None]] = defaultdict(dict)
        causes: dict[str, dict[str, None]] = defaultdict(dict)
        selected = job.selection.resolve(graph)
        for name, keys in changed.items():
            registry = dg.AssetKey(["registry", name])
            partitions_def = graph.get(registry).partitions_def
            found = [
                key.to_user_string()
                for key in graph.toposorted_asset_keys
                if key in selected
                and graph.get(key).partitions_def == partitions_def
                and registry in graph.get_ancestor_asset_keys(key)
            ]
            for partition in keys if found else ():
                if standing.asks_for(job.name, partition):
                    assets[partition] |= dict.fromkeys(found)
                    causes[partition][registry.to_user_string()] = None
        for partition, keys_of_job in sorted(assets.items()):
            yield Stale(job.name, partition, tuple(keys_of_job), tuple(causes[partition]))


def borrow_events(scratch: PostgresClient) -> None:
    """Show the live tables of the events stage in a scratch copy: declarations of experiments do not change them."""
    with scratch.transaction() as transaction:
        tables = transaction.fetch_all(
            "SELECT relname FROM pg_class WHERE relnamespace = 'events'::regnamespace AND relkind = 'r'"
            " AND has_table_privilege(oid, 'SELECT')"
        )
        for (table,) in tables:
            borrowed = transaction.table(f"events.{table}")
            transaction.execute(f"DROP TABLE IF EXISTS {borrowed}")
            transaction.execute(f"CREATE VIEW {borrowed} AS SELECT * FROM events.{table}")


def analyse_again(
    defs: dg.Definitions, experiments: Sequence[str], *, prefix: str, known_at: str, tenant: str
) -> tuple[str, ...]:
    """Make what is published of these experiments of a tenant in scratch schemas; return what failed."""
    graph = defs.resolve_asset_graph()
    wanted = set(PUBLISHED).union(*(graph.get_ancestor_asset_keys(key) for key in PUBLISHED))
    return run_in_scratch(
        defs,
        wanted,
        {partitions.experiments.name: experiments},
        jobs=(analyse_experiment, publish_experiment),
        prefix=prefix,
        known_at=known_at,
        tenant=tenant,
    )
