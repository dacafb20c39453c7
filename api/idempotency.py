"""A request that is sent again is answered as the first time, by its Idempotency-Key.

The answer is stored in the transaction that does the work: either both are there, or neither is and the work is done
when the request comes again. Keys are forgotten after seven days.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Header
from pydantic import StringConstraints
from starlette.responses import Response

from api.database import WriteSession
from api.problems import Problem

HEADER = "Idempotency-Key"

IdempotencyKey = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")] | None,
    Header(
        alias=HEADER,
        description="Chosen by the caller: the same request sent again under it changes nothing more and gets the same "
        "answer, for seven days. Another request under it is refused.",
        examples=["5f0c6e1c-9a4b-4d0e-8f5a-1b2c3d4e5f60"],
    ),
]

# Two requests with one key come one after the other: the second one waits until the first is answered.
_LOCK = "select pg_advisory_xact_lock(hashtextextended($1 || '|' || $2 || '|' || $3, 0))"

_STORED = """
select request_hash, status, answer, headers
from ops.idempotency_keys where tenant_id = $1 and scope = $2 and key = $3
"""

_STORE = """
insert into ops.idempotency_keys (tenant_id, scope, key, request_hash, status, answer, headers)
values ($1, $2, $3, $4, $5, $6, $7::jsonb)
"""


@dataclass(frozen=True)
class Answered:
    """An answer as it is sent, now and every time that it is asked for again."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """As a response."""
        return Response(self.body, self.status, dict(self.headers), "application/json")


@dataclass(frozen=True)
class Repeatable:
    """One request to ``scope`` under its key."""

    scope: str
    key: str
    request_hash: str

    @classmethod
    def of(cls, scope: str, key: str, body: bytes) -> Repeatable:
        """The request with this body."""
        return cls(scope, key, hashlib.sha256(body).hexdigest())

    async def answered(self, session: WriteSession) -> Answered | None:
        """What it was answered before; None if it is new. Problem 422 if its key was another request's."""
        await session.fetch_row(_LOCK, self.scope, self.key)
        row = await session.fetch_row(_STORED, self.scope, self.key)
        if row is None:
            return None
        if row["request_hash"] != self.request_hash:
            raise Problem(
                422,
                "idempotency-key-reused",
                f"This {HEADER} belongs to a request with another body: choose a new one.",
            )
        return Answered(row["status"], row["answer"], json.loads(row["headers"]))

    async def remember(self, session: WriteSession, answer: Answered) -> None:
        """Store ``answer`` with the work of the transaction."""
        headers = json.dumps(dict(answer.headers))
        await session.insert(_STORE, self.scope, self.key, self.request_hash, answer.status, answer.body, headers)
