"""``causeway replay``: send refused events again, when what refused them has been mended."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.house import House, open_house
from cli.terminal import Stopwatch, WrongInput, console, print_json, table

if TYPE_CHECKING:
    from rich.console import Console

BATCH = 500
_OUTCOMES = ("accepted", "duplicate", "conflict", "invalid", "retry")

# What was taken, or never will be because another event has its place, is not sent again.
_WAITING = """
    SELECT refused.tenant_id, refused.seq, refused.received_at
    FROM raw.quarantine AS refused
    WHERE refused.landing_id IS NULL
        AND (%(tenant)s::text IS NULL OR refused.tenant_id = %(tenant)s)
        AND (%(source)s::text IS NULL OR refused.source = %(source)s)
        AND (%(type)s::text IS NULL OR refused.type = %(type)s)
        AND (%(code)s::text IS NULL OR refused.code = %(code)s)
        AND (%(since)s::timestamptz IS NULL OR refused.received_at >= %(since)s)
        AND NOT EXISTS (
            SELECT FROM raw.replays
            WHERE replays.tenant_id = refused.tenant_id AND replays.quarantine_seq = refused.seq
                AND replays.outcome IN ('accepted', 'duplicate', 'conflict')
        )
    ORDER BY refused.tenant_id, refused.seq
"""

# Few at a time: a record may be as large as a body.
_RECORDS = """
    SELECT seq, coalesce(content_type, ''), received_at, record, source, type, code
    FROM raw.quarantine
    WHERE tenant_id = %s AND seq = ANY(%s) AND received_at BETWEEN %s AND %s
    ORDER BY seq
"""


@dataclass(frozen=True)
class Replayed:
    """What became of one refused event."""

    tenant: str
    seq: int
    source: str
    type: str | None
    refused_for: str
    outcome: str
    code: str | None
    reason: str | None


def replay(
    *,
    source: Annotated[str | None, typer.Option(help="Only events of this source.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    code: Annotated[str | None, typer.Option(help="Only events that were refused for this, such as schema.")] = None,
    since: Annotated[str | None, typer.Option(help="Only events that came at this time or later (RFC 3339).")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only events of this tenant.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Send events that were refused over HTTP again, through the same checks. What was taken is not sent twice."""
    wanted = {"source": source, "type": type_, "code": code, "since": _instant(since), "tenant": tenant}
    terminal, watch = console(as_json), Stopwatch()
    house = open_house(terminal.print)
    replayed = asyncio.run(_replay(house, house.client.fetch_all(_WAITING, wanted), terminal))
    counts = dict.fromkeys(_OUTCOMES, 0) | Counter(each.outcome for each in replayed)
    if as_json:
        print_json({"replayed": len(replayed), **counts, "events": [asdict(each) for each in replayed]})
        return
    if not replayed:
        terminal.print("no refused event waits that is like this")
        return
    shown = table("", "tenant", "source", "type", "refused for", "now", "because", "events", text=6)
    groups = Counter(
        (each.tenant, each.source, each.type or "-", each.refused_for, each.outcome, each.code or "")
        for each in replayed
    )
    for group, events in sorted(groups.items()):
        shown.add_row(*group, f"{events:,}")
    terminal.print(shown)
    terminal.print(f"{len(replayed):,} events sent again, {counts['accepted']:,} of them accepted, in {watch}")


async def _replay(house: House, waiting: Sequence[tuple[Any, ...]], terminal: Console) -> list[Replayed]:
    from rich.progress import track

    from api.database import Database
    from api.events.event_types import EventTypes
    from api.events.replaying import Quarantined
    from api.events.replaying import replay as send_again
    from api.settings import Settings as ApiSettings

    settings = ApiSettings(database_url=house.settings.url("causeway_api"))
    database = Database(settings)
    event_types = EventTypes(database, settings.flags_lifetime)
    batches = list(_batches(waiting))
    replayed: list[Replayed] = []
    await database.open()
    try:
        for tenant, batch in track(batches, "sending again", console=terminal, disable=not terminal.is_terminal):
            times = [at for _, at in batch]
            rows = house.client.fetch_all(_RECORDS, (tenant, [seq for seq, _ in batch], min(times), max(times)))
            records = [Quarantined(seq, record, kind, at) for seq, kind, at, record, *_ in rows]
            outcomes = await send_again(database, event_types, tenant, records)
            replayed += [
                Replayed(tenant, seq, source, kind, code, outcome.outcome, outcome.code, outcome.reason)
                for (seq, _, _, _, source, kind, code), outcome in zip(rows, outcomes, strict=True)
            ]
    finally:
        await database.close()
    return replayed


def _batches(waiting: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, list[tuple[int, datetime]]]]:
    """Numbers and times of records of one tenant, no more than senders send at a time."""
    for tenant, group in groupby(waiting, key=lambda row: str(row[0])):
        together = [(seq, received_at) for _, seq, received_at in group]
        for begin in range(0, len(together), BATCH):
            yield tenant, together[begin : begin + BATCH]


def _instant(written: str | None) -> datetime | None:
    if written is None:
        return None
    try:
        instant = datetime.fromisoformat(written)
    except ValueError:
        raise WrongInput(f"--since is a time such as 2026-01-31T12:00:00Z, not {written!r}") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
