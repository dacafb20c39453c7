"""Routes under /v1/experiments/{key}/decisions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request, Response

from api.bodies import Key
from api.decisions import examples
from api.decisions.deciding import take
from api.decisions.models import DecisionPage, DecisionRequest, DecisionTaken
from api.decisions.queries import declared_experiment, page_of_decisions
from api.idempotency import IdempotencyKey, Repeatable
from api.pages import link_to_next
from api.sessions import Reading, Writing

router = APIRouter(prefix="/v1/experiments/{key}/decisions", tags=["experiments"])

ExperimentKey = Annotated[Key, Path(description="Key of the experiment.", examples=["email_campaign"])]


@router.post("", status_code=201, response_model=DecisionTaken, responses=examples.TAKEN)
async def post_decision(
    request: Request,
    writer: Writing,
    key: ExperimentKey,
    decision: Annotated[DecisionRequest, Body(openapi_examples=examples.REQUEST)],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Put a decision on record. It has to be what the declared rule recommends, or to continue.

    Anything else is refused with the checks that fail, unless it is an override with a reason, which goes on record
    with them. No unit's variant changes: the life cycle stays with the declaration.
    """
    repeatable = None
    if idempotency_key is not None:
        repeatable = Repeatable.of(f"POST {request.url.path}", idempotency_key, await request.body())
    return (await take(writer, key, decision, repeatable)).response()


@router.get("", response_model=DecisionPage, responses=examples.PAGE)
async def list_decisions(
    session: Reading,
    response: Response,
    key: ExperimentKey,
    cursor: Annotated[str | None, Query(max_length=300, description="From the next of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DecisionPage:
    """The decisions about an experiment, the newest first, each with what it was made from."""
    await declared_experiment(session, key)
    page = await page_of_decisions(session, key, cursor, limit)
    if page.next is not None:
        response.headers["Link"] = link_to_next(f"/v1/experiments/{key}/decisions", page.next, limit)
    return page
