"""A batch on its way in: judged, stored in one transaction, and answered when that is committed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import orjson

from api.database import Database
from api.events.event_types import EventTypes
from api.events.judging import Judged, judge
from api.events.queries import Outcome, SomeAreThere, quarantine, store_new, store_with_care
from api.events.reading import Batch
from api.idempotency import Answered, Repeatable
from api.problems import Problem

OUTCOMES = ("accepted", "duplicate", "conflict", "invalid", "retry")
RETRY_AFTER_SECONDS = 1
REPLAYED = "Idempotency-Replayed"


class Ingestion:
    """Takes in the events of every tenant; so many at a time that they fit into memory."""

    def __init__(self, database: Database, *, lifetime: float, most_waiting: int) -> None:
        self._database = database
        self._most_waiting = most_waiting
        self._waiting = 0
        self.event_types = EventTypes(database, lifetime)

    def check_room(self, events: int = 1) -> None:
        """Problem 429 if ``events`` more could not wait."""
        if self._waiting + events > self._most_waiting:
            raise Problem(
                429,
                "too-many-requests",
                "More events wait than can be stored at the moment; try again.",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )

    async def take(
        self,
        tenant: str,
        batch: Batch,
        content_type: str,
        *,
        is_cloudevents: bool = False,
        repeatable: Repeatable | None = None,
    ) -> Answered:
        """Store ``batch``; what became of each event, as it is answered."""
        with self._room(len(batch.values)):
            catalogue = await self.event_types.of(tenant)
            judged = judge(batch, catalogue, datetime.now(UTC), is_cloudevents=is_cloudevents)
            if repeatable is None and judged.events and not judged.refusals:
                with contextlib.suppress(SomeAreThere):
                    return answer_of(await store_new(self._database, tenant, judged.events))
            return await self._stored(tenant, judged, content_type, repeatable)

    async def _stored(self, tenant: str, judged: Judged, content_type: str, repeatable: Repeatable | None) -> Answered:
        async with self._database.write(tenant) as session:
            if repeatable is not None:
                answered = await repeatable.answered(session)
                if answered is not None:
                    return Answered(answered.status, answered.body, {**answered.headers, REPLAYED: "true"})
            outcomes = await store_with_care(session, judged.events)
            outcomes += await quarantine(session, judged.refusals, content_type)
            answer = answer_of(outcomes)
            # What is to be sent again must not be answered the same way when it comes.
            if repeatable is not None and "Retry-After" not in answer.headers:
                await repeatable.remember(session, answer)
        return answer

    @contextlib.contextmanager
    def _room(self, events: int) -> Iterator[None]:
        self.check_room(events)
        self._waiting += events
        try:
            yield
        finally:
            self._waiting -= events


def answer_of(outcomes: Sequence[Outcome]) -> Answered:
    """The answer to a batch: how many events came to each outcome, and what became of each, in their order."""
    counts = dict.fromkeys(OUTCOMES, 0)
    for outcome in outcomes:
        counts[outcome.outcome] += 1
    events = [
        {"position": position, "id": event_id, "outcome": outcome, "code": code, "reason": reason}
        for position, event_id, outcome, code, reason in sorted(outcomes)
    ]
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if counts["retry"] else {}
    return Answered(200, orjson.dumps({**counts, "events": events}).decode(), headers)
