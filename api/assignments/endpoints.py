"""Routes under /v1/assignments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path

from api.assignments import examples
from api.assignments.models import Assignment, AssignmentRequest, UnitAssignments
from api.assignments.queries import assign, assignments_of
from api.bodies import UnitId
from api.sessions import Reading, Writing

router = APIRouter(prefix="/v1/assignments", tags=["assignments"])


@router.post("", response_model=Assignment, responses=examples.ASSIGNMENT)
async def post_assignment(
    session: Reading,
    writer: Writing,
    request: Annotated[AssignmentRequest, Body(openapi_examples=examples.REQUEST)],
) -> Assignment:
    """The unit's variant: the one it has, or the one that its hash gives it, stored before it is answered.

    A unit keeps its first variant, also when weights change later; asking again changes nothing.
    """
    return await assign(session, writer, request)


# A unit's id may hold slashes, so it is the whole rest of the path.
@router.get("/{unit_id:path}", response_model=UnitAssignments, responses=examples.OF_UNIT)
async def get_assignments(
    session: Reading, unit_id: Annotated[UnitId, Path(description="The unit.", examples=["customer-17"])]
) -> UnitAssignments:
    """The variant of a unit in each experiment that it was assigned in; 404 if there is none."""
    return await assignments_of(session, unit_id)
