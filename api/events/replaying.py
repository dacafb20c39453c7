"""Refused events, sent again as they were: the same judgement and the same storing, at another time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from api.database import Database
from api.events import cloudevents
from api.events.event_types import EventTypes
from api.events.judging import Judged, judge
from api.events.queries import Outcome, of_refused, store_with_care
from api.events.reading import read_records

INSERT_REPLAYS = """
    insert into raw.replays (tenant_id, quarantine_seq, outcome, code, reason)
    select $1, quarantine_seq, outcome, code, reason
    from unnest($2::bigint[], $3::text[], $4::text[], $5::text[])
        as replay (quarantine_seq, outcome, code, reason)
"""


@dataclass(frozen=True)
class Quarantined:
    """A record of raw.quarantine that came over HTTP."""

    seq: int
    record: str
    content_type: str
    received_at: datetime


async def replay(
    database: Database, event_types: EventTypes, tenant: str, records: Sequence[Quarantined]
) -> list[Outcome]:
    """Send ``records`` again; what became of each, in their order.

    What is refused again stays where it is. What is stored and the note that it was are one transaction.
    """
    catalogue = await event_types.of(tenant)
    judged = Judged()
    for is_cloudevents in (False, True):
        chosen = [
            position for position, each in enumerate(records) if (each.content_type in _CLOUDEVENTS) is is_cloudevents
        ]
        batch = read_records([records[position].record for position in chosen])
        found = judge(batch, catalogue, datetime.now(UTC), is_cloudevents=is_cloudevents)
        judged.events += [event._replace(position=chosen[event.position]) for event in found.events]
        judged.refusals += [replace(refused, position=chosen[refused.position]) for refused in found.refusals]
    async with database.write(tenant) as session:
        outcomes = await store_with_care(session, judged.events, [each.received_at for each in records])
        outcomes = sorted(outcomes + of_refused(judged.refusals))
        await session.insert(
            INSERT_REPLAYS,
            [records[outcome.position].seq for outcome in outcomes],
            [outcome.outcome for outcome in outcomes],
            [outcome.code for outcome in outcomes],
            [outcome.reason for outcome in outcomes],
        )
    return outcomes


_CLOUDEVENTS = frozenset({cloudevents.EVENT, cloudevents.BATCH})
