"""The version of everything that lies outside the graph: what users declared, and how far the raw tables have grown."""

from collections.abc import Mapping

from resources.postgres_client import PostgresClient


def of_experiments(client: PostgresClient) -> Mapping[str, str]:
    """A declaration with the tenant's features that it names: editing either makes that one experiment stale."""
    return _pairs(
        client,
        f"""
        SELECT e.tenant_id || '|' || e.key, left(encode(sha256(convert_to(
            e.declaration_hash || coalesce(string_agg(f.declaration_hash, '' ORDER BY f.key), ''), 'UTF8')), 'hex'), 32)
        FROM {client.table("registry.experiments")} AS e
        LEFT JOIN {client.table("registry.features")} AS f
            ON f.tenant_id = e.tenant_id
            AND (e.declaration -> 'covariates' || (e.declaration -> 'segments')) ? f.key
        GROUP BY e.tenant_id, e.key, e.declaration_hash
        """,
    )


def of_studies(client: PostgresClient) -> Mapping[str, str]:
    """A study's declaration."""
    return _declared(client, "studies")


def of_features(client: PostgresClient) -> Mapping[str, str]:
    """A feature's declaration."""
    return _declared(client, "features")


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


def statuses_of_experiments(client: PostgresClient) -> Mapping[str, str]:
    """Where each experiment is in its life cycle."""
    return _pairs(
        client,
        "SELECT tenant_id || '|' || key, coalesce(declaration ->> 'status', 'running')"
        f" FROM {client.table('registry.experiments')}",
    )


def of_raw(client: PostgresClient, table: str) -> str:
    """How far an append-only table has grown."""
    row = client.fetch_one(f"SELECT count(*), coalesce(max(seq), 0) FROM raw.{table}")
    return f"{row[0]} rows, last {row[1]}" if row else ""


def _declared(client: PostgresClient, table: str) -> Mapping[str, str]:
    return _pairs(
        client,
        f"SELECT tenant_id || '|' || key, left(declaration_hash, 32) FROM {client.table('registry.' + table)}",
    )


def _pairs(client: PostgresClient, query: str) -> Mapping[str, str]:
    return {str(partition): str(version) for partition, version in client.fetch_all(query)}
