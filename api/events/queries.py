"""How events are stored: each once, and those that cannot be, in quarantine with the reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from api.database import WriteSession
from api.events.models import BatchOutcome, Event, EventOutcome

# The pipeline sees this source on what came in without a usable one.
UNKNOWN_SOURCE = "api"

INSERT_EVENTS = """
insert into raw.events (tenant_id, source, event_id, type, unit_id, occurred_at, sent_at, properties)
select $1, source, event_id, type, unit_id, occurred_at, sent_at, properties::jsonb
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::text[])
    as event (source, event_id, type, unit_id, occurred_at, sent_at, properties)
on conflict do nothing
"""

INSERT_QUARANTINE = """
insert into raw.quarantine (tenant_id, source, row_number, code, reason, record)
select $1, source, row_number, code, reason, record
from unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[])
    as refused (source, row_number, code, reason, record)
"""


@dataclass(frozen=True)
class Refusal:
    """An event that was not as described. ``record`` is the event itself, as JSON text."""

    position: int
    source: str
    id: str | None
    code: str
    reason: str
    record: str


class _SomeWereThere(Exception):
    """Not every event of the part was new, so which ones must be found out."""


def judge(batch: Sequence[object]) -> tuple[dict[int, Event], list[Refusal]]:
    """The events of ``batch`` by their position, and the refusals of those that are not events."""
    events: dict[int, Event] = {}
    refusals: list[Refusal] = []
    for position, candidate in enumerate(batch):
        try:
            events[position] = Event.model_validate(candidate)
        except ValidationError as error:
            refusals.append(_refusal(position, candidate, error))
    return events, refusals


async def store(session: WriteSession, batch: Sequence[object]) -> BatchOutcome:
    """Store ``batch``; what became of each event. Of events with equal source and id the first counts."""
    events, refusals = judge(batch)
    first: dict[tuple[str, str], int] = {}
    for position, event in events.items():
        first.setdefault((event.source, event.id), position)
    # In one order everywhere: two batches with the same events wait for each other and never in a circle.
    new = await _insert(session, [(first[identity], events[first[identity]]) for identity in sorted(first)])
    if refusals:
        await _quarantine(session, refusals)

    outcomes = [
        EventOutcome(position=position, id=event.id, outcome="accepted" if position in new else "duplicate")
        for position, event in events.items()
    ]
    outcomes += [
        EventOutcome(
            position=refused.position,
            id=refused.id,
            outcome="invalid",
            code=refused.code,
            reason=refused.reason,
        )
        for refused in refusals
    ]
    outcomes.sort(key=lambda outcome: outcome.position)
    return BatchOutcome(accepted=len(new), duplicate=len(events) - len(new), invalid=len(refusals), events=outcomes)


async def _insert(session: WriteSession, part: Sequence[tuple[int, Event]]) -> set[int]:
    """Insert ``part``; the positions of the events that were new.

    This role may not read what it inserts, so an insertion only says how many rows it added. Where that is
    neither all nor none, it is undone and each half is tried: a batch that is wholly new, or wholly old,
    takes one statement.
    """
    if not part:
        return set()
    try:
        async with session.savepoint():
            added = await session.insert(INSERT_EVENTS, *_columns([event for _, event in part]))
            if 0 < added < len(part):
                raise _SomeWereThere
    except _SomeWereThere:
        middle = len(part) // 2
        return await _insert(session, part[:middle]) | await _insert(session, part[middle:])
    return {position for position, _ in part} if added else set()


def _columns(events: Sequence[Event]) -> tuple[list[object], ...]:
    return (
        [event.source for event in events],
        [event.id for event in events],
        [event.type for event in events],
        [event.unit_id for event in events],
        [event.occurred_at for event in events],
        [event.sent_at for event in events],
        [json.dumps(event.properties, allow_nan=False) for event in events],
    )


async def _quarantine(session: WriteSession, refusals: Sequence[Refusal]) -> None:
    await session.insert(
        INSERT_QUARANTINE,
        [refused.source for refused in refusals],
        [refused.position + 1 for refused in refusals],
        [refused.code for refused in refusals],
        [refused.reason for refused in refusals],
        [refused.record for refused in refusals],
    )


def _refusal(position: int, candidate: object, error: ValidationError) -> Refusal:
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    return Refusal(
        position=position,
        source=_readable(candidate, "source") or UNKNOWN_SOURCE,
        id=_readable(candidate, "id"),
        code=_code(errors[0]["loc"], errors[0]["type"]),
        reason="; ".join(f"{'.'.join(_plain(part) for part in e['loc']) or 'event'}: {e['msg']}" for e in errors),
        # Escaped to ASCII: what could not be stored as text can be stored as its JSON form.
        record=json.dumps(candidate, ensure_ascii=True),
    )


def _code(location: tuple[int | str, ...], kind: str) -> str:
    """The word for a refusal, the same as when a file is landed."""
    if not location:
        return "not_an_object"
    field = str(location[0]).removesuffix("_id")
    match kind:
        case "missing" | "string_too_short" | "blank":
            return f"missing_{field}"
        case "string_too_long":
            return "id_too_long"
        case "extra_forbidden":
            return "unknown_field"
        case "future_time":
            return kind
    return "bad_time" if field in {"occurred_at", "sent_at"} else f"bad_{field}"


def _readable(candidate: object, field: str) -> str | None:
    value = candidate.get(field) if isinstance(candidate, dict) else None
    return value if isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable() else None


def _plain(part: object) -> str:
    # The name of an unknown field is the sender's text and goes into the reason only if it can be stored.
    return str(part).encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")
