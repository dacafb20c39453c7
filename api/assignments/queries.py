"""Where assignments are kept: read and appended a group at a time; $1 is the tenant throughout."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from pydantic import TypeAdapter

from api.assignments.models import UnitAssignment, UnitAssignments
from api.database import Database, ReadSession, appending, as_tenant
from api.problems import not_found

SOURCE = "api"
EXPOSURE = "exposure"

# Stored as -infinity: the assignment holds for good, not for the window of a switchback.
FOR_GOOD = datetime.min.replace(tzinfo=UTC)


_LONGEST_ID = 1000


class Slot(NamedTuple):
    """The place of one assignment: there is one for each unit, in each bucket version and window of an experiment.

    A unit is a value of an attribute: of targetingKey, or of the attribute that names a cluster.
    """

    experiment: str
    bucket_version: int
    unit_attribute: str
    unit_id: str
    window_start: datetime


Older = tuple[str, str, str]
"""An experiment, the attribute of a unit, and the unit."""


class Stored(NamedTuple):
    """The assignment in a slot, which never changes."""

    variant: str
    assigned_at: datetime
    source: str
    policy_version: str | None


class Keep(NamedTuple):
    """An assignment that is to be stored, unless its slot is taken.

    With ``properties`` it is noted among the assignments that the analysis counts: one of a unit, not of a cluster.
    """

    variant: str
    policy_version: str
    properties: str | None


class Cross(NamedTuple):
    """A variant other than the stored one, given by an experiment that does not hold its units to what is stored."""

    experiment: str
    unit_id: str
    variant: str
    properties: str


class Exposure(NamedTuple):
    """That a unit was shown its variant."""

    unit_id: str
    properties: str


_COLUMNS = """
    experiment, bucket_version, unit_attribute, unit_id, window_start, variant, assigned_at, source, policy_version
"""


def _stored(first: int) -> str:
    """What is stored in the slots that are the five parameters from $first on.

    Slot by slot through the key, whatever the planner thinks of the size of a table that grows all the time.
    """
    kinds = ("text[]", "bigint[]", "text[]", "text[]", "timestamptz[]")
    parameters = ", ".join(f"${first + place}::{kind}" for place, kind in enumerate(kinds))
    return f"""
    select stored.*
    from unnest({parameters}) as asked (experiment, bucket_version, unit_attribute, unit_id, window_start)
    cross join lateral (
        select {_COLUMNS}
        from raw.sticky_assignments as kept
        where
            kept.tenant_id = $1
            and kept.experiment = asked.experiment
            and kept.bucket_version = asked.bucket_version
            and kept.unit_attribute = asked.unit_attribute
            and kept.unit_id = asked.unit_id
            and kept.window_start = asked.window_start
        limit 1
    ) as stored
    """


STORED = as_tenant(_stored(2))

# Units that were assigned under a bucket version below $3, whichever it was.
OLDER = as_tenant(
    """
    select experiment, min(bucket_version) as bucket_version, unit_attribute, unit_id
    from raw.sticky_assignments
    where tenant_id = $1 and unit_id = any($2::text[]) and bucket_version < $3
    group by experiment, unit_attribute, unit_id
    """
)

_NOTED = """
    insert into raw.assignments
        (tenant_id, source, event_id, type, unit_id, occurred_at, properties, experiment, variant)
"""

_KEEP = f"""
    wanted as (
        select * from unnest(
            $2::text[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::text[], $9::text[],
            $10::text[]
        ) as wanted (
            experiment, bucket_version, unit_attribute, unit_id, window_start, variant, policy_version, properties,
            event_id
        )
    ),
    kept as (
        insert into raw.sticky_assignments
            (tenant_id, experiment, bucket_version, unit_attribute, unit_id, window_start, variant, policy_version,
            source)
        select tenant.id, experiment, bucket_version, unit_attribute, unit_id, window_start, variant, policy_version,
            '{SOURCE}'
        from tenant cross join wanted
        on conflict do nothing
        returning {_COLUMNS}
    ),
    noted as (
        {_NOTED}
        select tenant.id, '{SOURCE}', wanted.event_id, 'assignment', kept.unit_id, kept.assigned_at,
            wanted.properties::jsonb, kept.experiment, kept.variant
        from tenant cross join kept
        join wanted using (experiment, bucket_version, unit_attribute, unit_id, window_start)
        where wanted.properties is not null
    )
"""

KEEP = appending(_KEEP, f"select true as is_new, {_COLUMNS} from kept")

# What was stored before is read in the same round trip; as of its start, so that nothing is in both parts.
KEEP_AND_READ = appending(
    _KEEP,
    f"""
    select true as is_new, {_COLUMNS} from kept
    union all
    select false, stored.* from tenant
    cross join lateral (
        select found.* from ({_stored(11)}) as found where tenant.id = $1::text offset 0
    ) as stored
    """,
)

# An assignment that differs from the stored one, of an experiment that is not sticky: noted once for each policy.
CROSS = appending(
    f"""
    wanted as (
        select * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
            as wanted (event_id, experiment, unit_id, variant, properties)
    ),
    seen as (
        insert into raw.event_keys (tenant_id, source, event_id)
        select tenant.id, '{SOURCE}', event_id from tenant cross join wanted
        on conflict do nothing
        returning event_id, received_at
    ),
    noted as (
        {_NOTED}
        select tenant.id, '{SOURCE}', event_id, 'assignment', unit_id, received_at, properties::jsonb, experiment,
            variant
        from tenant cross join seen join wanted using (event_id)
    )
    """,
    "select event_id, received_at from seen",
)

CROSSED = as_tenant(
    f"""
    select event_id, received_at from raw.event_keys
    where tenant_id = $1 and source = '{SOURCE}' and event_id = any($2::text[])
    """
)

EXPOSE = appending(
    f"""
    wanted as (
        select * from unnest($2::text[], $3::text[], $4::text[]) as wanted (event_id, unit_id, properties)
    ),
    seen as (
        insert into raw.event_keys (tenant_id, source, event_id)
        select tenant.id, '{SOURCE}', event_id from tenant cross join wanted
        on conflict do nothing
        returning event_id, received_at
    ),
    logged as (
        insert into raw.events
            (tenant_id, source, event_id, type, unit_id, occurred_at, received_at, properties, retention_days)
        select tenant.id, '{SOURCE}', event_id, '{EXPOSURE}', unit_id, received_at, received_at, properties::jsonb,
            $5::integer
        from tenant cross join seen join wanted using (event_id)
    )
    """,
    "select event_id from seen",
)

OF_UNIT = as_tenant(
    """
    select json_agg(assigned order by assigned.experiment)
    from (
        select distinct on (experiment)
            experiment, unit_id, variant, assigned_at, source, policy_version, bucket_version,
            nullif(window_start, '-infinity') as window_start
        from serving.unit_assignments
        where tenant_id = $1 and unit_id = $2
        order by experiment, bucket_version desc, window_start desc
    ) as assigned
    """
)


_ASSIGNMENTS = TypeAdapter(list[UnitAssignment])


async def assignments_of(session: ReadSession, unit_id: str) -> UnitAssignments:
    """What is stored of ``unit_id``, by experiment; Problem 404 if it is nothing."""
    text = await session.fetch_value(OF_UNIT, unit_id)
    if text is None:
        raise not_found("assignment of unit", unit_id)
    return UnitAssignments(unit_id=unit_id, assignments=_ASSIGNMENTS.validate_json(text))


async def read_stored(database: Database, tenant: str, slots: Iterable[Slot]) -> dict[Slot, Stored]:
    """What is stored in ``slots``; a slot that is free is not in the answer."""
    wanted = sorted(set(slots))
    if not wanted:
        return {}
    rows = await database.read(tenant).fetch_rows(STORED, *_columns(wanted))
    return dict(map(_assignment, rows))


async def read_older(database: Database, tenant: str, units: Iterable[str], below: int) -> dict[Older, int]:
    """Of those of ``units`` that were assigned under a bucket version below ``below``, the lowest one."""
    rows = await database.read(tenant).fetch_rows(OLDER, sorted(set(units)), below)
    return {(row["experiment"], row["unit_attribute"], row["unit_id"]): row["bucket_version"] for row in rows}


async def keep(database: Database, tenant: str, wanted: Mapping[Slot, Keep]) -> dict[Slot, Stored]:
    """Store ``wanted``; the assignments that were, which are those whose slot was free."""
    return dict(_assignment(row[1:]) for row in await database.append(tenant, KEEP, *_keeping(wanted)))


async def keep_and_read(
    database: Database, tenant: str, wanted: Mapping[Slot, Keep], slots: Iterable[Slot]
) -> tuple[dict[Slot, Stored], dict[Slot, Stored]]:
    """Store ``wanted``; the assignments that were, and what stood in ``slots`` before."""
    asked = sorted(set(slots))
    if not wanted:
        return {}, await read_stored(database, tenant, asked)
    if not asked:
        return await keep(database, tenant, wanted), {}
    rows = await database.append(tenant, KEEP_AND_READ, *_keeping(wanted), *_columns(asked))
    new = dict(_assignment(row[1:]) for row in rows if row[0])
    return new, dict(_assignment(row[1:]) for row in rows if not row[0])


def _keeping(wanted: Mapping[Slot, Keep]) -> list[Sequence[object]]:
    # In one order everywhere, so that two groups that want the same slots wait for each other in one direction.
    slots = sorted(wanted)
    event_ids = [None if wanted[slot].properties is None else assignment_event(slot) for slot in slots]
    keeps = [wanted[slot] for slot in slots]
    return [*_columns(slots), *_columns(keeps), event_ids]


async def cross(database: Database, tenant: str, wanted: dict[str, Cross]) -> dict[str, datetime]:
    """Note each of ``wanted``, by event id, unless it was noted before; when each of them was."""
    ids = sorted(wanted)
    rows = await database.append(tenant, CROSS, ids, *_columns([wanted[event_id] for event_id in ids]))
    noted = dict(map(tuple, rows))
    before = [event_id for event_id in ids if event_id not in noted]
    if before:
        noted |= dict(map(tuple, await database.read(tenant).fetch_rows(CROSSED, before)))
    return noted


async def expose(database: Database, tenant: str, wanted: dict[str, Exposure], retention_days: int) -> None:
    """Log each of ``wanted``, by event id, unless it was logged before."""
    ids = sorted(wanted)
    await database.append(tenant, EXPOSE, ids, *_columns([wanted[event_id] for event_id in ids]), retention_days)


def _assignment(row: Sequence[Any]) -> tuple[Slot, Stored]:
    experiment, bucket_version, attribute, unit_id, window_start, *stored = row
    window = window_start if window_start.tzinfo else FOR_GOOD
    return Slot(experiment, bucket_version, attribute, unit_id, window), Stored(*stored)


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))


def assignment_event(slot: Slot) -> str:
    """The id under which an assignment is noted. An experiment's key holds neither @ nor a colon."""
    version = f"@{slot.bucket_version}" if slot.bucket_version or slot.window_start != FOR_GOOD else ""
    return f"{slot.experiment}{version}{_window(slot)}:{slot.unit_id}"


def cross_event(slot: Slot, policy_version: str) -> str:
    """The id of an assignment that is not the stored one: there is one for each policy that gave another variant."""
    return _bounded("assignment:", f"{slot.experiment}@{slot.bucket_version}{_window(slot)}~{policy_version}", slot)


def exposure_event(slot: Slot, variant: str) -> str:
    """The id of an exposure: a unit that is shown the same variant again is exposed once."""
    shown = quote(variant, safe="")
    return _bounded("exposure:", f"{slot.experiment}@{slot.bucket_version}{_window(slot)}:{shown}", slot)


def _window(slot: Slot) -> str:
    return "" if slot.window_start == FOR_GOOD else f"@{slot.window_start.astimezone(UTC).isoformat()}"


def _bounded(kind: str, what: str, slot: Slot) -> str:
    # An entry of the index that proves an id unique holds 2,704 bytes.
    plain = f"{kind}{what}:{slot.unit_id}"
    if len(plain.encode()) <= _LONGEST_ID:
        return plain
    return f"{kind}sha256:{hashlib.sha256(plain.encode()).hexdigest()}"
