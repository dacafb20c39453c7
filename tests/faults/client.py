"""A sender as a careful backend writes it: what was not acknowledged is sent again, unchanged."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

SOURCE = "till"


@dataclass
class Sender:
    """Keeps what it was promised: the outcome of each event and the variant of each unit."""

    url: str
    key: str
    events: dict[str, str] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)
    without_retry_after: int = 0

    def client(self) -> httpx.AsyncClient:
        """A client with the key, for one event loop."""
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
            limits=httpx.Limits(max_connections=32),
        )

    async def send_events(self, client: httpx.AsyncClient, ids: list[str]) -> bool:
        """Send one batch; whether it was acknowledged."""
        events = [
            {
                "source": SOURCE,
                "id": each,
                "type": "order",
                "unit_id": f"customer-{each}",
                "occurred_at": "2026-01-05T12:00:00Z",
                "properties": {"amount": len(each)},
            }
            for each in ids
        ]
        body = await self._post(client, "/v1/events", {"events": events})
        if body is None:
            return False
        for each in body["events"]:
            if each["outcome"] in ("accepted", "duplicate"):
                self.events[each["id"]] = each["outcome"]
        return all(each in self.events for each in ids)

    async def ask_variant(self, client: httpx.AsyncClient, unit_id: str) -> bool:
        """Ask for a unit's variant; whether it was answered. An answer never changes."""
        body = await self._post(client, "/v1/assignments", {"experiment": "checkout", "unit_id": unit_id})
        if body is None:
            return False
        assert body["variant"] == self.variants.setdefault(unit_id, body["variant"])
        return True

    async def _post(self, client: httpx.AsyncClient, path: str, body: object) -> Any | None:
        try:
            response = await client.post(path, json=body)
        except httpx.TransportError:
            self.answers[0] += 1
            return None
        self.answers[response.status_code] += 1
        if response.status_code == 200:
            return response.json()
        assert response.status_code in (429, 503), response.text
        if "retry-after" not in response.headers:
            self.without_retry_after += 1
        return None

    def send_until_acknowledged(self, batches: list[list[str]], units: list[str]) -> None:
        """Send whatever of these was not acknowledged yet, until all of it is."""

        async def send() -> None:
            async with self.client() as client:
                for _ in range(50):
                    waiting = [batch for batch in batches if not all(each in self.events for each in batch)]
                    asking = [unit for unit in units if unit not in self.variants]
                    if not waiting and not asking:
                        return
                    await asyncio.gather(
                        *(self.send_events(client, batch) for batch in waiting),
                        *(self.ask_variant(client, unit) for unit in asking),
                    )
            raise AssertionError("something was never acknowledged")

        asyncio.run(send())
