"""How a unit gets its variant and keeps it; $1 is the tenant throughout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from api.assignments.models import Assignment, AssignmentRequest, UnitAssignments
from api.database import ReadSession, as_tenant
from api.problems import FieldError, Problem, not_found
from api.sessions import Writer
from causeway.assignment.evaluate import UnusableUnitError
from causeway.assignment.evaluate import assign as evaluate
from causeway.declarations.experiment import ExperimentDeclaration

SOURCE = "api"

# A unit may have been assigned elsewhere before, such as in a landed file: the earliest assignment holds.
_FIRST = """
    select variant, assigned_at, source
    from serving.unit_assignments
    where tenant_id = $1 and experiment = $2 and unit_id = $3
    order by assigned_at, source, variant
    limit 1
"""

STANDING = as_tenant(
    f"""
    select declared.declaration, first.variant, first.assigned_at, first.source
    from registry.experiments as declared
    left join lateral ({_FIRST}) as first on true
    where declared.tenant_id = $1 and declared.key = $2
    """
)

INSERT = """
insert into raw.assignments
    (tenant_id, source, event_id, type, unit_id, occurred_at, properties, experiment, variant)
values ($1, $5, $2 || ':' || $3, 'assignment', $3, clock_timestamp(), $6::jsonb, $2, $4)
on conflict do nothing
"""

_ASSIGNMENTS = TypeAdapter(list[Assignment])

OF_UNIT = as_tenant(
    """
    select json_agg(first order by first.experiment)
    from (
        select distinct on (experiment) experiment, unit_id, variant, assigned_at, source
        from serving.unit_assignments
        where tenant_id = $1 and unit_id = $2
        order by experiment, assigned_at, source, variant
    ) as first
    """
)


async def assign(session: ReadSession, writer: Writer, request: AssignmentRequest) -> Assignment:
    """The assignment that ``request`` asks for, stored; Problem 404 if this tenant has no such experiment.

    Many may ask for one unit at once: one row is stored, and every answer is read back from it.
    """
    experiment, unit_id = request.experiment, request.unit_id
    standing = await session.fetch_row(STANDING, experiment, unit_id)
    if standing is None:
        raise not_found("experiment", experiment)
    if standing["variant"] is not None:
        return _assignment(experiment, unit_id, standing)
    declaration = ExperimentDeclaration.model_validate_json(standing["declaration"])
    try:
        variant = evaluate(declaration, unit_id).variant
    except UnusableUnitError as error:
        field = FieldError(location=["body", "unit_id"], code="unusable", message=str(error))
        raise Problem(422, "invalid-request", "The unit cannot be assigned.", errors=[field]) from None
    properties = json.dumps(request.properties, allow_nan=False)
    async with writer.transaction() as transaction:
        await transaction.insert(INSERT, experiment, unit_id, variant, SOURCE, properties)
        stored = await transaction.fetch_row(_FIRST, experiment, unit_id)
        assert stored is not None, "a stored assignment is visible in the transaction that stored it"
    return _assignment(experiment, unit_id, stored)


async def assignments_of(session: ReadSession, unit_id: str) -> UnitAssignments:
    """The first assignment of ``unit_id`` in each experiment; Problem 404 if there is none."""
    text = await session.fetch_value(OF_UNIT, unit_id)
    if text is None:
        raise not_found("assignment of unit", unit_id)
    return UnitAssignments(unit_id=unit_id, assignments=_ASSIGNMENTS.validate_json(text))


def _assignment(experiment: str, unit_id: str, row: Mapping[str, Any]) -> Assignment:
    return Assignment(
        experiment=experiment,
        unit_id=unit_id,
        variant=row["variant"],
        assigned_at=row["assigned_at"],
        source=row["source"],
    )
