"""How an experiment that is declared over HTTP comes into force: by the rules that hold for files, in one transaction.

The registry, the history of its declarations and of its life cycle, the audit log and the answer under an
Idempotency-Key are written together. Whoever keeps the tenant's flags hears of it with the commit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from api.database import WriteSession
from api.experiments.differences import differences
from api.experiments.documents import declared, refused
from api.experiments.models import Plan, RegisteredExperiment
from api.experiments.queries import LIFE_CYCLE
from api.idempotency import Answered, Repeatable
from api.problems import FieldError, Problem, not_found
from api.sessions import Writer
from causeway.declarations.admission import admit
from causeway.declarations.declaration import Declaration
from causeway.declarations.experiment import ExperimentDeclaration
from causeway.declarations.problem import path_text
from causeway.declarations.reading import declaration_from_document
from causeway.declarations.refusal import Refusal
from causeway.declarations.standing import Standing

# One change of a tenant's registry at a time: two that are fine alone may not be fine together.
_LOCK = "select pg_advisory_xact_lock(hashtextextended('registry|' || $1, 0))"

_PRESENT = """
select declaration, declaration_hash, declared_in from registry.experiments where tenant_id = $1 and key = $2
"""

_STANDING = """
select coalesce(json_agg(declaration), '[]') as declarations
from (
    select declaration from registry.experiments where tenant_id = $1
    union all
    select declaration from registry.flags where tenant_id = $1
    union all
    select declaration from registry.layers where tenant_id = $1
    union all
    select declaration from registry.saved_groups where tenant_id = $1
    union all
    select declaration from registry.metrics where tenant_id = $1
) as standing
"""

_PUT = """
insert into registry.experiments as present (tenant_id, key, declaration, declaration_hash)
values ($1, $2, $3::jsonb, $4)
on conflict (tenant_id, key) do update set
    declaration = excluded.declaration, declaration_hash = excluded.declaration_hash, declared_at = clock_timestamp()
"""

_VERSION = """
insert into registry.declaration_versions (tenant_id, kind, key, declaration_hash, declaration)
values ($1, 'experiment', $2, $3, $4::jsonb)
"""

_STEP = 'insert into registry.life_cycle (tenant_id, experiment, status, version, "by") values ($1, $2, $3, $4, $5)'

_AUDIT = "insert into ops.audit (tenant_id, actor, action, subject, details) values ($1, $2, $3, $4, $5::jsonb)"

_REGISTERED = f"""
select row_to_json(registered) as body
from (
    select
        key as experiment,
        coalesce(declaration ->> 'status', 'running') as status,
        coalesce((declaration ->> 'version')::bigint, 1) as version,
        declaration,
        declaration_hash,
        declared_in,
        declared_at,
        ({LIFE_CYCLE}) as life_cycle
    from registry.experiments
    where tenant_id = $1 and key = $2
) as registered
"""

Change = Callable[[Mapping[str, Any]], object]
"""The document that is to be in force, made of the one that is."""


@dataclass(frozen=True, slots=True)
class _Present:
    """The experiment as it is in force."""

    document: Mapping[str, Any]
    declaration_hash: str
    declared_in: str | None


def etag_of(declaration_hash: str) -> str:
    """The ETag of an experiment: it changes with the declaration, not with what is computed of it."""
    return f'"{declaration_hash[:32]}"'


async def create(writer: Writer, document: object, repeatable: Repeatable | None) -> Answered:
    """Put a new experiment in force. Problem 409 if there is one of its key, or it does not fit what is in force."""
    async with writer.transaction() as transaction:
        if repeatable is not None:
            answered = await repeatable.answered(transaction)
            if answered is not None:
                return answered
        await transaction.fetch_row(_LOCK)
        declaration = declared(document, writer.tenant)
        present = await _present(transaction, declaration.key)
        if present is not None:
            raise _exists(declaration.key, present)
        _raise_for(await _refusals(transaction, declaration))
        await _put(transaction, writer.actor, declaration, None)
        answer = await _answer(transaction, declaration.key, 201)
        if repeatable is not None:
            await repeatable.remember(transaction, answer)
        return answer


async def change(writer: Writer, key: str, if_match: str, make: Change) -> Answered:
    """Put another declaration of an experiment in force.

    Problem 404 if there is none, 412 if ``if_match`` does not name what is in force, 409 if a file declares it.
    """
    async with writer.transaction() as transaction:
        await transaction.fetch_row(_LOCK)
        present = await _present(transaction, key)
        if present is None:
            raise not_found("experiment", key)
        _require(if_match, key, present)
        declaration = _renewed(key, make(present.document), writer.tenant)
        if declaration.declaration_hash != present.declaration_hash:
            _raise_for(await _refusals(transaction, declaration))
            await _put(transaction, writer.actor, declaration, present)
        return await _answer(transaction, key, 200)


async def plan_of_creation(writer: Writer, document: object) -> Plan:
    """What ``create`` would do, with everything that keeps it from doing so; nothing is stored."""
    async with writer.transaction() as transaction:
        declaration = declared(document, writer.tenant)
        present = await _present(transaction, declaration.key)
        if present is not None:
            problem = _exists(declaration.key, present)
            taken = FieldError(location=["body", "key"], code="taken", message=problem.detail)
            return Plan(experiment=declaration.key, action="create", changes=[], problems=[taken])
        return await _plan(transaction, declaration, None)


async def plan_of_change(writer: Writer, key: str, if_match: str, make: Change) -> Plan:
    """What ``change`` would do, with everything that keeps it from doing so; nothing is stored."""
    async with writer.transaction() as transaction:
        present = await _present(transaction, key)
        if present is None:
            raise not_found("experiment", key)
        _require(if_match, key, present)
        declaration = _renewed(key, make(present.document), writer.tenant)
        return await _plan(transaction, declaration, present)


async def _plan(transaction: WriteSession, declaration: ExperimentDeclaration, present: _Present | None) -> Plan:
    before = {} if present is None else present.document
    changes = differences(before, declaration.document())
    if present is not None and declaration.declaration_hash == present.declaration_hash:
        return Plan(experiment=declaration.key, action="none", changes=[], problems=[])
    problems = [_field(each) for each in await _refusals(transaction, declaration)]
    action: Literal["create", "change"] = "create" if present is None else "change"
    return Plan(experiment=declaration.key, action=action, changes=changes, problems=problems)


async def _present(transaction: WriteSession, key: str) -> _Present | None:
    row = await transaction.fetch_row(_PRESENT, key)
    if row is None:
        return None
    return _Present(json.loads(row["declaration"]), row["declaration_hash"], row["declared_in"])


async def _refusals(transaction: WriteSession, declaration: ExperimentDeclaration) -> list[Refusal]:
    row = await transaction.fetch_row(_STANDING)
    assert row is not None, "a query of aggregates has one row"
    return admit(declaration, Standing.of(_sound(json.loads(row["declarations"]))))


def _sound(documents: list[Mapping[str, Any]]) -> list[Declaration]:
    """Declarations of stored documents, without those that an earlier version wrote and this one cannot read."""
    found: list[Declaration] = []
    for document in documents:
        try:
            found.append(declaration_from_document(document))
        except ValidationError:
            continue
    return found


async def _put(
    transaction: WriteSession, actor: str, declaration: ExperimentDeclaration, present: _Present | None
) -> None:
    text = json.dumps(declaration.document(), sort_keys=True, ensure_ascii=False)
    key, version = declaration.key, declaration.declaration_hash
    await transaction.insert(_PUT, key, text, version)
    await transaction.insert(_VERSION, key, version, text)
    before = None if present is None else (present.document.get("status"), present.document.get("version"))
    if before != (declaration.status, declaration.version):
        await transaction.insert(_STEP, key, declaration.status, declaration.version, actor)
    details = {
        "declaration_hash": version,
        "before": None if present is None else present.declaration_hash,
        "status": declaration.status,
        "version": declaration.version,
    }
    action = "experiment.created" if present is None else "experiment.changed"
    await transaction.insert(_AUDIT, actor, action, key, json.dumps(details))


async def _answer(transaction: WriteSession, key: str, status: int) -> Answered:
    row = await transaction.fetch_row(_REGISTERED, key)
    assert row is not None, "an experiment is visible in the transaction that stored it"
    experiment = RegisteredExperiment.model_validate_json(row["body"])
    headers = {"ETag": etag_of(experiment.declaration_hash)}
    if status == 201:
        headers["Location"] = f"/v1/experiments/{key}"
    return Answered(status, experiment.model_dump_json(), headers)


def _renewed(key: str, document: object, tenant: str) -> ExperimentDeclaration:
    declaration = declared({"key": key, **document} if isinstance(document, Mapping) else document, tenant)
    if declaration.key != key:
        message = f"is {declaration.key!r}, and the path says {key!r}; a key cannot change"
        raise refused([FieldError(location=["body", "key"], code="other_key", message=message)])
    return declaration


def _require(if_match: str, key: str, present: _Present) -> None:
    tags = [tag.strip() for tag in if_match.split(",")]
    if "*" not in tags and etag_of(present.declaration_hash) not in tags:
        detail = f"Experiment {key!r} is not as it was when you read it: read it again, and repeat your change."
        raise Problem(412, "precondition-failed", detail)
    if present.declared_in is not None:
        raise _in_file(key, present.declared_in)


def _in_file(key: str, file: str) -> Problem:
    detail = f"Experiment {key!r} is declared in {file}: change it there, or engage its kill switch."
    return Problem(409, "declared-in-file", detail)


def _exists(key: str, present: _Present) -> Problem:
    if present.declared_in is not None:
        return _in_file(key, present.declared_in)
    detail = f"There is an experiment {key!r} already: change it with PUT or PATCH /v1/experiments/{key}."
    return Problem(409, "exists", detail)


def _raise_for(refusals: list[Refusal]) -> None:
    if not refusals:
        return
    errors = [_field(each) for each in refusals]
    if all(each.is_conflict for each in refusals):
        sentences = "; ".join(str(each) for each in refusals)
        raise Problem(409, "conflict", f"It does not fit what is in force: {sentences}", errors=errors)
    raise refused(errors)


def _field(refusal: Refusal) -> FieldError:
    path = path_text(refusal.path)
    return FieldError(location=["body", path] if path else ["body"], code=refusal.code, message=refusal.sentence)
