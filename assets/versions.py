"""The version of everything that lies outside the graph: what users declared, and how far the raw tables have grown."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from causeway.assignment.batch.reach import reach_of
from causeway.assignment.flags import FlagSet
from resources.flags_in_force import flags_in_force
from resources.postgres_client import PostgresClient

READ_BY_KPIS = (
    "estimates/study_effects",
    "estimates/unit_effects",
    "features/study_fields",
    "features/study_units",
)
"""Assets of a study that a KPI is made from."""


def of_experiments(client: PostgresClient) -> Mapping[str, str]:
    """A declaration with the tenant's features and metrics that it names: editing one makes that experiment stale."""
    return _pairs(
        client,
        f"""
        SELECT e.tenant_id || '|' || e.key, left(encode(sha256(convert_to(
            e.declaration_hash || coalesce(string_agg(named.declaration_hash, '' ORDER BY named.kind, named.key), ''),
            'UTF8')), 'hex'), 32)
        FROM {client.table("registry.experiments")} AS e
        LEFT JOIN (
            SELECT 'feature' AS kind, tenant_id, key, declaration_hash FROM {client.table("registry.features")}
            UNION ALL
            SELECT 'metric', tenant_id, key, declaration_hash FROM {client.table("registry.metrics")}
        ) AS named
            ON named.tenant_id = e.tenant_id
            AND CASE named.kind
                WHEN 'feature' THEN (e.declaration -> 'covariates' || (e.declaration -> 'segments')) ? named.key
                ELSE jsonb_path_query_array(e.declaration, '$.metrics[*].metric') ? named.key
            END
        GROUP BY e.tenant_id, e.key, e.declaration_hash
        """,
    )


def of_policies(client: PostgresClient) -> Mapping[str, str]:
    """What decides the assignments of an experiment now: an edit of anything that it needs, a kill switch and a step
    of a ramp are another version.
    """
    now, found = datetime.now(UTC), {}
    with client.transaction() as transaction:
        names = transaction.fetch_all(
            f"SELECT tenant_id, array_agg(key) FROM {transaction.table('registry.experiments')} GROUP BY tenant_id"
        )
        for tenant, keys in names:
            flags = flags_in_force(transaction, tenant)
            found |= {f"{tenant}|{key}": _policy(flags, key, now) for key in keys if key in flags.flags}
    return found


def of_studies(client: PostgresClient) -> Mapping[str, str]:
    """A study's declaration."""
    return _declared(client, "studies")


def of_kpis(client: PostgresClient) -> Mapping[str, str]:
    """A KPI's declaration with what was last made of its studies, which are partitions of another kind.

    Whatever of them changes makes the KPIs of that very study stale, and no other.
    """
    return _pairs(
        client,
        f"""
        SELECT k.tenant_id || '|' || k.key, left(encode(sha256(convert_to(
            k.declaration_hash || coalesce(string_agg(
                made.asset || made.partition_key || made.data_version, '' ORDER BY made.partition_key, made.asset
            ), ''), 'UTF8')), 'hex'), 32)
        FROM {client.table("registry.kpis")} AS k
        LEFT JOIN LATERAL (
            SELECT DISTINCT ON (p.asset, p.partition_key) p.asset, p.partition_key, p.data_version
            FROM ops.provenance AS p
            WHERE p.tenant_id = k.tenant_id
                AND p.asset = ANY(%s)
                AND (k.declaration -> 'studies' || jsonb_build_array(k.declaration -> 'study'))
                ? split_part(p.partition_key, '|', 2)
            ORDER BY p.asset, p.partition_key, p.materialized_at DESC
        ) AS made ON true
        GROUP BY k.tenant_id, k.key, k.declaration_hash
        """,
        (list(READ_BY_KPIS),),
    )


def of_features(client: PostgresClient) -> Mapping[str, str]:
    """A feature's declaration."""
    return _declared(client, "features")


def of_metrics(client: PostgresClient) -> Mapping[str, str]:
    """A metric's declaration."""
    return _declared(client, "metrics")


def of_sources(client: PostgresClient) -> Mapping[str, str]:
    """What a landing reads: where it lies and the hash of its content."""
    return _declared(client, "sources")


def of_flags(client: PostgresClient) -> Mapping[str, str]:
    """A flag's declaration."""
    return _declared(client, "flags")


def of_layers(client: PostgresClient) -> Mapping[str, str]:
    """A layer's declaration, the buckets of its experiments included."""
    return _declared(client, "layers")


def of_saved_groups(client: PostgresClient) -> Mapping[str, str]:
    """A saved group's values."""
    return _declared(client, "saved_groups")


def of_event_types(client: PostgresClient) -> Mapping[str, str]:
    """Every version of an event type's declaration."""
    return _pairs(
        client,
        f"""
        SELECT tenant_id || '|' || key, left(encode(sha256(convert_to(
            string_agg(declaration_hash, '' ORDER BY version), 'UTF8')), 'hex'), 32)
        FROM {client.table("registry.event_types")}
        GROUP BY tenant_id, key
        """,
    )


def standing_of_experiments(client: PostgresClient) -> Mapping[str, tuple[str, bool]]:
    """Where each experiment is in its life cycle, and whether it has a plan."""
    rows = client.fetch_all(
        "SELECT tenant_id || '|' || key, coalesce(declaration ->> 'status', 'running'),"
        " declaration ->> 'plan' IS NOT NULL"
        f" FROM {client.table('registry.experiments')}"
    )
    return {partition: (status, has_plan) for partition, status, has_plan in rows}


def _policy(flags: FlagSet, key: str, at: datetime) -> str:
    reach = reach_of(flags, key)
    switched = [
        *((each.key, each.policy_version, each.enabled) for each in reach.flags),
        *((each.key, each.accepts_new_units) for each in reach.experiments),
        sum(moment <= at for moment in reach.moments),
    ]
    return sha256(json.dumps(switched).encode()).hexdigest()[:32]


def tenants(client: PostgresClient) -> list[str]:
    """Those who have declared an experiment: there is something to find among theirs."""
    query = f"SELECT DISTINCT tenant_id FROM {client.table('registry.experiments')} ORDER BY 1"
    return [tenant for (tenant,) in client.fetch_all(query)]


def of_raw(client: PostgresClient, table: str) -> str:
    """How far an append-only table has grown."""
    row = client.fetch_one(f"SELECT count(*), coalesce(max(seq), 0) FROM raw.{table}")
    return f"{row[0]} rows, last {row[1]}" if row else ""


def _declared(client: PostgresClient, table: str) -> Mapping[str, str]:
    return _pairs(
        client,
        f"SELECT tenant_id || '|' || key, left(declaration_hash, 32) FROM {client.table('registry.' + table)}",
    )


def _pairs(client: PostgresClient, query: str, parameters: Sequence[Any] | None = None) -> Mapping[str, str]:
    return {str(partition): str(version) for partition, version in client.fetch_all(query, parameters)}
