"""Postgres goes away under load and comes back: the API says so, recovers by itself and has lost nothing."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx

from tests.faults.client import SOURCE, Sender
from tests.faults.house import ApiProcess, FaultyHouse

RESTARTS = 3


def test_nothing_acknowledged_is_lost_when_postgres_restarts_under_load(house: FaultyHouse, api: ApiProcess) -> None:
    """Senders go on all the while. While Postgres is away they hear 503 with Retry-After, and liveness stays 200."""
    api.start()
    sender = Sender(api.url, api.key)
    batches: list[list[str]] = []
    units: list[str] = []
    stopping = threading.Event()
    load = threading.Thread(target=lambda: asyncio.run(_load(sender, batches, units, stopping)))
    load.start()
    try:
        for _ in range(RESTARTS):
            _wait_for_more(sender)
            house.stop_postgres()
            before = sender.answers[503]
            _wait_until(lambda before=before: sender.answers[503] > before)
            assert httpx.get(f"{api.url}/healthz").status_code == 200
            refused = httpx.get(f"{api.url}/readyz")
            assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
            house.start_postgres()
            _wait_for_more(sender)
    finally:
        stopping.set()
        load.join(timeout=60)
    assert not load.is_alive()
    sender.send_until_acknowledged(batches, units)

    sent = {each for batch in batches for each in batch}
    events = house.rows("SELECT event_id, count(*) FROM raw.events WHERE source = %s GROUP BY 1", SOURCE)
    assert dict(events) == dict.fromkeys(sent, 1)
    stored = house.rows("SELECT unit_id, variant FROM raw.sticky_assignments WHERE experiment = 'checkout'")
    assert len(stored) == len(units)
    assert dict(stored) == sender.variants
    assert sender.without_retry_after == 0
    assert api.process is not None
    assert api.process.poll() is None, "it was the same process all along"
    print(
        f"{RESTARTS} restarts; {len(sent):,} events and {len(stored):,} assignments acknowledged, none lost, none"
        f" twice; answers by status: {dict(sender.answers)}"
    )


async def _load(sender: Sender, batches: list[list[str]], units: list[str], stopping: threading.Event) -> None:
    async with sender.client() as client:
        turn = 0
        while not stopping.is_set():
            mine = [[f"load-{turn}-{batch}-{n}" for n in range(20)] for batch in range(3)]
            asked = [f"load-unit-{turn}-{n}" for n in range(10)]
            batches += mine
            units += asked
            await asyncio.gather(
                *(sender.send_events(client, batch) for batch in mine),
                *(sender.ask_variant(client, unit) for unit in asked),
            )
            turn += 1


def _wait_for_more(sender: Sender) -> None:
    """Until the sender was promised more than it has now: the API works."""
    events, variants = len(sender.events), len(sender.variants)
    _wait_until(lambda: len(sender.events) > events and len(sender.variants) > variants)


def _wait_until(is_so: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)
