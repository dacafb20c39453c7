"""Routes under /v1/events."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from api.events import examples
from api.events.models import BatchOutcome, EventBatch
from api.events.queries import store
from api.sessions import Writing

router = APIRouter(prefix="/v1/events", tags=["events"])


@router.post("", response_model=BatchOutcome, responses=examples.OUTCOME)
async def post_events(
    writer: Writing, batch: Annotated[EventBatch, Body(openapi_examples=examples.BATCH)]
) -> BatchOutcome:
    """Store up to 1,000 events and say of each whether it was accepted, a duplicate, or invalid.

    Answers 200 even when some are invalid: those are set aside with the reason and the others are stored.
    When the answer comes, all is committed; a batch that was not answered can be sent again as it is.
    """
    async with writer.transaction() as session:
        outcome = await store(session, batch.events)
    return outcome
