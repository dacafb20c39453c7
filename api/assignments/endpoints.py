"""Routes under /v1/assignments."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from api.assignments import examples
from api.assignments.assigning import WITHDRAWN, Answer, Assigning, Question
from api.assignments.committer import Committer
from api.assignments.lookups import TARGETING_KEY
from api.assignments.models import (
    Asked,
    Assignment,
    AssignmentRequest,
    ExplainedEvaluation,
    ExplainRequest,
    UnitAssignments,
)
from api.assignments.queries import assignments_of
from api.bodies import UnitId
from api.examples import body_of, shown_as
from api.fast_routes import FastRoute
from api.json_text import read_json, validated
from api.problems import Problem
from api.sessions import Reading
from causeway.assignment.explain import Explanation

PATH = "/v1/assignments"
# Hundreds of requests may wait at one time: each of them is small.
MAX_REQUEST_BYTES = 256 * 1024
WHY_WITHDRAWN = "the variant that the unit keeps is not one of the experiment's any more"

router = APIRouter(prefix=PATH, tags=["assignments"])

POST: dict[str, Any] = {
    "tags": ["assignments"],
    "summary": "Assign a unit",
    "description": "The unit's variant with its config: the one that it has, or the one that its hash gives it, stored "
    "before it is answered. A unit keeps its first variant, also when weights, coverage or targeting change later; "
    "raising the experiment's bucket version deals anew. Who asks for one unit at the same moment is told the same.\n\n"
    "A unit that is not in the experiment gets null and the control's config, and nothing is stored.\n\n"
    "With log_exposure an event of type exposure is stored as well: one for each unit, experiment, bucket version, "
    "window and variant, however often it is asked for.",
    "operationId": "post_assignment",
    "requestBody": body_of(AssignmentRequest, examples.REQUEST),
    "responses": {
        "200": shown_as(Assignment, examples.ASSIGNMENTS, "Assigned, or not in the experiment."),
        "404": {"description": "This tenant has no such experiment."},
        "429": {"description": "Too many requests wait; see Retry-After."},
    },
}


EXPLAIN: dict[str, Any] = {
    "tags": ["assignments"],
    "summary": "Explain an assignment",
    "description": "Why a unit gets what it gets: which rules matched, did not, or were not reached, its bucket and "
    "hash, layer, holdout, and where the stored assignment came from. It is the evaluation itself that tells; nothing "
    "is stored.",
    "operationId": "explain_assignment",
    "requestBody": body_of(ExplainRequest, examples.EXPLAIN),
    "responses": {
        "200": shown_as(ExplainedEvaluation, examples.EXPLAINED, "Explained."),
        "404": {"description": "This tenant has no such experiment or flag."},
    },
}


class Assignments:
    """Answers POST /v1/assignments: the requests that wait at one moment are evaluated and stored together."""

    def __init__(self, assigning: Assigning, most_waiting: int) -> None:
        self._assigning = assigning
        self.committer: Committer[Question, Answer] = Committer(assigning.assign, most_waiting=most_waiting)
        self.routes = (
            FastRoute("POST", PATH, self.post, POST, (AssignmentRequest, Assignment)),
            FastRoute("POST", f"{PATH}:explain", self.explain, EXPLAIN, (ExplainRequest, ExplainedEvaluation)),
        )

    async def post(self, request: Request) -> Response:
        """The unit's assignment, stored before it is answered."""
        asked = validated(AssignmentRequest, read_json(await _body(request)))
        question = question_of(asked, {**asked.properties, **asked.context}, asked.log_exposure)
        answer = await self.committer.submit(request.scope["principal"].tenant, question)
        return Response(as_json(document_of(answer)), media_type="application/json")

    async def explain(self, request: Request) -> Response:
        """Why the unit gets what it gets; nothing is stored."""
        asked = validated(ExplainRequest, read_json(await _body(request)))
        question = question_of(asked, asked.context)
        explanation, answer = await self._assigning.explain(request.scope["principal"].tenant, question)
        document = explained(question, explanation, answer)
        return Response(as_json(document), media_type="application/json")


# A unit's id may hold slashes, so it is the whole rest of the path.
@router.get("/{unit_id:path}", response_model=UnitAssignments, responses=examples.OF_UNIT)
async def get_assignments(
    session: Reading, unit_id: Annotated[UnitId, Path(description="The unit.", examples=["customer-17"])]
) -> UnitAssignments:
    """The variant of a unit in each experiment that it was assigned in; 404 if there is none."""
    return await assignments_of(session, unit_id)


async def _body(request: Request) -> bytes:
    body = await request.body()
    if len(body) > MAX_REQUEST_BYTES:
        raise Problem(413, "content-too-large", f"The body may hold {MAX_REQUEST_BYTES} bytes at most.")
    return body


def question_of(asked: Asked, context: dict[str, Any], log_exposure: bool = False) -> Question:
    """What ``asked`` is to be answered; its unit is the context's targetingKey, whatever that says of it."""
    return Question(
        experiment=asked.experiment,
        unit_id=asked.unit_id,
        context={**context, TARGETING_KEY: asked.unit_id},
        at=asked.at or datetime.now(UTC),
        log_exposure=log_exposure,
    )


def document_of(answer: Answer) -> dict[str, Any]:
    """``answer`` as an ``Assignment``."""
    evaluation, stored = answer.evaluation, answer.stored
    return {
        "experiment": answer.experiment.key,
        "unit_id": answer.question.unit_id,
        "variant": answer.variant,
        "config": answer.value,
        "in_experiment": answer.variant is not None,
        "status": answer.status,
        "reason": evaluation.reason,
        "policy_version": answer.experiment.policy_version if stored is None else stored.policy_version,
        "bucket_version": answer.experiment.bucket_version,
        "bucket": evaluation.bucket,
        "window_start": evaluation.window_start,
        "assigned_at": None if stored is None else stored.assigned_at,
        "source": None if stored is None else stored.source,
        "sticky": answer.was_stored,
        "exposure_logged": answer.exposure_logged,
    }


def explained(question: Question, explanation: Explanation, answer: Answer | None) -> dict[str, Any]:
    """``explanation`` as an ``ExplainedEvaluation``; of an experiment, ``answer`` is what the unit would be told."""
    evaluation = explanation.evaluation
    stored = None if answer is None else answer.stored
    status = evaluation.status if answer is None else answer.status
    return {
        "flag": evaluation.flag,
        "unit_id": question.unit_id,
        "value": evaluation.value if answer is None else answer.value,
        "variant": evaluation.variant if answer is None else answer.variant,
        "in_experiment": evaluation.in_experiment if answer is None else answer.variant is not None,
        "status": status,
        "why": WHY_WITHDRAWN if status == WITHDRAWN else explanation.why,
        "reason": evaluation.reason,
        "experiment": evaluation.experiment,
        "policy_version": evaluation.policy_version,
        "randomization_unit": evaluation.unit_id,
        "unit_attribute": evaluation.unit_attribute,
        "hasher": evaluation.hasher,
        "bucket": evaluation.bucket,
        "hash_value": evaluation.hash_value,
        "layer": evaluation.layer,
        "holdout": evaluation.holdout,
        "is_holdout": evaluation.is_holdout,
        "window_start": evaluation.window_start,
        "sticky": evaluation.sticky_used or status == WITHDRAWN,
        "sticky_source": explanation.sticky_source,
        "assigned_at": None if stored is None else stored.assigned_at,
        "source": None if stored is None else stored.source,
        "steps": [asdict(step) for step in explanation.steps],
    }


def as_json(document: dict[str, Any]) -> bytes:
    """``document`` as JSON, times in UTC with a Z."""
    try:
        return orjson.dumps(document, option=orjson.OPT_UTC_Z)
    except TypeError:
        # A config may hold an integer of more than 64 bits.
        plain = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in document.items()}
        return json.dumps(plain, allow_nan=False).encode()
