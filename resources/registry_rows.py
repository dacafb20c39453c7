"""The rows of the registry: what a tenant has in force, every version of it, and the life of its experiments."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from causeway.declarations.event_type import EventTypeDeclaration
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.reading import AnyDeclaration, declaration_from_document
from causeway.declarations.standing import Standing
from resources.postgres_client import PostgresTransaction

TABLES = {
    "experiment": "experiments",
    "study": "studies",
    "kpi": "kpis",
    "metric": "metrics",
    "feature": "features",
    "source": "sources",
    "flag": "flags",
    "layer": "layers",
    "saved_group": "saved_groups",
}
EVENT_TYPES = "event_types"
REFERRING = ("experiments", "metrics", "flags", "layers", "saved_groups", "studies", "kpis", EVENT_TYPES)
LOCK_TENANT = "SELECT pg_advisory_xact_lock(hashtextextended('registry|' || %s, 0))"
"""Taken before a tenant's registry is read to be changed, by whoever changes it."""


def standing_of(transaction: PostgresTransaction, tenant: str) -> Standing:
    """What ``tenant`` has in force. A row that no longer validates is passed over: it is not what is being changed."""
    declarations: list[AnyDeclaration] = []
    for table in REFERRING:
        rows = transaction.fetch_all(
            f"SELECT declaration FROM {transaction.table('registry.' + table)} WHERE tenant_id = %s", (tenant,)
        )
        for (document,) in rows:
            with suppress(ValidationError):
                declarations.append(declaration_from_document(document))
    return Standing.of(declarations)


def restore(transaction: PostgresTransaction, tenant: str, as_of: datetime) -> None:
    """Fill the registry of a scratch copy with the tenant's declarations as they were in force at ``as_of``."""
    for kind, table in TABLES.items():
        transaction.execute(
            f"INSERT INTO {transaction.table('registry.' + table)} (tenant_id, key, declaration, declaration_hash)"
            " SELECT DISTINCT ON (key) tenant_id, key, declaration, declaration_hash FROM registry.declaration_versions"
            " WHERE tenant_id = %s AND kind = %s AND declared_at <= %s ORDER BY key, declared_at DESC",
            (tenant, kind, as_of),
        )
    transaction.execute(
        f"INSERT INTO {transaction.table('registry.' + EVENT_TYPES)}"
        " (tenant_id, key, version, declaration, declaration_hash)"
        " SELECT DISTINCT ON (key, (declaration ->> 'version')::int)"
        " tenant_id, key, (declaration ->> 'version')::int, declaration, declaration_hash"
        " FROM registry.declaration_versions WHERE tenant_id = %s AND kind = 'event_type' AND declared_at <= %s"
        " ORDER BY key, (declaration ->> 'version')::int, declared_at DESC",
        (tenant, as_of),
    )


def copy_registry(transaction: PostgresTransaction) -> None:
    """Fill the registry of a scratch copy with all that is in force now, of every tenant."""
    for table in ("tenants", *TABLES.values(), EVENT_TYPES, "kill_switches", "life_cycle"):
        transaction.execute(f"INSERT INTO {transaction.table('registry.' + table)} SELECT * FROM registry.{table}")


@dataclass(frozen=True)
class InForce:
    """A row of the registry."""

    declaration_hash: str
    document: Mapping[str, Any]
    declared_in: str | None

    def says(self, declaration: AnyDeclaration) -> bool:
        """Whether it means what ``declaration`` does.

        The text that was hashed may have been another: keys with defaults are added by later versions of this code,
        and a declaration that does not use them is not a new one.
        """
        if self.declaration_hash == declaration.declaration_hash:
            return True
        with suppress(ValidationError):
            return declaration_from_document(self.document).canonical_json() == declaration.canonical_json()
        return False


def in_force(transaction: PostgresTransaction, declaration: AnyDeclaration) -> InForce | None:
    """The row of a declaration's tenant and key, and of an event type's version; None if there is none."""
    names, values = _primary_key(declaration)
    row = transaction.fetch_one(
        f"SELECT declaration_hash, declaration, declared_in FROM {_table_of(transaction, declaration)}"
        f" WHERE {' AND '.join(f'{name} = %s' for name in names)}",
        values,
    )
    return None if row is None else InForce(*row)


def put(transaction: PostgresTransaction, declaration: AnyDeclaration) -> bool:
    """Store a declaration; return whether it says anything new."""
    present = in_force(transaction, declaration)
    file = declaration.declared_at.name or None
    text = json.dumps(declaration.document(), sort_keys=True, ensure_ascii=False)
    names, values = _primary_key(declaration)
    if present is not None and present.says(declaration):
        if (present.document, present.declared_in) != (declaration.document(), file):
            transaction.execute(
                f"UPDATE {_table_of(transaction, declaration)} SET declaration = %s::jsonb, declared_in = %s"
                f" WHERE {' AND '.join(f'{name} = %s' for name in names)}",
                (text, file, *values),
            )
        return False
    transaction.execute(
        f"INSERT INTO {_table_of(transaction, declaration)}"
        f" ({', '.join(names)}, declaration, declaration_hash, declared_in)"
        f" VALUES ({', '.join(['%s'] * len(names))}, %s::jsonb, %s, %s)"
        f" ON CONFLICT ({', '.join(names)}) DO UPDATE SET declaration = excluded.declaration,"
        " declaration_hash = excluded.declaration_hash, declared_in = excluded.declared_in,"
        " declared_at = clock_timestamp()",
        (*values, text, declaration.declaration_hash, file),
    )
    _keep_version(transaction, declaration.kind, declaration, declaration.declaration_hash, text)
    return True


def put_source(transaction: PostgresTransaction, declaration: AnyDeclaration, landed: Mapping[str, Any]) -> bool:
    """Store what a landing reads; its hash is that of all of it, the content of the file included."""
    text = json.dumps(landed, sort_keys=True, ensure_ascii=False)
    version = hashlib.sha256(text.encode()).hexdigest()
    touched = transaction.execute(
        f"INSERT INTO {transaction.table('registry.sources')} AS present"
        " (tenant_id, key, declaration, declaration_hash, declared_in) VALUES (%s, %s, %s::jsonb, %s, %s)"
        " ON CONFLICT (tenant_id, key) DO UPDATE SET declaration = excluded.declaration,"
        " declaration_hash = excluded.declaration_hash, declared_in = excluded.declared_in,"
        " declared_at = clock_timestamp()"
        " WHERE present.declaration_hash <> excluded.declaration_hash",
        (declaration.tenant, declaration.key, text, version, declaration.declared_at.name or None),
    )
    if touched:
        _keep_version(transaction, "source", declaration, version, text)
    return bool(touched)


def _keep_version(
    transaction: PostgresTransaction, kind: str, declaration: AnyDeclaration, version: str, text: str
) -> None:
    transaction.execute(
        f"INSERT INTO {transaction.table('registry.declaration_versions')}"
        " (tenant_id, kind, key, declaration_hash, declaration) VALUES (%s, %s, %s, %s, %s::jsonb)",
        (declaration.tenant, kind, declaration.key, version, text),
    )


def note_life_cycle(transaction: PostgresTransaction, experiment: ExperimentDeclaration) -> None:
    """Append to the history of an experiment, unless it says already what the experiment says now."""
    transaction.execute(
        f"INSERT INTO {transaction.table('registry.life_cycle')} (tenant_id, experiment, status, version, by)"
        " SELECT %(tenant)s, %(key)s, %(status)s, %(version)s, %(by)s WHERE NOT coalesce((SELECT"
        f" (status, version) = (%(status)s, %(version)s) FROM {transaction.table('registry.life_cycle')}"
        " WHERE tenant_id = %(tenant)s AND experiment = %(key)s ORDER BY at DESC LIMIT 1), false)",
        {
            "tenant": experiment.tenant,
            "key": experiment.key,
            "status": experiment.status,
            "version": experiment.version,
            "by": experiment.declared_at.name or "registry",
        },
    )


def _table_of(transaction: PostgresTransaction, declaration: AnyDeclaration) -> str:
    return transaction.table("registry." + TABLES.get(declaration.kind, EVENT_TYPES))


def _primary_key(declaration: AnyDeclaration) -> tuple[tuple[str, ...], tuple[str | int, ...]]:
    if isinstance(declaration, EventTypeDeclaration):
        return ("tenant_id", "key", "version"), (declaration.tenant, declaration.key, declaration.version)
    return ("tenant_id", "key"), (declaration.tenant, declaration.key)
