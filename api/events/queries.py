"""How events are stored: each once, by its source and id, and what is no event in quarantine with the reason."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import asyncpg

from api.database import Database, DatabaseUnavailable, WriteSession, appending
from api.events.judging import HASH_BYTES, Event, Refusal

# How long the events of a batch wait for another transaction that is storing the same ids: together, and then, when
# that was too long, each part of them, until the time of all is over and the rest is to be sent again.
_WAIT = "400ms"
_WAIT_OF_A_PART = "40ms"
_SECONDS_OF_ALL = 2.0

# A column of text comes as one text, joined by a character that no field may hold, and times as seconds since 1970: the
# driver takes four times as long over an array of texts or of times.
SEPARATOR = "\x1f"


def _list(parameter: int) -> str:
    return f"string_to_array(${parameter}::text, e'\\x1f')"


_KEYS = f"""
    select source, event_id, substring($4::bytea from {HASH_BYTES} * (place::int - 1) + 1 for {HASH_BYTES}) as body_hash
    from unnest({_list(2)}, {_list(3)}) with ordinality as event (source, event_id, place)
"""

_EVENTS = f"""
    insert into raw.events (
        tenant_id, source, event_id, type, unit_id, occurred_at, sent_at, properties, retention_days, schema_version,
        first_received_at
    )
    select {{tenant}}, source, event_id, type, unit_id, to_timestamp(occurred_at), to_timestamp(sent_at),
        properties::jsonb, retention_days, schema_version, first_received_at
    from {{origin}} unnest(
        {_list(2)}, {_list(3)}, {_list(5)}, {_list(6)}, $7::float8[], $8::float8[], {_list(9)}, $10::int[],
        $11::bigint[], $12::timestamptz[]
    ) as event (
        source, event_id, type, unit_id, occurred_at, sent_at, properties, retention_days, schema_version,
        first_received_at
    )
"""

# Fails if any of the ids is taken. Nearly every batch is new as a whole, and to insert without having to find out which
# ones are costs half.
STORE_ALL = appending(
    f"""
    waiting as materialized (select set_config('lock_timeout', '{_WAIT}', true)),
    stored as ({_EVENTS.format(tenant="tenant.id", origin="tenant cross join waiting cross join")})
    """,
    f"""
    insert into raw.event_keys (tenant_id, source, event_id, body_hash)
    select tenant.id, source, event_id, body_hash from tenant cross join waiting cross join ({_KEYS}) as key
    """,
)

# The events whose keys were claimed before; $4, the hashes, is looked at by nobody.
STORE_CLAIMED = f"""
    with hashes as (select $4::bytea)
    {_EVENTS.format(tenant="$1", origin="")}
"""

CLAIM = f"""
    with fresh as (
        insert into raw.event_keys (tenant_id, source, event_id, body_hash)
        select $1, source, event_id, body_hash from ({_KEYS}) as key
        on conflict do nothing
        returning source, event_id
    )
    select array_agg(source) as sources, array_agg(event_id) as ids from fresh
"""

STANDING = f"""
    select array_agg(asked.source) as sources, array_agg(asked.event_id) as ids, array_agg(body_hash) as hashes
    from unnest({_list(2)}, {_list(3)}) as asked (source, event_id)
    cross join lateral (
        select body_hash from raw.event_keys
        where tenant_id = $1 and source = asked.source and event_id = asked.event_id
        -- One look into the index for each, however many keys there are.
        offset 0
    ) as standing
"""

QUARANTINE = """
    insert into raw.quarantine (
        tenant_id, source, event_id, type, row_number, code, reason, record, schema_version, retention_days,
        content_type
    )
    select $1, source, event_id, type, row_number, code, reason, record, schema_version, retention_days, $11
    from unnest(
        $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::int[]
    ) as refused (source, event_id, type, row_number, code, reason, record, schema_version, retention_days)
"""

WAIT = "select set_config('lock_timeout', $2, true) where $1::text is not null"

Key = tuple[str, str]


class Outcome(NamedTuple):
    """What became of one event."""

    position: int
    id: str | None
    outcome: str
    code: str | None = None
    reason: str | None = None


class SomeAreThere(Exception):
    """Not every event is new, or another transaction is storing one: which ones is to be found out with care."""


@dataclass
class _Claims:
    """Whose ids are new, and whose another transaction held for too long."""

    fresh: list[Event] = field(default_factory=list)
    undecided: list[Event] = field(default_factory=list)


async def store_new(database: Database, tenant: str, events: Sequence[Event]) -> list[Outcome]:
    """Store ``events`` in one statement if all are new; SomeAreThere, and nothing is stored, if not."""
    first, others = _first_of_each(events)
    if others:
        raise SomeAreThere
    try:
        await database.store(tenant, STORE_ALL, *_columns(first))
    except (asyncpg.UniqueViolationError, asyncpg.LockNotAvailableError, DatabaseUnavailable) as error:
        # That a lock was not to be had is told as if the database were away.
        if isinstance(error, DatabaseUnavailable) and not isinstance(error.__cause__, asyncpg.LockNotAvailableError):
            raise
        raise SomeAreThere from None
    return [Outcome(event.position, event.id, "accepted") for event in first]


async def store_with_care(
    session: WriteSession, events: Sequence[Event], first_received_at: Sequence[datetime] = ()
) -> list[Outcome]:
    """Store those of ``events`` that are new, and tell the others apart.

    ``first_received_at``, by position, is when they came before, if they were refused then.
    """
    first, others = _first_of_each(events)
    claims = _Claims()
    await _claim(session, first, claims, _WAIT, time.monotonic() + _SECONDS_OF_ALL)
    fresh, undecided = _keys(claims.fresh), _keys(claims.undecided)
    if claims.fresh:
        arrivals = [first_received_at[event.position] for event in claims.fresh] if first_received_at else ()
        await session.insert(STORE_CLAIMED, *_columns(claims.fresh, arrivals))
    known: dict[Key, bytes | None] = {(event.source, event.id): event.body_hash for event in claims.fresh}
    known |= await _standing(session, [key for key in _keys(first) if key not in fresh and key not in undecided])
    accepted = [Outcome(event.position, event.id, "accepted") for event in claims.fresh]
    rest = [event for event in first if (event.source, event.id) not in fresh] + others
    return accepted + [
        _being_stored(event)
        if (event.source, event.id) in undecided
        else _of_known(event, known[event.source, event.id])
        for event in rest
    ]


async def quarantine(session: WriteSession, refusals: Sequence[Refusal], content_type: str) -> list[Outcome]:
    """Set the refused aside with the reason."""
    if refusals:
        await session.insert(
            QUARANTINE,
            [refused.source for refused in refusals],
            [refused.id for refused in refusals],
            [refused.type for refused in refusals],
            [refused.position + 1 for refused in refusals],
            [refused.code for refused in refusals],
            [refused.reason for refused in refusals],
            [refused.record for refused in refusals],
            [refused.schema_version for refused in refusals],
            [refused.retention_days for refused in refusals],
            content_type,
        )
    return of_refused(refusals)


def of_refused(refusals: Sequence[Refusal]) -> list[Outcome]:
    """The outcomes of what was refused."""
    return [Outcome(each.position, each.id, "invalid", each.code, each.reason) for each in refusals]


def _first_of_each(events: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    """Of events with equal source and id the first one, and the others.

    Both sorted: two batches with the same events wait for each other and never in a circle.
    """
    first: list[Event] = []
    others: list[Event] = []
    last: Key | None = None
    for event in sorted(events):
        key = event[:2]
        (others if key == last else first).append(event)
        last = key
    return first, others


def _columns(events: Sequence[Event], first_received_at: Sequence[datetime] = ()) -> tuple[object, ...]:
    source, event_id, _, kind, unit_id, occurred_at, sent_at, properties, hashes, retention_days, version = zip(
        *events, strict=True
    )
    return (
        *map(SEPARATOR.join, (source, event_id)),
        b"".join(hashes),
        *map(SEPARATOR.join, (kind, unit_id)),
        occurred_at,
        sent_at,
        SEPARATOR.join(properties),
        retention_days,
        version,
        first_received_at,
    )


async def _claim(session: WriteSession, part: Sequence[Event], claims: _Claims, wait: str, until: float) -> None:
    """Store the keys of ``part`` that are new. Where one is held for too long the others are tried without it."""
    if not part:
        return
    if time.monotonic() > until:
        claims.undecided += part
        return
    try:
        async with session.savepoint():
            await session.fetch_row(WAIT, wait)
            row = await session.fetch_row(CLAIM, *_columns(part)[:3])
    except asyncpg.LockNotAvailableError:
        if len(part) == 1:
            claims.undecided += part
            return
        middle = len(part) // 2
        for half in (part[:middle], part[middle:]):
            await _claim(session, half, claims, _WAIT_OF_A_PART, until)
        return
    assert row is not None, "a query of aggregates has one row"
    added = set(zip(row["sources"] or (), row["ids"] or (), strict=True))
    claims.fresh += [event for event in part if (event.source, event.id) in added]


async def _standing(session: WriteSession, keys: Sequence[Key]) -> dict[Key, bytes | None]:
    """What each of the keys was stored with."""
    if not keys:
        return {}
    row = await session.fetch_row(STANDING, *map(SEPARATOR.join, zip(*keys, strict=True)))
    assert row is not None, "a query of aggregates has one row"
    return {
        (source, event_id): body_hash
        for source, event_id, body_hash in zip(row["sources"] or (), row["ids"] or (), row["hashes"] or (), strict=True)
    }


def _keys(events: Sequence[Event]) -> dict[Key, None]:
    return dict.fromkeys((event.source, event.id) for event in events)


def _being_stored(event: Event) -> Outcome:
    return Outcome(
        event.position, event.id, "retry", "being_stored", "id: another request is storing it; send the event again"
    )


def _of_known(event: Event, body_hash: bytes | None) -> Outcome:
    """An event whose id is taken: the same one, as far as can be told, or another."""
    if body_hash is None or body_hash == event.body_hash:
        return Outcome(event.position, event.id, "duplicate")
    reason = "id: an event of this source and id was stored with another content, which stays as it is"
    return Outcome(event.position, event.id, "conflict", "other_content", reason)
