"""Declarations from YAML files into the registry: validated, kept in every version, hashed with what they read."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from causeway.declarations.admission import admit_all
from causeway.declarations.declaration import Declaration
from causeway.declarations.declaration import Path as DeclaredPath
from causeway.declarations.event_type import EventTypeDeclaration
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.problem import DeclarationError, Problem, path_text
from causeway.declarations.reading import AnyDeclaration, read_declaration
from causeway.declarations.source import SourceDeclaration
from causeway.declarations.study import StudyDeclaration
from causeway.landing.reading import table_columns
from causeway.landing.records import require_columns
from resources.postgres_client import PostgresClient, PostgresTransaction
from resources.registry_rows import (
    EVENT_TYPES,
    LOCK_TENANT,
    REFERRING,
    TABLES,
    in_force,
    note_life_cycle,
    put,
    put_source,
    standing_of,
)

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
    """Register all that ``folder`` declares in one transaction: all of it is in force or none of it.

    What a file declared that is there no longer stays in force, and can be changed over HTTP from then on.
    """
    declarations = list(declared_in(folder))
    _require_one_file_each([declaration for declaration, _ in declarations])
    changed: list[tuple[str, str]] = []
    with client.transaction() as transaction:
        _require_admission(transaction, [declaration for declaration, _ in declarations])
        for declaration, path in declarations:
            changed += _put_in_force(transaction, declaration, path)
        transaction.execute(
            f"UPDATE {transaction.table('registry.experiments')} SET declared_in = NULL"
            " WHERE declared_in IS NOT NULL AND NOT declared_in = ANY(%s)",
            ([declaration.declared_at.name for declaration, _ in declarations],),
        )
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
            changed += _put_in_force(transaction, declaration, path)
    return Registered(tuple(changed), len(paths), tuple(refused))


def register(transaction: PostgresTransaction, declaration: AnyDeclaration, path: Path) -> list[tuple[str, str]]:
    """Put one declaration in force, and the file it names, relative to its own; return what changed.

    DeclarationError, with the declared line, if it may not come into force after what is in force already.
    """
    _require_admission(transaction, [declaration])
    return _put_in_force(transaction, declaration, path)


def _require_one_file_each(declarations: Iterable[AnyDeclaration]) -> None:
    """DeclarationError for what two files declare: which of the two is in force would be an accident."""
    seen: dict[tuple[object, ...], str] = {}
    for declaration in declarations:
        version = declaration.version if isinstance(declaration, EventTypeDeclaration) else None
        first = seen.setdefault((declaration.kind, declaration.partition_key, version), declaration.declared_at.name)
        if first != declaration.declared_at.name:
            sentence = f"{first} declares {declaration.kind} {declaration.key!r} of {declaration.tenant} already"
            raise _error_of(declaration, [(("key",), sentence)])


def _require_admission(transaction: PostgresTransaction, declarations: Sequence[AnyDeclaration]) -> None:
    """DeclarationError, for the first file at fault, unless all that is new may come into force."""
    by_tenant: dict[str, list[AnyDeclaration]] = defaultdict(list)
    for declaration in declarations:
        by_tenant[declaration.tenant].append(declaration)
    for tenant in sorted(by_tenant):
        transaction.execute(LOCK_TENANT, (tenant,))
        new = [each for each in by_tenant[tenant] if _changes(transaction, each)]
        refused = admit_all(new, standing_of(transaction, tenant)) if new else []
        if refused:
            first = refused[0][0]
            raise _error_of(first, [(refusal.path, refusal.sentence) for each, refusal in refused if each is first])


def _changes(transaction: PostgresTransaction, declaration: AnyDeclaration) -> bool:
    """Whether a declaration that others may refer to says something else than what is in force."""
    if TABLES.get(declaration.kind, EVENT_TYPES) not in REFERRING:
        return False
    present = in_force(transaction, declaration)
    return present is None or not present.says(declaration)


def _error_of(declaration: Declaration, problems: Iterable[tuple[DeclaredPath, str]]) -> DeclarationError:
    at = declaration.declared_at
    return DeclarationError(
        at.name or declaration.key,
        [Problem(path_text(path), at.line(path), 1, sentence) for path, sentence in problems],
    )


def _put_in_force(transaction: PostgresTransaction, declaration: AnyDeclaration, path: Path) -> list[tuple[str, str]]:
    transaction.execute(
        f"INSERT INTO {transaction.table('registry.tenants')} (tenant_id) VALUES (%s) ON CONFLICT DO NOTHING",
        (declaration.tenant,),
    )
    changed: list[str] = []
    if not isinstance(declaration, SourceDeclaration) and put(transaction, declaration):
        changed.append(declaration.kind)
    landed = _landed(declaration, path)
    if landed is not None and put_source(transaction, declaration, landed):
        changed.append("source")
    if changed:
        _require_columns(declaration, path)
    if isinstance(declaration, ExperimentDeclaration):
        note_life_cycle(transaction, declaration)
    return [(kind, declaration.partition_key) for kind in changed]


def _require_columns(declaration: AnyDeclaration, path: Path) -> None:
    """LandingError, with the declared line, when the file lacks a column that the declaration names."""
    if (
        isinstance(declaration, ExperimentDeclaration | StudyDeclaration)
        and declaration.source
        and declaration.source.file
    ):
        file = (path.parent / declaration.source.file).resolve()
        require_columns(pl.DataFrame(schema=table_columns(file.read_bytes(), file.suffix)), declaration)


def _landed(declaration: AnyDeclaration, path: Path) -> dict[str, Any] | None:
    """What the landing of this declaration reads; its hash changes with the content, not with the analysis."""
    if isinstance(declaration, SourceDeclaration):
        if declaration.file is None:
            return declaration.document()
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
