"""The API is killed in the middle of bursts, and started again: what was acknowledged is there, once."""

from __future__ import annotations

import asyncio
import random

from tests.faults.client import SOURCE, Sender
from tests.faults.house import ApiProcess, FaultyHouse

BURSTS = 50
BATCHES, EVENTS, UNITS = 6, 50, 40


def test_whatever_was_acknowledged_is_there_exactly_once(house: FaultyHouse, api: ApiProcess) -> None:
    """Fifty bursts of events and assignments, each cut off by SIGKILL after so many answers, a number drawn by lot."""
    chance = random.Random(20261121)
    sender = Sender(api.url, api.key)
    promised = interrupted = 0
    api.start()
    for burst in range(BURSTS):
        batches = [[f"{burst}-{batch}-{n}" for n in range(EVENTS)] for batch in range(BATCHES)]
        units = [f"unit-{burst}-{n}" for n in range(UNITS)]
        whole = asyncio.run(_burst(sender, api, batches, units, answers=chance.randrange(BATCHES + UNITS)))
        interrupted += not whole
        promised += sum(each in sender.events for batch in batches for each in batch)
        api.start()
        sender.send_until_acknowledged(batches, units)

    sent = {f"{burst}-{batch}-{n}" for burst in range(BURSTS) for batch in range(BATCHES) for n in range(EVENTS)}
    events = house.rows("SELECT event_id, count(*) FROM raw.events WHERE source = %s GROUP BY 1", SOURCE)
    keys = house.rows("SELECT event_id, count(*) FROM raw.event_keys WHERE source = %s GROUP BY 1", SOURCE)
    assert dict(events) == dict.fromkeys(sent, 1)
    assert dict(keys) == dict.fromkeys(sent, 1)
    stored = house.rows("SELECT unit_id, variant FROM raw.sticky_assignments WHERE experiment = 'checkout'")
    logged = house.rows("SELECT unit_id, variant FROM raw.assignments WHERE experiment = 'checkout'")
    assert len(stored) == len(logged) == len(sender.variants) == BURSTS * UNITS
    assert dict(stored) == dict(logged) == sender.variants
    unheard = sum(outcome == "duplicate" for outcome in sender.events.values())
    print(
        f"{BURSTS} bursts, {interrupted} cut off; {len(sent):,} events: {promised:,} acknowledged before the kill,"
        f" {unheard:,} stored but unheard of; {len(stored):,} assignments; {sender.answers[0]:,} requests unanswered"
    )
    # Otherwise the kills came too late or too early to prove anything.
    assert interrupted > BURSTS / 3
    assert promised > 0


async def _burst(sender: Sender, api: ApiProcess, batches: list[list[str]], units: list[str], *, answers: int) -> bool:
    """Send all of it at once and kill the API at so many answers; whether all was acknowledged all the same."""
    async with sender.client() as client:
        work = [
            *(asyncio.create_task(sender.send_events(client, batch)) for batch in batches),
            *(asyncio.create_task(sender.ask_variant(client, unit)) for unit in units),
        ]
        heard = sum(sender.answers.values()) + answers
        while sum(sender.answers.values()) < heard and not all(task.done() for task in work):
            await asyncio.sleep(0)
        api.kill()
        return all(await asyncio.gather(*work))
