"""``POST /v1/assignments:batch``: one table of units after the other, so that memory is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.assignments import examples
from api.assignments.assigning import Assigning
from api.assignments.batch import ARROW, MEDIA_TYPES, MOST_UNITS, attributes_of, read_units, write_assigned
from api.assignments.tables import Tables, Task
from api.bodies import Key, media_type_of
from api.fast_routes import FastRoute
from api.json_text import validated
from api.problems import Problem

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

PATH = "/v1/assignments:batch"
# Read, worked on, or being sent: each of them holds a table in memory.
MOST_AT_ONCE = 3
BODY_SECONDS = 60.0
ANSWER_SECONDS = 300.0
ROWS_SENT_AT_ONCE = 20_000
RETRY_AFTER_SECONDS = 5


class BatchQuery(BaseModel):
    """The parameters of a batch."""

    model_config = ConfigDict(extra="ignore")

    experiment: Key
    persist: Annotated[bool, Field(description="Whether assignments are stored.")] = True


BATCH: dict[str, Any] = {
    "tags": ["assignments"],
    "summary": "Assign a table of units",
    "description": f"The variant of each of up to {MOST_UNITS:,} units, as POST /v1/assignments would give it: NDJSON, "
    "an object with unit_id and the unit's attributes a line, or an Arrow IPC stream with such columns. What is stored "
    "of a unit holds; what is new is stored before the answer begins, unless persist is false. A row that cannot be "
    "used says so in error, and the others go on.\n\nThe answer has the media type in Accept, or the request's.",
    "operationId": "post_assignment_batch",
    "parameters": [
        {
            "name": "experiment",
            "in": "query",
            "required": True,
            "description": "Key of the experiment.",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,100}$", "examples": ["email_campaign"]},
        },
        {
            "name": "persist",
            "in": "query",
            "required": False,
            "description": "false: nothing is stored.",
            "schema": {"type": "boolean", "default": True},
        },
    ],
    "requestBody": {"required": True, "content": examples.UNITS},
    "responses": {
        "200": {"description": "A row for every row, in their order.", "content": examples.ASSIGNED_UNITS},
        "404": {"description": "This tenant has no such experiment."},
        "406": {"description": "Accept names neither of the two media types."},
        "408": {"description": f"The body did not come within {BODY_SECONDS:.0f} seconds."},
        "429": {"description": "Other tables are being assigned; see Retry-After."},
    },
}


class Batch:
    """Takes a table at a time; a few more may wait, or be on their way back."""

    def __init__(self, assigning: Assigning, tables: Tables) -> None:
        self._assigning = assigning
        self._tables = tables
        self._working = asyncio.Lock()
        self._at_once = 0
        self.routes = (FastRoute("POST", PATH, self.post, BATCH),)

    async def post(self, request: Request) -> Response:
        """The answer to every row of the table."""
        query = validated(BatchQuery, dict(request.query_params), "query")
        sent_as = media_type_of(request.headers)
        answer_as = _answer_type(request.headers.get("accept"), sent_as)
        tenant: str = request.scope["principal"].tenant
        reach = await self._assigning.reach(tenant)
        if not reach.experiments(query.experiment):
            raise self._assigning.missing(tenant, query.experiment)
        if self._at_once >= MOST_AT_ONCE:
            retry = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            raise Problem(429, "too-many-requests", "Other tables are being assigned; try again.", headers=retry)
        self._at_once += 1
        try:
            async with self._working:
                attributes = await self._tables.run(attributes_of, reach.flags, query.experiment)
                body = await _body(request)
                units = await self._tables.run(read_units, body, sent_as, attributes)
                del body
                task = Task(tenant, reach, query.experiment, datetime.now(UTC), query.persist)
                table = await self._tables.assign(task, units)
        except BaseException:
            self._left()
            raise
        return _Answer(self._written(table, answer_as), answer_as, self._left)

    async def _written(self, table: pa.Table, media_type: str) -> AsyncIterator[bytes]:
        if media_type == ARROW:
            yield await self._tables.run(write_assigned, table, media_type)
            return
        for begin in range(0, table.num_rows, ROWS_SENT_AT_ONCE):
            yield await self._tables.run(write_assigned, table.slice(begin, ROWS_SENT_AT_ONCE), media_type)

    def _left(self) -> None:
        self._at_once -= 1


class _Answer(StreamingResponse):
    """Sent in pieces, for a while at most: who does not read it keeps no table in memory for good."""

    def __init__(self, content: AsyncIterator[bytes], media_type: str, left: Callable[[], None]) -> None:
        super().__init__(content, media_type=media_type)
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await super().__call__(scope, receive, send)
        finally:
            self._left()


async def _body(request: Request) -> bytes:
    # Not kept by the request as well: it may be large.
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return b"".join([piece async for piece in request.stream()])
    except TimeoutError:
        raise Problem(408, "request-timeout", "The body did not come in time.") from None


def _answer_type(accept: str | None, sent_as: str) -> str:
    if accept is None:
        return sent_as
    named = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    wanted = next((media_type for media_type in (sent_as, *MEDIA_TYPES) if media_type in named), None)
    if wanted is not None:
        return wanted
    if not {"*/*", "application/*", ""}.isdisjoint(named):
        return sent_as
    raise Problem(406, "not-acceptable", f"The answer can be {' or '.join(MEDIA_TYPES)}.")
