"""Routes under /v1/events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from api.bodies import media_type_of
from api.events import cloudevents, description
from api.events.ingestion import Ingestion
from api.events.models import BatchOutcome
from api.events.reading import Batch, read_batch, read_event, record_of
from api.idempotency import IdempotencyKey, Repeatable
from api.sessions import Writing

router = APIRouter(prefix="/v1/events", tags=["events"])


@router.post("", response_model=BatchOutcome, responses=description.RESPONSES, openapi_extra=description.OPERATION)
async def post_events(request: Request, writer: Writing, idempotency_key: IdempotencyKey = None) -> Response:
    """Store up to 1,000 events, and say of each what became of it.

    Answers 200 even when some are invalid: those are set aside with the reason, to be replayed, and the others are
    stored. When the answer comes, all is committed; a batch that was not answered can be sent again as it is. An event
    is stored once, by its source and id, however late it comes again; one of the same id with another content is a
    conflict and never takes the place of the first.
    """
    ingestion: Ingestion = request.app.state.ingestion
    ingestion.check_room()
    # All of it is here before anything of the database is held: a client that stalls holds up nobody.
    body = await request.body()
    batch, media_type, is_cloudevents = _read(request, body)
    answered = await ingestion.take(
        writer.tenant,
        batch,
        media_type,
        is_cloudevents=is_cloudevents,
        repeatable=None if idempotency_key is None else _repeatable(request, idempotency_key, body),
    )
    return answered.response()


def _read(request: Request, body: bytes) -> tuple[Batch, str, bool]:
    """The events, the media type under which they are kept if they are refused, whether they are CloudEvents."""
    if cloudevents.is_binary(request.headers):
        return _with_attributes(cloudevents.attributes_of(request.headers), body), cloudevents.EVENT, True
    media_type = media_type_of(request.headers)
    if media_type == cloudevents.EVENT:
        return read_event(body), media_type, True
    if media_type == cloudevents.BATCH:
        return read_batch(body, may_be_empty=True), media_type, True
    return read_batch(body), media_type, False


def _with_attributes(attributes: Mapping[str, str], body: bytes) -> Batch:
    """The event of a request in binary mode, in the form that it has as JSON."""
    if not body:
        return Batch([dict(attributes)])
    data = read_event(body)
    event: dict[str, Any] = {**attributes, "data": data.values[0]}
    # Whole, as JSON: the attributes, and the data as they were sent.
    text = data.texts.get(0)
    texts = {} if text is None else {0: f'{record_of(attributes)[:-1]}, "data": {text}}}'}
    return Batch([event], data.flaws, texts, data.is_suspicious)


def _repeatable(request: Request, key: str, body: bytes) -> Repeatable:
    said = [f"{name}: {value}".encode() for name, value in sorted(request.headers.items()) if name.startswith("ce-")]
    return Repeatable.of("POST /v1/events", key, b"\n".join([*said, body]))
