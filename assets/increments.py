"""How far each table that is kept up to date has been made, and from what: only what changed since is made again.

A table is made anew when the code, the experiment's declaration or the definitions of its metrics are others than those
it was made from, when its raw records lost a whole partition, or when one that it is made from is made anew.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from assets.partitions import keys_of, split
from assets.publication import NOT_CONTENT
from resources.postgres import PostgresResource
from resources.postgres_client import PostgresTransaction, content_version

STRATEGY = "replace_changed"
ANEW = "-infinity"


@dataclass(frozen=True)
class Increment:
    """What dbt is told: of which models what arrived up to when is in them already. Empty: everything is made anew."""

    changed_since: Mapping[str, str] = field(default_factory=dict)
    made_from: str = ""


def increment_of(
    transaction: PostgresTransaction,
    parsed: Mapping[str, Any],
    models: Sequence[str],
    *,
    partition: str,
    known_at: datetime,
) -> Increment:
    """The increment of these models (stage.name) of a parsed project, in one partition or, without any, as a whole."""
    made_from = _made_from(transaction, parsed, partition)
    since: dict[str, str] = {}
    for node in _kept_up_to_date(parsed):
        relation = f"{node['fqn'][1]}.{node['name']}"
        parents = [parsed["nodes"].get(each, {}).get("name") for each in node["depends_on"]["nodes"]]
        if relation not in models or any(since.get(parent) == ANEW for parent in parents):
            since[node["name"]] = ANEW if relation in models else ""
            continue
        state = transaction.fetch_one(
            "SELECT known_at::text FROM ops.table_states WHERE relation = %s AND partition_key = %s AND made_from = %s"
            " AND known_at <= %s AND to_regclass(%s) IS NOT NULL",
            (relation, partition, made_from, known_at, transaction.table(relation)),
        )
        since[node["name"]] = state[0] if state and not _always_anew(transaction, relation, partition) else ANEW
    return Increment({name: moment for name, moment in since.items() if moment}, made_from)


def together(increments: Mapping[str, Increment]) -> Iterator[tuple[Sequence[str], Increment, Mapping[str, str]]]:
    """Partitions that dbt can make in the same statements: those whose models hold the same already.

    With each group its increment, and what each of its partitions is made from.
    """
    groups: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for partition, increment in increments.items():
        groups[(*sorted(increment.changed_since.items()), ("is kept", str(bool(increment.made_from))))].append(
            partition
        )
    for partitions in groups.values():
        made_from = {partition: increments[partition].made_from for partition in partitions}
        yield partitions, increments[partitions[0]], made_from


def versions_and_rows(
    postgres: PostgresResource,
    transaction: PostgresTransaction,
    relation: str,
    unit: str | None,
    partitions: Sequence[str],
) -> Mapping[str, tuple[str, int]]:
    """Data version and number of rows by partition, from what the table's own transaction wrote, or by reading it."""
    states = (
        []
        if postgres.schema_prefix
        else transaction.fetch_all(
            "SELECT partition_key, row_count, hash_sum::text FROM ops.table_states"
            " WHERE relation = %s AND partition_key = ANY(%s)",
            (relation, list(partitions)),
        )
    )
    columns = transaction.columns(relation, NOT_CONTENT)
    found = {partition: (content_version(columns, rows, total), rows) for partition, rows, total in states}
    unknown = {
        partition: keys_of(partition, unit) if unit else {} for partition in partitions if partition not in found
    }
    if unknown:
        hashed = transaction.content_hashes(relation, list(unknown.values()), NOT_CONTENT)
        found |= dict(zip(unknown, hashed, strict=True))
    return found


def _kept_up_to_date(parsed: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Those models, each after the ones that it is made from."""
    waiting = {
        key: node
        for key, node in parsed["nodes"].items()
        if node["resource_type"] == "model" and node["config"].get("incremental_strategy") == STRATEGY
    }
    while waiting:
        for key in [key for key, node in waiting.items() if not waiting.keys() & set(node["depends_on"]["nodes"])]:
            yield waiting.pop(key)


def _made_from(transaction: PostgresTransaction, parsed: Mapping[str, Any], partition: str) -> str:
    causes: list[Any] = [
        sorted(node["checksum"]["checksum"] for node in parsed["nodes"].values() if node["resource_type"] == "model"),
        sorted(macro["macro_sql"] for macro in parsed["macros"].values() if macro["package_name"] == "causeway"),
        transaction.fetch_one("SELECT count(*) FROM ops.audit WHERE action = 'drop_partition'"),
    ]
    if partition:
        tenant, key = split(partition)
        causes.append(
            transaction.fetch_one(
                f"SELECT declaration::text FROM {transaction.table('registry.experiments')}"
                " WHERE tenant_id = %s AND key = %s",
                (tenant, key),
            )
        )
        causes.append(
            transaction.content_hash(
                "experiments.metric_definitions", {"tenant_id": tenant, "experiment": key}, NOT_CONTENT
            )
        )
    return sha256(json.dumps(causes).encode()).hexdigest()


def _always_anew(transaction: PostgresTransaction, relation: str, partition: str) -> bool:
    """Whether a bound of a value is a quantile of the values of all units, which any of them may move."""
    return relation == "experiments.unit_metric_values" and bool(
        transaction.fetch_all(
            "SELECT 1 FROM experiments.metric_definitions WHERE tenant_id = %s AND experiment = %s"
            " AND (lowest_quantile IS NOT NULL OR highest_quantile IS NOT NULL) LIMIT 1",
            split(partition),
        )
    )
