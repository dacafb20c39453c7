"""The API is killed in the middle of bursts, and started again: what was acknowledged is there, once."""

from __future__ import annotations

import asyncio
import random

from tests.faults.client import SOURCE, Sender
from tests.faults.house import ApiProcess, FaultyHouse

BURSTS = 50
BATCHES, EVENTS, UNITS = 4, 50, 40
LONGEST_LIFE = 0.12
"""Seconds that a burst is left alone at most; whole bursts take about as long."""


def test_whatever_was_acknowledged_is_there_exactly_once(house: FaultyHouse, api: ApiProcess) -> None:
    """Fifty bursts of events and assignments, each cut off by SIGKILL at a moment of its own."""
    chance = random.Random(20261121)
    sender = Sender(api.url, api.key)
    acknowledged_before_kill = interrupted = 0
    for burst in range(BURSTS):
        batches = [[f"{burst}-{batch}-{n}" for n in range(EVENTS)] for batch in range(BATCHES)]
        units = [f"unit-{burst}-{n}" for n in range(UNITS)]
        api.start()
        whole = asyncio.run(_burst(sender, api, batches, units, chance.uniform(0, LONGEST_LIFE)))
        interrupted += not whole
        acknowledged_before_kill += sum(each in sender.events for batch in batches for each in batch)
        api.start()
        sender.send_until_acknowledged(batches, units)
        api.kill()

    sent = {f"{burst}-{batch}-{n}" for burst in range(BURSTS) for batch in range(BATCHES) for n in range(EVENTS)}
    events = house.rows("SELECT event_id, count(*) FROM raw.events WHERE source = %s GROUP BY 1", SOURCE)
    keys = house.rows("SELECT event_id, count(*) FROM raw.event_keys WHERE source = %s GROUP BY 1", SOURCE)
    assert dict(events) == dict.fromkeys(sent, 1)
    assert dict(keys) == dict.fromkeys(sent, 1)
    stored = house.rows("SELECT unit_id, variant FROM raw.sticky_assignments WHERE experiment = 'checkout'")
    logged = house.rows("SELECT unit_id, variant FROM raw.assignments WHERE experiment = 'checkout'")
    assert len(stored) == len(logged) == len(sender.variants) == BURSTS * UNITS
    assert dict(stored) == dict(logged) == sender.variants
    duplicates = sum(outcome == "duplicate" for outcome in sender.events.values())
    print(
        f"{BURSTS} bursts, {interrupted} cut off; {len(sent):,} events, {acknowledged_before_kill:,} acknowledged"
        f" before the kill, {duplicates:,} were stored but not acknowledged then; {len(stored):,} assignments;"
        f" {sender.answers[0]} requests without an answer"
    )
    # Otherwise the kills came too late or too early to prove anything.
    assert interrupted > BURSTS / 3
    assert acknowledged_before_kill > 0


async def _burst(sender: Sender, api: ApiProcess, batches: list[list[str]], units: list[str], life: float) -> bool:
    """Send all of it at once and kill the API after ``life`` seconds; whether all was acknowledged all the same."""
    async with sender.client() as client:
        work = [
            *(asyncio.create_task(sender.send_events(client, batch)) for batch in batches),
            *(asyncio.create_task(sender.ask_variant(client, unit)) for unit in units),
        ]
        await asyncio.sleep(life)
        api.kill()
        return all(await asyncio.gather(*work))
