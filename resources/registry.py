"""Declarations from YAML files into the registry: validated, kept in every version, hashed with what they read."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.reading import AnyDeclaration, read_declaration
from causeway.declarations.source import SourceDeclaration
from causeway.declarations.study import StudyDeclaration
from causeway.landing.reading import parse_table
from causeway.landing.records import require_columns
from resources.postgres_client import PostgresClient, PostgresTransaction

TABLES = {"experiment": "experiments", "study": "studies", "feature": "features", "source": "sources"}
EVENT_FILE_SUFFIXES = (".csv", ".parquet", ".ndjson")


@dataclass(frozen=True)
class Registered:
    """What registering a folder changed, as (kind, tenant|key), and what could not be registered, with the reason."""

    changed: tuple[tuple[str, str], ...]
    total: int
    refused: tuple[str, ...] = ()


def declared_in(folder: Path) -> Iterator[tuple[AnyDeclaration, Path]]:
    """Every declaration under ``folder`` with its file; DeclarationError names file and line of the first bad one."""
    for path in sorted(folder.rglob("*.yaml")):
        yield read_declaration(path.read_text(), str(path.relative_to(folder))), path


def register_folder(client: PostgresClient, folder: Path) -> Registered:
    """Register all that ``folder`` declares in one transaction: all of it is in force or none of it."""
    declarations = list(declared_in(folder))
    changed: list[tuple[str, str]] = []
    with client.transaction() as transaction:
        for declaration, path in declarations:
            changed += register(transaction, declaration, path)
    return Registered(tuple(changed), len(declarations))


def register_landing_files(client: PostgresClient, folder: Path) -> Registered:
    """Register every event file that lies in ``folder/<tenant>/``; files are appended, never restated.

    A file or folder whose name cannot be a key or a tenant is refused by itself; the others go on.
    """
    changed: list[tuple[str, str]] = []
    refused: list[str] = []
    paths = sorted(path for path in folder.glob("*/*") if path.suffix in EVENT_FILE_SUFFIXES)
    with client.transaction() as transaction:
        for path in paths:
            try:
                declaration = SourceDeclaration(
                    kind="source", key=path.name, tenant=path.parent.name, file=str(path), mode="append"
                )
            except ValidationError as error:
                what = "; ".join(f"{each['loc'][0]} {each['input']!r}: {each['msg']}" for each in error.errors())
                refused.append(f"{path.parent.name}/{path.name}: {what}")
                continue
            changed += register(transaction, declaration, path)
    return Registered(tuple(changed), len(paths), tuple(refused))


def register(transaction: PostgresTransaction, declaration: AnyDeclaration, path: Path) -> list[tuple[str, str]]:
    """Put one declaration in force, and the file it names, relative to its own; return what changed."""
    transaction.execute(
        "INSERT INTO registry.tenants (tenant_id) VALUES (%s) ON CONFLICT DO NOTHING", (declaration.tenant,)
    )
    documents = {declaration.kind: declaration.document()}
    landed = _landed(declaration, path)
    if landed is not None:
        documents["source"] = landed
    changed = [_put(transaction, kind, declaration, document) for kind, document in documents.items()]
    if any(changed):
        _require_columns(declaration, path)
    return [(kind, partition) for kind, partition in filter(None, changed)]


def restore(transaction: PostgresTransaction, tenant: str, as_of: datetime) -> None:
    """Fill the registry of a scratch copy with the tenant's declarations as they were in force at ``as_of``."""
    for kind, table in TABLES.items():
        transaction.execute(
            f"INSERT INTO {transaction.table('registry.' + table)} (tenant_id, key, declaration, declaration_hash)"
            " SELECT DISTINCT ON (key) tenant_id, key, declaration, declaration_hash FROM registry.declaration_versions"
            " WHERE tenant_id = %s AND kind = %s AND declared_at <= %s ORDER BY key, declared_at DESC",
            (tenant, kind, as_of),
        )


def _require_columns(declaration: AnyDeclaration, path: Path) -> None:
    """LandingError, with the declared line, when the file lacks a column that the declaration names."""
    if (
        isinstance(declaration, ExperimentDeclaration | StudyDeclaration)
        and declaration.source
        and declaration.source.file
    ):
        file = (path.parent / declaration.source.file).resolve()
        require_columns(parse_table(file.read_bytes(), file.suffix).frame, declaration)


def _landed(declaration: AnyDeclaration, path: Path) -> dict[str, Any] | None:
    """What the landing of this declaration reads; its hash changes with the content, not with the analysis."""
    if isinstance(declaration, SourceDeclaration):
        if declaration.file is None:
            return None
        file = (path.parent / declaration.file).resolve()
        return {**declaration.document(), "file": str(file), "content_hash": content_hash(file)}
    if isinstance(declaration, ExperimentDeclaration | StudyDeclaration) and declaration.source is not None:
        source = declaration.source.model_dump(mode="json", exclude_none=True)
        if "file" in source:
            file = (path.parent / source["file"]).resolve()
            source |= {"file": str(file), "content_hash": content_hash(file)}
        elif "dataset" not in source:
            return None
        return {"kind": "source", "table_of": declaration.kind, **source}
    return None


def content_hash(file: Path) -> str:
    """SHA-256 of a file; FileNotFoundError that says where it was looked for."""
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}; a declaration names files relative to itself")
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _put(
    transaction: PostgresTransaction, kind: str, declaration: AnyDeclaration, document: Mapping[str, Any]
) -> tuple[str, str] | None:
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    version = hashlib.sha256(text.encode()).hexdigest()
    touched = transaction.execute(
        f"INSERT INTO {transaction.table('registry.' + TABLES[kind])} AS present"
        " (tenant_id, key, declaration, declaration_hash) VALUES (%s, %s, %s::jsonb, %s)"
        " ON CONFLICT (tenant_id, key) DO UPDATE SET declaration = excluded.declaration,"
        " declaration_hash = excluded.declaration_hash, declared_at = clock_timestamp()"
        " WHERE present.declaration_hash <> excluded.declaration_hash",
        (declaration.tenant, declaration.key, text, version),
    )
    if not touched:
        return None
    transaction.execute(
        f"INSERT INTO {transaction.table('registry.declaration_versions')}"
        " (tenant_id, kind, key, declaration_hash, declaration) VALUES (%s, %s, %s, %s, %s::jsonb)",
        (declaration.tenant, kind, declaration.key, version, text),
    )
    return kind, declaration.partition_key
