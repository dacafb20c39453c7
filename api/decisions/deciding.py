"""How a decision comes on record: held against what the declared rule says, refused or written down with what failed.

Nothing is changed for any unit. The life cycle stays with the declaration, which says who gets which variant.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from api.database import WriteSession
from api.decisions.models import DecisionRequest, DecisionTaken, FailingCheck, RecordedDecision
from api.decisions.queries import (
    ANNOUNCE,
    AUDIT,
    RECORD,
    RECORDED,
    Declared,
    Standing,
    declared_experiment,
    standing_of,
)
from api.idempotency import Answered, Repeatable
from api.problems import FieldError, Problem
from api.sessions import Writer


@dataclass(frozen=True, slots=True)
class _Held:
    """A decision as it was sent, held against what the rule says."""

    request: DecisionRequest
    variant: str | None
    standing: Standing
    failing: tuple[FailingCheck, ...]


async def take(writer: Writer, key: str, request: DecisionRequest, repeatable: Repeatable | None) -> Answered:
    """Put a decision on record.

    Problem 404 without such an experiment, 422 for a variant that it does not have, 409 with the failing checks if the
    rule does not agree and it is no override.
    """
    session = writer.database.read(writer.tenant)
    async with writer.transaction() as transaction:
        if repeatable is not None:
            answered = await repeatable.answered(transaction)
            if answered is not None:
                return answered
        declared = await declared_experiment(session, key)
        standing = await standing_of(session, key)
        variant = _variant(request, declared, standing)
        held = _Held(request, variant, standing, tuple(failing_checks(request.decision, variant, standing)))
        if held.failing and not request.override:
            raise _refused(held)
        recorded = await _record(transaction, writer.actor, key, held)
        taken = DecisionTaken(**recorded.model_dump(), next_step=_next_step(recorded, declared))
        answer = Answered(201, taken.model_dump_json(), {"Location": f"/v1/experiments/{key}/decisions"})
        if repeatable is not None:
            await repeatable.remember(transaction, answer)
        return answer


def failing_checks(decision: str, variant: str | None, standing: Standing) -> Iterator[FailingCheck]:
    """What speaks against a decision; nothing if it is what the rule recommends, or to go on."""
    if decision == "continue":
        return
    if standing.recommendation == "withheld":
        yield from (FailingCheck(**each) for each in standing.closed_gates)
        return
    if standing.recommendation is None:
        detail = "The declared rule has said nothing yet: the experiment was not analysed."
        yield FailingCheck(check="recommendation", variant=None, detail=detail)
        return
    if (standing.recommendation, standing.variant) == (decision, variant):
        return
    failing = [
        FailingCheck(check=each["check"], variant=each["variant"], detail=each["detail"])
        for each in standing.conditions
        if decision == "ship" and not each["passed"] and each["variant"] in (None, variant)
    ]
    yield from failing
    if not failing:
        said = " ".join(filter(None, (standing.recommendation, standing.variant)))
        detail = f"The declared rule says {said}. {' '.join(standing.reasons)}".strip()
        yield FailingCheck(check="recommendation", variant=None, detail=detail)


def _variant(request: DecisionRequest, declared: Declared, standing: Standing) -> str | None:
    if request.decision != "ship":
        return None
    only = declared.treated[0] if len(declared.treated) == 1 else None
    variant = request.variant or standing.variant or only
    if variant is None:
        raise _wrong_variant("say which one is shipped: the rule names none")
    if variant == declared.control:
        raise _wrong_variant(f"{variant!r} is the control: to keep it, decide to stop")
    if variant not in declared.variants:
        listed = ", ".join(repr(name) for name in declared.treated)
        raise _wrong_variant(f"{variant!r} is not one of the variants {listed}")
    return variant


async def _record(transaction: WriteSession, recorded_by: str, key: str, held: _Held) -> RecordedDecision:
    decision_id = f"d_{secrets.token_hex(10)}"
    request, is_override = held.request, bool(held.failing)
    await transaction.insert(
        RECORD,
        decision_id,
        key,
        request.decision,
        held.variant,
        request.actor,
        recorded_by,
        request.reason,
        is_override,
        json.dumps([each.model_dump() for each in held.failing]),
        held.standing.recommendation,
        json.dumps(held.standing.inputs),
        held.standing.snapshot_id,
    )
    details = {
        "decision_id": decision_id,
        "decision": request.decision,
        "variant": held.variant,
        "actor": request.actor,
        "reason": request.reason,
        "is_override": is_override,
    }
    await transaction.insert(AUDIT, recorded_by, "experiment.decided", key, json.dumps(details))
    await transaction.fetch_row(ANNOUNCE)
    row = await transaction.fetch_row(RECORDED, decision_id)
    assert row is not None, "a decision is visible in the transaction that stored it"
    return RecordedDecision.model_validate_json(row["body"])


def _next_step(recorded: RecordedDecision, declared: Declared) -> str:
    key = recorded.experiment
    where = f"in {declared.declared_in}" if declared.declared_in else f"with PATCH /v1/experiments/{key}"
    match recorded.decision:
        case "ship":
            return (
                f"No unit's variant was changed: assignment follows the declaration. Make {recorded.variant} what is"
                f" there without the experiment, then set status: stopped {where}."
            )
        case "stop":
            return (
                f"No unit's variant was changed: assignment follows the declaration. Set status: stopped {where};"
                f" PUT /v1/kill_switches/{key} gives everybody the control at once."
            )
        case "continue":
            return "Nothing is to be done: the experiment runs on as it is declared."


def _refused(held: _Held) -> Problem:
    names = ", ".join(each.check if each.variant is None else f"{each.check} ({each.variant})" for each in held.failing)
    return Problem(
        409,
        "checks-failing",
        f"To {held.request.decision} is not what the declared rule allows: {names}. To do it all the same send"
        " override: true and a reason, which go on record.",
        members={
            "recommendation": held.standing.recommendation,
            "failing_checks": [each.model_dump() for each in held.failing],
        },
    )


def _wrong_variant(message: str) -> Problem:
    error = FieldError(location=["body", "variant"], code="variant", message=message)
    return Problem(422, "invalid-request", "The request is not as described by /openapi.json.", errors=[error])
