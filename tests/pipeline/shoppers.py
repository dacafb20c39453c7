"""Events of shoppers who come one after the other into experiments that are looked at before the end."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

ARMS = ("off", "low", "high", "off", "low", "high", "off", "low", "high", "off")
START_OF_LOOKS = datetime(2024, 5, 1, 6, tzinfo=UTC)

LOOKED_AT: dict[str, Any] = {
    "tenant": "initech",
    "unit": "user",
    "control": "off",
    "variants": {"off": 4, "low": 3, "high": 3},
    "metrics": [
        {"key": "revenue", "type": "sum", "event": "buy", "column": "amount", "lookback_days": 30, "role": "primary"},
        {"key": "bought", "type": "conversion", "event": "buy", "window_days": 5},
        {"key": "per_visit", "type": "ratio", "event": "buy", "column": "amount", "denominator": {"event": "visit"}},
        {"key": "waiting", "type": "time_to_event", "event": "buy", "window_days": 6},
        {"key": "complaints", "type": "count", "event": "complaint", "direction": "decrease", "role": "guardrail"},
    ],
    "start": "2024-05-01",
    "end": "2024-05-31",
}


def shoppers(count: int = 1200, days: int = 12, seed: int = 23) -> list[dict[str, Any]]:
    """Events of units that come one after the other over ``days`` days; what they buy depends on what they bought
    before and on the arm.
    """
    dice = random.Random(seed)
    rows: list[dict[str, Any]] = []

    def event(kind: str, unit: str, moment: float, **rest: Any) -> None:
        at = (START_OF_LOOKS + timedelta(days=moment)).isoformat()
        rows.append({"event_id": f"e{len(rows)}", "type": kind, "unit_id": unit, "occurred_at": at, **rest})

    for number in range(count):
        unit, arm = f"u{number:04}", ARMS[number % len(ARMS)]
        since = days * number / count
        taste = dice.expovariate(1 / 20)
        for experiment in ("looked_at", "planned_looks"):
            event("assignment", unit, since, experiment=experiment, variant=arm)
        event("buy", unit, since - 3, amount=round(taste, 2))
        lift = {"off": 0.0, "low": 2.0, "high": 8.0}[arm]
        for _ in range(1 + dice.randrange(3)):
            event("visit", unit, since + 4 * dice.random())
        if dice.random() < 0.7:
            event("buy", unit, since + 3 * dice.random(), amount=round(taste + lift + dice.gauss(10, 2), 2))
        if dice.random() < 0.1:
            event("complaint", unit, since + dice.random())
    return rows
