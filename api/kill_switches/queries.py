"""How things are switched off and on again, with a line in the audit log; $1 is the tenant throughout."""

from __future__ import annotations

import json

from api.database import ReadSession, as_tenant
from api.kill_switches.models import KillSwitch, KillSwitchList
from api.problems import not_found
from api.sessions import Writer

ENGAGED = as_tenant(
    """
    select coalesce(json_agg(switch order by switch.key), '[]') as switches
    from (
        select key, engaged_at, engaged_by, reason from registry.kill_switches where tenant_id = $1
    ) as switch
    """
)

# What is off stays as it was: the moment that counts is the first.
ENGAGE = """
insert into registry.kill_switches (tenant_id, key, engaged_by, reason)
select $1, $2, $3, $4
where
    exists (select from registry.experiments where tenant_id = $1 and key = $2)
    or exists (select from registry.flags where tenant_id = $1 and key = $2)
on conflict do nothing
"""

STANDING = "select key, engaged_at, engaged_by, reason from registry.kill_switches where tenant_id = $1 and key = $2"

RELEASE = "delete from registry.kill_switches where tenant_id = $1 and key = $2 returning engaged_at"

AUDIT = """
insert into ops.audit (tenant_id, actor, action, subject, details) values ($1, $2, $3, $4, $5::jsonb)
"""


async def switches_of(session: ReadSession) -> KillSwitchList:
    """Everything of the tenant that is switched off."""
    return KillSwitchList.model_validate_json(f'{{"kill_switches": {await session.fetch_value(ENGAGED)}}}')


async def engage(writer: Writer, key: str, reason: str | None) -> KillSwitch:
    """Switch ``key`` off, if it is not off already; Problem 404 if it names neither flag nor experiment."""
    async with writer.transaction() as transaction:
        engaged = await transaction.insert(ENGAGE, key, writer.actor, reason)
        standing = await transaction.fetch_row(STANDING, key)
        if standing is None:
            raise not_found("flag or experiment", key)
        if engaged:
            details = json.dumps({"reason": reason})
            await transaction.insert(AUDIT, writer.actor, "kill_switch.engaged", key, details)
    return KillSwitch.model_validate(dict(standing))


async def release(writer: Writer, key: str) -> None:
    """Switch ``key`` on again; Problem 404 if it is not off."""
    async with writer.transaction() as transaction:
        released = await transaction.fetch_row(RELEASE, key)
        if released is None:
            raise not_found("kill switch", key)
        details = json.dumps({"engaged_at": released["engaged_at"].isoformat()})
        await transaction.insert(AUDIT, writer.actor, "kill_switch.released", key, details)
